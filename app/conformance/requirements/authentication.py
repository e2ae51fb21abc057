"""Only Heroku may provision, change plans and deprovision: every call proves itself, on every verb, without traces."""

from collections.abc import AsyncIterator
from uuid import uuid4

from app.conformance.bench import Answer, Bench
from app.conformance.requirement import NotApplicable, Unmet, must

from .docs import PARTNER_API

_REFUSED = "Such a request is answered 401."


async def _all_verbs(bench: Bench, auth: tuple[str, str] | str | None) -> AsyncIterator[tuple[str, Answer]]:
    """Yield each verb's answer to that authorization; POST asks for something new, the others about what exists."""
    addon = await bench.provisioned()
    body = bench.body_of(bench.draft())
    yield "POST", await bench.post(body, auth=auth)
    yield "PUT", await bench.put(addon.id, {"plan": addon.plan}, auth=auth)
    yield "DELETE", await bench.delete(addon.id, auth=auth)
    still = await bench.put(addon.id, {"plan": addon.plan})
    if still.status in {404, 410}:
        raise Unmet("A refused request changes nothing.", "The refused DELETE removed the resource.", still.exchange)


async def _is_refused(bench: Bench, auth: tuple[str, str] | str | None, sent: str) -> None:
    async for verb, answer in _all_verbs(bench, auth):
        if answer.status != 401:
            raise Unmet(_REFUSED, f"{verb} with {sent}: {answer.said}", answer.exchange)


@must("authentication", PARTNER_API, needs=["provision-works"])
async def wrong_password_is_refused(bench: Bench) -> None:
    """POST, PUT and DELETE with a wrong password are answered 401 and change nothing."""
    await _is_refused(bench, (bench.offer.slug, "wrong"), "a wrong password")


@must("authentication", PARTNER_API, needs=["provision-works"])
async def wrong_name_is_refused(bench: Bench) -> None:
    """The user name must be the manifest's id: the right password under another name is answered 401."""
    await _is_refused(bench, ("somebody-else", bench.offer.password), "another name and the right password")


@must("authentication", PARTNER_API, needs=["provision-works"])
async def missing_authorization_is_refused(bench: Bench) -> None:
    """Without an Authorization header every verb is answered 401."""
    await _is_refused(bench, None, "no Authorization header")


@must("authentication", PARTNER_API, needs=["provision-works"])
async def part_of_the_password_is_refused(bench: Bench) -> None:
    """A password is compared whole: its beginning, itself and more, and an empty one are answered 401."""
    password = bench.offer.password
    if len(password) < 2:
        raise NotApplicable("The manifest's password has one character.")
    for given, sent in (
        (password[:-1], "the password without its last character"),
        (f"{password}x", "the password and one character more"),
        ("", "an empty password"),
    ):
        answer = await bench.post(bench.body_of(bench.draft()), auth=(bench.offer.slug, given))
        if answer.status != 401:
            raise Unmet(_REFUSED, f"POST with {sent}: {answer.said}", answer.exchange)


@must("authentication", PARTNER_API)
async def malformed_authorization_is_refused(bench: Bench) -> None:
    """An Authorization header that cannot be read, or of another scheme, is answered 401 and not with an error."""
    for header in ("Basic", "Basic !!!", "Basic Og==", f"Bearer {uuid4()}", "Basic " + "A" * 4000):
        answer = await bench.post(bench.body_of(bench.draft()), auth=header)
        if answer.status != 401:
            raise Unmet(_REFUSED, f"POST with `Authorization: {header[:20]}`: {answer.said}", answer.exchange)


REQUIREMENTS = [
    wrong_password_is_refused,
    wrong_name_is_refused,
    missing_authorization_is_refused,
    part_of_the_password_is_refused,
    malformed_authorization_is_refused,
]

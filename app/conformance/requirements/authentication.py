"""Only Heroku may provision, change plans and deprovision: every call proves itself, on every verb, without traces."""

import base64
from uuid import uuid4

from app.conformance.bench import Bench
from app.conformance.requirement import NotApplicable, Unmet, must, should
from app.conformance.wire import Answer

from .answers import is_known
from .docs import PARTNER_API

_REFUSED = "Such a request is answered 401."
Authorization = tuple[str, str] | str | None


async def _is_refused(bench: Bench, *attempts: tuple[Authorization, str]) -> None:
    """Demand 401 for each authorization on every verb: POST for something new, the others about what exists."""
    addon = await bench.provisioned()
    for auth, sent in attempts:
        draft = bench.draft()
        _demand_401(await bench.post(bench.body_of(draft), auth=auth), f"POST with {sent}")
        _demand_401(await bench.put(addon.id, {"plan": addon.plan}, auth=auth), f"PUT with {sent}")
        _demand_401(await bench.delete(addon.id, auth=auth), f"DELETE with {sent}")
        if await is_known(bench, draft.id) or _grant_was_used(bench, draft.id):
            raise Unmet("A refused request changes nothing.", f"POST with {sent} made a resource all the same.")
    still = await bench.put(addon.id, {"plan": addon.plan})
    if still.status in {404, 410}:
        raise Unmet("A refused request changes nothing.", "The refused DELETE removed the resource.", still.exchange)


def _demand_401(answer: Answer, sent: str) -> None:
    if answer.status != 401:
        raise Unmet(_REFUSED, f"{sent}: {answer.said}", answer.exchange)


def _grant_was_used(bench: Bench, uuid: str) -> bool:
    return any(grant.used_at for grant in bench.world.grants.values() if grant.addon_id == uuid)


@must("authentication", PARTNER_API, needs=["provision-works"])
async def wrong_password_is_refused(bench: Bench) -> None:
    """POST, PUT and DELETE with a wrong password are answered 401 and change nothing."""
    await _is_refused(bench, ((bench.offer.slug, "wrong"), "a wrong password"))


@must("authentication", PARTNER_API, needs=["provision-works"])
async def wrong_name_is_refused(bench: Bench) -> None:
    """The user name must be the manifest's id: the right password under another name is answered 401."""
    password = bench.offer.password
    await _is_refused(
        bench,
        (("somebody-else", password), "another name and the right password"),
        (("", password), "no name and the right password"),
    )


@must("authentication", PARTNER_API, needs=["provision-works"])
async def missing_authorization_is_refused(bench: Bench) -> None:
    """Without an Authorization header every verb is answered 401."""
    await _is_refused(bench, (None, "no Authorization header"))


@must("authentication", PARTNER_API, needs=["provision-works"])
async def part_of_the_password_is_refused(bench: Bench) -> None:
    """A password is compared whole: its beginning, itself and more, another case and an empty one are answered 401."""
    slug, password = bench.offer.slug, bench.offer.password
    if len(password) < 2:
        raise NotApplicable("The manifest's password has one character.")
    attempts = [
        ((slug, password[:-1]), "the password without its last character"),
        ((slug, f"{password}x"), "the password and one character more"),
        ((slug, ""), "an empty password"),
    ]
    if password.swapcase() != password:
        attempts.append(((slug, password.swapcase()), "the password with its case turned round"))
    await _is_refused(bench, *attempts)


@must("authentication", PARTNER_API)
async def malformed_authorization_is_refused(bench: Bench) -> None:
    """An Authorization header that cannot be read, or of another scheme, is answered 401, or 400, and not an error."""
    password = bench.offer.password
    no_colon, no_text = (base64.b64encode(raw).decode() for raw in (bench.offer.slug.encode(), b"\xff\xfe:\xff"))
    for header, sent in (
        ("Basic", "no credentials"),
        ("Basic !!!", "credentials that are not base64"),
        ("Basic Og==", "an empty name and an empty password"),
        (f"Basic {no_colon}", "credentials without a colon"),
        (f"Basic {no_text}", "credentials that are not UTF-8"),
        ("Basic " + "A" * 4000, "very long credentials"),
        (f"Bearer {uuid4()}", "a bearer token"),
        (f"Bearer {password}", "the password as a bearer token"),
    ):
        answer = await bench.post(bench.body_of(bench.draft()), auth=header)
        if answer.status not in {400, 401}:
            raise Unmet("Such a request is answered 401, or 400.", f"POST with {sent}: {answer.said}", answer.exchange)


@should("authentication", PARTNER_API)
async def authorization_is_checked_first(bench: Bench) -> None:
    """Who cannot prove themselves learns nothing else: 401 comes before a look at the body or at what exists."""
    wrong, nobody = (bench.offer.slug, "wrong"), str(uuid4())
    _demand_401(await bench.put(nobody, {"plan": bench.plan}, auth=wrong), "PUT of an unknown uuid, wrong password")
    _demand_401(await bench.delete(nobody, auth=wrong), "DELETE of an unknown uuid, wrong password")
    json = {"Content-Type": "application/json"}
    answer = await bench.ask("POST", bench.base_url, content=b"{", headers=json, auth=wrong)
    _demand_401(answer, "POST of broken JSON, wrong password")


REQUIREMENTS = [
    wrong_password_is_refused,
    wrong_name_is_refused,
    missing_authorization_is_refused,
    part_of_the_password_is_refused,
    malformed_authorization_is_refused,
    authorization_is_checked_first,
]

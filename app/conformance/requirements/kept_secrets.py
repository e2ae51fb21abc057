"""Passwords that cannot be guessed, and secrets that stay where they belong: not in logs, not with other hosts."""

import asyncio
import random
from math import erfc, sqrt
from statistics import median
from uuid import uuid4

from app.conformance.bench import Bench
from app.conformance.requirement import NotApplicable, Unmet, must, should
from app.conformance.visits import Visit
from app.simulator import sso

from .docs import BEST_PRACTICES, MANIFEST, PARTNER_API, ROTATION

_DEFAULTS = ("", "password", "secret", "super-secret", "changeme", "change-me", "replace-me", "test", "admin", "heroku")
_PLACEHOLDERS = ("replace", "change", "your-", "your_", "<", "$", "{", "example", "todo", "xxx", "placeholder")
_PAIRS = 40


@must("secrets", MANIFEST)
async def password_has_a_length_heroku_takes(bench: Bench) -> None:
    """The manifest's password has 8 to 72 characters: Heroku takes no other."""
    length = len(bench.offer.password)
    if not 8 <= length <= 72:
        raise Unmet("It has 8 to 72 characters.", f"The manifest's password has {length} characters.")


@must("secrets", MANIFEST)
async def password_and_salt_are_two_secrets(bench: Bench) -> None:
    """The password, the SSO salt and the manifest's id are three different texts: none gives another one away."""
    offer = bench.offer
    if offer.password == offer.sso_salt:
        raise Unmet("They differ.", "The manifest's password and its SSO salt are the same.")
    if offer.slug in {offer.password, offer.sso_salt}:
        raise Unmet("They differ.", "The manifest's password or its SSO salt is its id, which everybody knows.")


@should("secrets", MANIFEST)
async def password_and_salt_cannot_be_guessed(bench: Bench) -> None:
    """The manifest's password and SSO salt are random texts, and not placeholders of an example."""
    for name, text in (("password", bench.offer.password), ("sso_salt", bench.offer.sso_salt)):
        if text.lower() in _DEFAULTS or text.lower().startswith(_PLACEHOLDERS) or len(set(text)) < 4:
            raise Unmet("It is random.", f"The manifest's {name} is one that everybody would try.")


@must("secrets", PARTNER_API)
async def usual_passwords_are_refused(bench: Bench) -> None:
    """No password works besides the manifest's: no empty one, not the add-on's id, none that everybody would try."""
    offer = bench.offer
    for password in {*_DEFAULTS, offer.slug, offer.sso_salt} - {offer.password}:
        answer = await bench.put(str(uuid4()), {"plan": bench.plan}, auth=(offer.slug, password))
        if answer.status != 401:
            raise Unmet("They are answered 401.", f"A password that is not its own: {answer.said}", answer.exchange)


@must("secrets", ROTATION, needs=["provision-works"])
async def previous_password_and_salt_still_work(bench: Bench) -> None:
    """While password and salt are changed, the previous ones are accepted as well: Heroku changes at its own moment."""
    target, offer = bench.target, bench.offer
    if not target.previous_password and not target.previous_salt:
        raise NotApplicable(
            "What was in force before cannot be seen from outside: set ADDON_PASSWORD_PREVIOUS and "
            "ADDON_SSO_SALT_PREVIOUS for the checker, as the add-on has them."
        )
    addon = await bench.provisioned()
    if target.previous_password:
        answer = await bench.put(addon.id, {"plan": addon.plan}, auth=(offer.slug, target.previous_password))
        if answer.status in {None, 401, 403}:
            raise Unmet("Both passwords work.", f"With the previous one: {answer.said}", answer.exchange)
    if target.previous_salt:
        visit = Visit(bench)
        await visit.arrive(_signed_with(bench.form(addon), target.previous_salt))
        if not visit.has_arrived:
            raise Unmet("Both salts work.", f"With the previous one: {visit.answer.said}", visit.answer.exchange)


def _signed_with(form: dict[str, str], salt: str) -> dict[str, str]:
    covered = (form["timestamp"], form["user_id"], form["email"])
    return form | {
        "user_scoped_resource_token": sso.digest("sha256", form["resource_id"], salt, *covered),
        "resource_token": sso.digest("sha1", form["resource_id"], salt, form["timestamp"]),
        "token": sso.digest("sha1", form["id"], salt, form["timestamp"]),
    }


@should("secrets", BEST_PRACTICES, needs=["provision-works", "wrong-password-is-refused"])
async def wrong_passwords_take_the_same_time(bench: Bench) -> None:
    """A password that is wrong at its end is refused as fast as one wrong at its start: time tells nothing about it."""
    first = await _compare(bench)
    bench.measured["wrong at the end, against at the start"] = first.told
    # Twice, each time beyond doubt: a busy machine is no fault of the add-on.
    if first.is_telling and (second := await _compare(bench)).is_telling:
        raise Unmet("The times are alike.", f"A password wrong at its end takes longer: {second.told}.")


class _Comparison:
    """How much longer some times are than others. `effect` is how often one of them is the longer, 0.5 for alike."""

    def __init__(self, late: list[float], early: list[float]) -> None:
        pairs = len(late) * len(early)
        self.effect = sum((one > other) + (one == other) / 2 for one in late for other in early) / pairs
        # Mann and Whitney's test, one-sided, in the normal approximation.
        spread = sqrt((len(late) + len(early) + 1) / (12 * pairs))
        self.probability = erfc((self.effect - 0.5) / spread / sqrt(2)) / 2
        self.milliseconds = (median(late) - median(early)) * 1000

    @property
    def is_telling(self) -> bool:
        return self.effect >= 0.9 and self.probability < 1e-6 and self.milliseconds >= 0.2

    @property
    def told(self) -> str:
        return f"{self.milliseconds:+.2f} ms in the median, longer in {self.effect:.0%} of the pairs"


async def _compare(bench: Bench) -> _Comparison:
    """Time both kinds of wrong password in turns, in random order, so that whatever slows one slows the other."""
    password, url = bench.offer.password, f"{bench.base_url}/{uuid4()}"
    wrong = {
        "early": ("0" if password[0] != "0" else "1") + password[1:],
        "late": password[:-1] + ("0" if password[-1] != "0" else "1"),
    }
    times: dict[str, list[float]] = {"early": [], "late": []}
    for _ in range(_PAIRS):
        for kind in random.sample(sorted(wrong), 2):  # nosec B311 # an order, no secret
            times[kind].append(await bench.seconds_of("DELETE", url, auth=(bench.offer.slug, wrong[kind])))
    return _Comparison(times["late"], times["early"])


@must("secrets", PARTNER_API, needs=["provision-works", "grant-is-exchanged"])
async def tokens_go_to_heroku_alone(bench: Bench) -> None:
    """Whatever host a request's callback_url names, the add-on sends tokens only to the Heroku it was set up for."""
    if bench.transport is None and not bench.is_on_loopback:
        raise NotApplicable(
            "The other host would be on this machine, and the add-on is not: run the checker beside it."
        )
    visitors = 0

    async def listen(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal visitors
        visitors += 1
        writer.close()

    try:
        plan = await bench.plan_answered(202)
    except NotApplicable:
        plan = bench.plan
    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        addon = bench.draft(plan)
        body = bench.body_of(addon)
        own_name = "127.0.0.1" if "//localhost" in body["callback_url"] else "localhost"
        elsewhere = f"http://{own_name}:{server.sockets[0].getsockname()[1]}"
        answer = await bench.post(body | {"callback_url": f"{elsewhere}/addons/{addon.id}"}, addon=addon)

        def went_elsewhere() -> bool:
            return visitors > 0 or any(one.url.startswith(elsewhere) for one in bench.world.exchanges)

        def is_done() -> bool:
            has_token = any(one.used_at for one in bench.world.grants.values() if one.addon_id == addon.id)
            return has_token and (answer.status != 202 or addon.state != "provisioning")

        await bench.until(lambda: went_elsewhere() or is_done())
        if went_elsewhere():
            raise Unmet(
                "It calls the Heroku it was set up for.",
                "The add-on called the host that callback_url named.",
                answer.exchange,
            )


REQUIREMENTS = [
    password_has_a_length_heroku_takes,
    password_and_salt_are_two_secrets,
    password_and_salt_cannot_be_guessed,
    usual_passwords_are_refused,
    previous_password_and_salt_still_work,
    wrong_passwords_take_the_same_time,
    tokens_go_to_heroku_alone,
]

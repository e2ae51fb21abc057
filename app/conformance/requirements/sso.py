"""A customer signs in from Heroku's dashboard: which forms open the dashboard, and that nothing else does."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

from app.conformance.bench import Bench
from app.conformance.requirement import Unmet, must, should
from app.conformance.visits import Visit
from app.conformance.wire import Answer
from app.simulator.records import AddOn

from .docs import SSO

TOKENS = ("user_scoped_resource_token", "resource_token", "token")
NEEDS = ("provision-works", "sso-signs-in")
_REFUSED = "Such a form is refused with 403."


def moments_ago(bench: Bench, **ago: float) -> datetime:
    """Return a time of a form; negative means the future."""
    return bench.world.clock() - timedelta(**ago)


async def signed_in(bench: Bench, addon: AddOn, *, ago: float = 0, visit: Visit | None = None) -> Visit:
    """Sign in as Heroku's dashboard does, with a form made `ago` seconds ago: each form may work only once."""
    visit = visit or Visit(bench)
    await _arrives(visit, bench.form(addon, at=moments_ago(bench, seconds=ago)), "A right form")
    return visit


async def _arrives(visit: Visit, form: Mapping[str, str], what: str) -> None:
    answer = await visit.arrive(form)
    if not visit.has_arrived:
        raise Unmet("A right form leads to a page.", f"{what} led to no page. {answer.said}", answer.exchange)


async def is_refused(bench: Bench, fields: Mapping[str, str] | list[tuple[str, str]], what: str) -> Answer:
    """Send a form that proves nothing; `what` is wrong with it."""
    answer = (await bench.visit(fields)).answer
    if answer.status is None or not 400 <= answer.status < 500:
        raise Unmet(_REFUSED, f"A form {what}: {answer.said}", answer.exchange)
    return answer


def _altered(token: str) -> list[str]:
    """List texts that are nearly that digest."""
    first, last = ("0" if token[at] != "0" else "1" for at in (0, -1))
    return [first + token[1:], token[:-1] + last, token[:8], "0" * len(token), ""]


@must("sso", SSO, needs=["provision-works"])
async def sso_signs_in(bench: Bench) -> None:
    """Heroku's form, posted by a browser, is answered with a page, or with a redirect that leads to one."""
    await signed_in(bench, await bench.provisioned())


@must("sso", SSO, needs=NEEDS)
async def sso_accepts_names_outside_ascii(bench: Bench) -> None:
    """A customer whose e-mail address has letters outside ASCII can sign in: digests are over UTF-8."""
    addon = await bench.provisioned()
    customer = next(one for one in bench.world.customers.values() if not one.email.isascii())
    await _arrives(Visit(bench), bench.form(addon, user=customer), "One with an e-mail outside ASCII")


@must("sso", SSO, needs=NEEDS)
async def sso_accepts_fields_it_does_not_know(bench: Bench) -> None:
    """A form may have fields besides the usual ones, as when a plan's action is chosen in Heroku's dashboard."""
    addon = await bench.provisioned()
    more = {"action": "show", "something-new": "1"}
    await _arrives(Visit(bench), bench.form(addon) | more, "One with more fields")


@should("sso", SSO, needs=NEEDS)
async def sso_accepts_the_user_scoped_token_alone(bench: Bench) -> None:
    """The user-scoped token is the one Heroku recommends: it suffices, without the two older ones."""
    addon = await bench.provisioned()
    accepted: dict[str, Answer] = {}
    for number, token in enumerate(TOKENS):
        form = bench.form(addon, tokens=[token], at=moments_ago(bench, seconds=number))
        answer = (await bench.visit(form)).answer
        if answer.status is not None and answer.status < 400:
            accepted[token] = answer
    bench.measured["tokens accepted alone"] = ", ".join(accepted) or "none"
    if TOKENS[0] not in accepted:
        raise Unmet("It signs in.", "A form with a right user-scoped token and no other one was refused.")


@should("sso", SSO, needs=NEEDS)
async def sso_allows_for_slow_clocks(bench: Bench) -> None:
    """A form that was made 100 seconds ago still signs in: clocks differ, and pages load slowly."""
    addon = await bench.provisioned()
    await _arrives(Visit(bench), bench.form(addon, at=moments_ago(bench, seconds=100)), "One of 100 seconds ago")


@must("sso", SSO, needs=NEEDS)
async def sso_refuses_wrong_tokens(bench: Bench) -> None:
    """A form whose tokens are wrong, by one character or altogether, is refused; so is each wrong token alone."""
    addon = await bench.provisioned()
    right = bench.form(addon)
    rest = {name: text for name, text in right.items() if name not in TOKENS}
    for number in range(len(_altered(right["token"]))):
        wrong = {name: _altered(right[name])[number] for name in TOKENS}
        await is_refused(bench, rest | wrong, "with wrong tokens")
        for name, text in wrong.items():
            await is_refused(bench, rest | {name: text}, f"with a wrong {name} and no other")


@must("sso", SSO, needs=NEEDS)
async def sso_refuses_incomplete_forms(bench: Bench) -> None:
    """A form without any token, without a timestamp, or without a resource is refused and not met with an error."""
    right = bench.form(await bench.provisioned())
    for missing in (TOKENS, ("timestamp",), ("resource_id", "id"), tuple(right)):
        form = {name: text for name, text in right.items() if name not in missing}
        await is_refused(bench, form, f"without {', '.join(missing) if len(missing) < len(right) else 'any field'}")


@must("sso", SSO, needs=NEEDS)
async def sso_refuses_another_resources_token(bench: Bench) -> None:
    """Tokens prove one resource: with the id of another one they are refused."""
    own, other = await bench.provisioned(), await bench.provisioned()
    stolen = {name: text for name, text in bench.form(own).items() if name in TOKENS}
    await is_refused(bench, bench.form(other) | stolen, "with another resource's tokens")


@must("sso", SSO, needs=NEEDS)
async def sso_refuses_old_forms(bench: Bench) -> None:
    """A form that was made more than five minutes ago is refused, however right its tokens are."""
    addon = await bench.provisioned()
    for what, ago in (("of six minutes ago", 6), ("of yesterday", 24 * 60)):
        await is_refused(bench, bench.form(addon, at=moments_ago(bench, minutes=ago)), what)


@must("sso", SSO, needs=NEEDS)
async def sso_refuses_forms_of_tomorrow(bench: Bench) -> None:
    """A form from the future is refused: it would open the dashboard for as long as it is ahead."""
    addon = await bench.provisioned()
    await is_refused(bench, bench.form(addon, at=moments_ago(bench, days=-1)), "of tomorrow")


@should("sso", SSO, needs=NEEDS)
async def sso_refuses_forms_of_the_next_minutes(bench: Bench) -> None:
    """A form that is six minutes ahead is refused: no two clocks differ that much."""
    addon = await bench.provisioned()
    await is_refused(bench, bench.form(addon, at=moments_ago(bench, minutes=-6)), "from six minutes ahead")


@must("sso", SSO, needs=NEEDS)
async def sso_refuses_altered_timestamps(bench: Bench) -> None:
    """The tokens cover the timestamp: an old form is not made young by writing another time into it."""
    addon = await bench.provisioned()
    young = bench.form(addon)["timestamp"]
    await is_refused(
        bench, bench.form(addon, at=moments_ago(bench, hours=1)) | {"timestamp": young}, "whose timestamp was altered"
    )


@should("sso", SSO, needs=NEEDS)
async def sso_refuses_altered_people(bench: Bench) -> None:
    """The user-scoped token covers who it is: with another e-mail or user id it is wrong, and the form is refused."""
    addon = await bench.provisioned()
    another = next(iter(bench.world.customers.values()))
    for number, altered in enumerate(({"email": "intruder@example.com"}, {"user_id": another.id[::-1]})):
        form = bench.form(addon, at=moments_ago(bench, seconds=number)) | altered
        await is_refused(bench, form, f"whose {min(altered)} was altered")


@must("sso", SSO, needs=NEEDS)
async def sso_believes_no_altered_person(bench: Bench) -> None:
    """Nobody becomes somebody else by altering the form's e-mail: the older tokens do not cover it."""
    addon = await bench.provisioned()
    visit = Visit(bench)
    await visit.arrive(bench.form(addon) | {"email": "intruder@example.com"})
    if visit.answer.is_success and b"intruder@example.com" in visit.answer.content:
        raise Unmet(
            "An e-mail that the user-scoped token does not cover is not believed.",
            "The page greets the e-mail that was written into the form.",
            visit.answer.exchange,
        )


@must("sso", SSO, needs=NEEDS)
async def sso_refuses_unknown_resources(bench: Bench) -> None:
    """A rightly signed form for a resource that was never provisioned is refused and makes nothing."""
    await bench.provisioned()
    await is_refused(bench, bench.form(bench.draft()), "for a resource that was never provisioned")


@must("sso", SSO, needs=NEEDS)
async def sso_refuses_deprovisioned_resources(bench: Bench) -> None:
    """After a resource was deprovisioned nobody signs in to it any more."""
    addon = await bench.provisioned()
    await bench.simulator.calls.deprovision(addon)
    await is_refused(bench, bench.form(addon), "for a deprovisioned resource")


@must("sso", SSO, needs=NEEDS)
async def sso_survives_nonsense(bench: Bench) -> None:
    """What is no form, or one with nonsense in its fields, is refused; it is not met with an error."""
    right = bench.form(await bench.provisioned())
    for text in ("", "soon", "-1", "1e9", "9" * 40, "0x10", "\N{ARABIC-INDIC DIGIT ONE}", "1.5", "\0"):
        await is_refused(bench, right | {"timestamp": text}, "with nonsense for a timestamp")
    unsigned = [(name, text) for name, text in right.items() if name not in TOKENS]
    for name in ("resource_token[]", "resource_token[a][b]", "user_scoped_resource_token[]", "token[]"):
        await is_refused(bench, [*unsigned, (name, "x")], "with an array for a token")
    for name in ("timestamp", "resource_id", "email"):
        rest = [(key, text) for key, text in unsigned if key != name]
        await is_refused(bench, [*rest, (f"{name}[]", "1"), (f"{name}[x]", "2")], f"with an array for {name}")
    await is_refused(bench, unsigned * 2, "with every field twice and no token")
    await is_refused(bench, right | {"resource_id": "\0", "id": "../x", "token": "é" * 40}, "with odd characters")
    for content in (b"", b"\xff\xfe=%ff", b"%zz=%", b"&&&===", b'{"resource_id": 1}', b"a=" + b"b" * 40_000):
        answer = await Visit(bench).post_raw(content)
        if answer.status is None or not 400 <= answer.status < 500:
            raise Unmet(_REFUSED, f"What is no form: {answer.said}", answer.exchange)
    answer = await Visit(bench).post_raw(b'{"resource_id": [], "timestamp": {}}', "application/json")
    if answer.status is None or not 400 <= answer.status < 500:
        raise Unmet(_REFUSED, f"JSON: {answer.said}", answer.exchange)


@should("sso", SSO, needs=NEEDS)
async def sso_form_works_once(bench: Bench) -> None:
    """The same form a second time, from another browser, is refused: whoever copied it does not get in."""
    form = bench.form(await bench.provisioned())
    await bench.visit(form)
    await is_refused(bench, form, "that was used before")


@should("sso", SSO, needs=NEEDS)
async def sso_is_refused_over_get(bench: Bench) -> None:
    """The form's fields in a URL, which ends up in logs and histories, sign nobody in."""
    addon = await bench.provisioned()
    visit = Visit(bench)
    await visit.open(f"{bench.target.sso_url}?{urlencode(bench.form(addon))}")
    if visit.answer.is_success and addon.id.encode() in visit.answer.content and visit.cookies:
        raise Unmet("It signs nobody in.", "A GET with the form's fields opened the dashboard.", visit.answer.exchange)


@should("sso", SSO, needs=[*NEEDS, "sso-refuses-wrong-tokens", "sso-refuses-old-forms"])
async def sso_refusals_are_403(bench: Bench) -> None:
    """A wrong token and an old form are answered 403, the status that says that signing in was refused."""
    for what, answer in (await _two_refusals(bench)).items():
        if answer.status != 403:
            raise Unmet("It is answered 403.", f"{what}: {answer.said}", answer.exchange)


@should("sso", SSO, needs=[*NEEDS, "sso-refuses-wrong-tokens", "sso-refuses-old-forms"])
async def sso_refusals_look_alike(bench: Bench) -> None:
    """Whoever tries forms learns nothing: a wrong token and an old form get the same answer."""
    wrong, old = (await _two_refusals(bench)).values()
    if (wrong.status, _readable(wrong)) != (old.status, _readable(old)):
        raise Unmet(
            "All refusals get the same answer.",
            "The answer to an old form differs from that to a wrong token.",
            old.exchange,
        )


async def _two_refusals(bench: Bench) -> dict[str, Answer]:
    addon = await bench.provisioned()
    wrong = bench.form(addon) | dict.fromkeys(TOKENS, "0" * 40)
    old = bench.form(addon, at=moments_ago(bench, minutes=6))
    return {
        "A wrong token": await is_refused(bench, wrong, "with wrong tokens"),
        "An old form": await is_refused(bench, old, "of six minutes ago"),
    }


def _readable(answer: Answer) -> str:
    """Return what a person reads of a page: without tags, and without the request's id or time."""
    text = re.sub(r"(?s)<(script|style|head)\b.*?</\1>|<[^>]*>", " ", answer.content.decode("utf-8", "replace"))
    return " ".join(word for word in text.split() if not any(character.isdigit() for character in word))


REQUIREMENTS = [
    sso_signs_in,
    sso_accepts_names_outside_ascii,
    sso_accepts_fields_it_does_not_know,
    sso_accepts_the_user_scoped_token_alone,
    sso_allows_for_slow_clocks,
    sso_refuses_wrong_tokens,
    sso_refuses_incomplete_forms,
    sso_refuses_another_resources_token,
    sso_refuses_old_forms,
    sso_refuses_forms_of_tomorrow,
    sso_refuses_forms_of_the_next_minutes,
    sso_refuses_altered_timestamps,
    sso_refuses_altered_people,
    sso_believes_no_altered_person,
    sso_refuses_unknown_resources,
    sso_refuses_deprovisioned_resources,
    sso_survives_nonsense,
    sso_form_works_once,
    sso_is_refused_over_get,
    sso_refusals_are_403,
    sso_refusals_look_alike,
]

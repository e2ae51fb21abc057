"""All that a provision request may hold: options, extra fields, grants and headers as Heroku sends or may send them."""

from datetime import timedelta
from typing import Any

from app.conformance.bench import Bench
from app.conformance.requirement import NotApplicable, Requirement, Unmet, must, should

from .answers import UNKNOWN_PLAN, message_in, served, served_or_refused, without_exception_text
from .docs import BEST_PRACTICES, BUILDING, OPTIONS, PARTNER_API

_LEFT_OUT: Any = object()
_EXTRA = {"conform_text": "something new", "conform_list": [1, "two", None], "conform_object": {"deep": {"er": True}}}


async def _is_served(bench: Bench, changes: dict[str, Any], sent: str, **how: Any) -> None:
    draft = bench.draft()
    body = {name: value for name, value in (bench.body_of(draft) | changes).items() if value is not _LEFT_OUT}
    served(await bench.post(body, addon=draft, **how), f"A provision request {sent}")


@must("provision", PARTNER_API, needs=["provision-works"])
async def unknown_fields_are_accepted(bench: Bench) -> None:
    """Fields that are not documented, of any type, are no reason to refuse a request: Heroku may add some any day."""
    await _is_served(bench, _EXTRA, "with unknown fields")


@must("provision", OPTIONS, needs=["provision-works"])
async def missing_options_are_accepted(bench: Bench) -> None:
    """A customer who gives no options is served, whether the field is an empty object, null or absent."""
    for options, sent in (
        ({}, "without options"),
        (None, "with null options"),
        (_LEFT_OUT, "without the options field"),
    ):
        await _is_served(bench, {"options": options}, sent)


@must("provision", OPTIONS, needs=["provision-works"])
async def options_of_every_kind_get_an_answer(bench: Bench) -> None:
    """Options are whatever the customer typed, texts and switches: used, ignored or refused with 422 and a message."""
    for options, sent in (
        ({"foo": "bar", "baz": "true", "": ""}, "with options that are texts"),
        ({"conform-switch": True, "db_version": "16"}, "with an option that is true"),
        ({"conform": 'Zoë\'s \N{SNOWMAN} "quoted" ${value}; --'}, "with an option of odd characters"),
    ):
        draft = bench.draft()
        body = bench.body_of(draft) | {"options": options}
        served_or_refused(await bench.post(body, addon=draft), f"A provision request {sent}")


@should("provision", OPTIONS, needs=["provision-works"])
async def unknown_options_are_ignored(bench: Bench) -> None:
    """An option that the add-on does not know is ignored: Heroku checks none, and a customer's typo stops nothing."""
    await _is_served(bench, {"options": {"conform-unknown": "value", "conform-switch": True}}, "with unknown options")


@must("provision", BUILDING, needs=["provision-works"])
async def missing_grant_is_no_crash(bench: Bench) -> None:
    """The grant may be null, or absent: the request is served, or refused with 422 and a message, never an error."""
    for grant, sent in ((None, "with a null oauth_grant"), (_LEFT_OUT, "without oauth_grant")):
        draft = bench.draft()
        body = {
            name: value
            for name, value in (bench.body_of(draft) | {"oauth_grant": grant}).items()
            if value is not _LEFT_OUT
        }
        served_or_refused(await bench.post(body, addon=draft), f"A provision request {sent}")


@must("provision", BUILDING, needs=["provision-works"])
async def every_way_to_write_a_time_is_read(bench: Bench) -> None:
    """A grant's expires_at may have an offset with or without a colon, Z, or parts of a second: all are read."""
    ends_at = bench.world.now() + timedelta(minutes=5)
    west = ends_at - timedelta(hours=8)
    for text in (
        f"{west:%Y-%m-%dT%H:%M:%S}-0800",
        f"{west:%Y-%m-%dT%H:%M:%S}-08:00",
        f"{ends_at:%Y-%m-%dT%H:%M:%S}Z",
        f"{ends_at:%Y-%m-%dT%H:%M:%S}.123Z",
    ):
        draft = bench.draft()
        body = bench.body_of(draft)
        body["oauth_grant"] = body["oauth_grant"] | {"expires_at": text}
        served(await bench.post(body, addon=draft), f"A provision request whose grant has expires_at {text}")


@must("provision", PARTNER_API, needs=["provision-works"])
async def charset_in_the_content_type_is_accepted(bench: Bench) -> None:
    """`Content-Type: application/json; charset=utf-8` is JSON like any other."""
    headers = {"Content-Type": "application/json; charset=utf-8"}
    await _is_served(bench, {}, "of application/json; charset=utf-8", headers=headers)


@should("provision", PARTNER_API, needs=["provision-works"])
async def vendor_content_type_is_accepted(bench: Bench) -> None:
    """A request of Heroku's own media type, application/vnd.heroku-addons+json, is read as JSON."""
    headers = {"Content-Type": "application/vnd.heroku-addons+json; version=3"}
    await _is_served(bench, {}, "of Heroku's media type", headers=headers)


@must("provision", PARTNER_API, needs=["provision-works"])
async def every_accept_header_is_welcome(bench: Bench) -> None:
    """No Accept header is answered 406 or another error: not Heroku's vendor type, not a plain one, not its absence."""
    for accept in ("application/vnd.heroku-addons+json; version=3", "application/json", "*/*", None):
        sent = f"with Accept: {accept}" if accept else "without an Accept header"
        headers = {"Accept": accept}
        addon = bench.draft()
        served(await bench.post(bench.body_of(addon), addon=addon, headers=headers), f"POST {sent}")
        for verb, answer in (
            ("PUT", await bench.put(addon.id, {"plan": addon.plan}, headers=headers)),
            ("DELETE", await bench.delete(addon.id, headers=headers)),
        ):
            if answer.status in {406, 415}:
                raise Unmet("Every Accept header is welcome.", f"{verb} {sent}: {answer.said}", answer.exchange)


@should("provision", PARTNER_API, needs=["provision-works"])
async def answers_are_labelled_as_json(bench: Bench) -> None:
    """An answer with JSON in it says so in its Content-Type."""
    addon = bench.draft()
    for sent, answer in (
        ("A provision request", await bench.post(bench.body_of(addon), addon=addon)),
        ("A provision request for an unknown plan", await bench.post(bench.body_of(addon) | {"plan": UNKNOWN_PLAN})),
    ):
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if answer.body is not None and kind != "application/json" and not kind.endswith("+json"):
            raise Unmet(
                "The Content-Type is application/json.", f"{sent}: it is {kind[:80] or 'absent'}.", answer.exchange
            )


@should("provision", BEST_PRACTICES, needs=["provision-works"])
async def messages_are_short_sentences(bench: Bench) -> None:
    """A message for the customer is a text of 3 to 255 characters: it stands in a line of a terminal."""
    addon, refused = bench.draft(), bench.draft()
    answers = {
        "A provision request": await bench.post(bench.body_of(addon), addon=addon),
        "A provision request for an unknown plan": await bench.post(
            bench.body_of(refused) | {"plan": UNKNOWN_PLAN}, addon=refused
        ),
    }
    given = {sent: answer for sent, answer in answers.items() if isinstance(answer.body, dict)}
    messages = {
        sent: answer.body["message"] for sent, answer in given.items() if answer.body.get("message") is not None
    }
    if not messages:
        raise NotApplicable("The add-on sends no messages.")
    for sent, message in messages.items():
        length = len(message_in(given[sent]) or "")
        if not 3 <= length <= 255:
            said = f"the message has {length} characters" if isinstance(message, str) else "the message is no text"
            raise Unmet("A message is a text of 3 to 255 characters.", f"{sent}: {said}.", given[sent].exchange)


@must("provision", PARTNER_API, needs=["provision-works"])
async def answers_have_no_exception_text(bench: Bench) -> None:
    """What goes wrong is said in a sentence: no exception or stack trace, which Heroku would show to customers."""
    addon = bench.draft()
    whole = bench.body_of(addon)
    no_such = bench.draft().id
    for sent, answer in (
        ("A provision request for an unknown plan", await bench.post(whole | {"plan": UNKNOWN_PLAN}, addon=addon)),
        ("A provision request without a plan", await bench.post({"uuid": whole["uuid"]}, addon=addon)),
        ("A provision request whose plan is a number", await bench.post(whole | {"plan": 7}, addon=addon)),
        ("A plan change of an unknown uuid", await bench.put(no_such, {"plan": bench.plan})),
        ("A removal of an unknown uuid", await bench.delete(no_such)),
    ):
        without_exception_text(answer, sent)


REQUIREMENTS: list[Requirement] = [
    unknown_fields_are_accepted,
    missing_options_are_accepted,
    options_of_every_kind_get_an_answer,
    unknown_options_are_ignored,
    missing_grant_is_no_crash,
    every_way_to_write_a_time_is_read,
    charset_in_the_content_type_is_accepted,
    vendor_content_type_is_accepted,
    every_accept_header_is_welcome,
    answers_are_labelled_as_json,
    messages_are_short_sentences,
    answers_have_no_exception_text,
]

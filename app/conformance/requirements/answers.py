"""What several groups demand of an answer; each raises Unmet, and names what was sent."""

import re
from typing import Any
from uuid import uuid4

from app.conformance.bench import Bench
from app.conformance.requirement import Unmet
from app.conformance.wire import Answer
from app.simulator.records import AddOn

UNKNOWN_PLAN = "conform-no-such-plan"
_SERVED = frozenset({200, 201, 202, 422})
# What the errors of common languages, frameworks and databases look like when nobody caught them.
_EXCEPTION_TEXT = re.compile(
    r"""Traceback\ \(most | \b[A-Z]\w+(?:Error|Exception)\b\s*[:(] | \.(?:py|rb|js|ts|go|java|php|exs?|cs):\d+
    | \bat\ [\w.$<>]+\ ?\([^)\n]*:\d+ | NoneType | NilClass | undefined\ method | Cannot\ read\ propert
    | \bgoroutine\ \d | \bpanic: | SQLSTATE | violates\ (?:\w+[ -])+constraint | Internal\ Server\ Error.*<pre""",
    re.VERBOSE,
)


def message_in(answer: Answer) -> str | None:
    """Return the text for the customer, None when there is none."""
    message = answer.body.get("message") if isinstance(answer.body, dict) else None
    return message if isinstance(message, str) and message.strip() else None


def served(answer: Answer, sent: str) -> dict[str, Any]:
    """Return the JSON object of a success."""
    if answer.status not in {200, 201, 202}:
        raise Unmet("It is answered 200, 201 or 202.", f"{sent}: {answer.said}", answer.exchange)
    if not isinstance(answer.body, dict):
        raise Unmet("The answer is a JSON object.", f"{sent}: the answer's body is none.", answer.exchange)
    return answer.body


def refused(answer: Answer, sent: str) -> None:
    """Demand a refusal that the customer gets to read."""
    if answer.status != 422:
        raise Unmet("It is answered 422 with a message.", f"{sent}: {answer.said}", answer.exchange)
    if message_in(answer) is None:
        raise Unmet(
            "A refusal has a JSON body with a message, which Heroku shows to the customer.",
            f"{sent}: the answer was 422 without a message.",
            answer.exchange,
        )


def served_or_refused(answer: Answer, sent: str) -> None:
    """Demand one of the two answers that a customer can understand."""
    (refused if answer.status == 422 else served)(answer, sent)


def not_crashed(answer: Answer, sent: str) -> None:
    """Demand any answer but an error of the add-on's own; 503 says that now is a bad moment."""
    if answer.status is None or (answer.status >= 500 and answer.status != 503):
        raise Unmet("The add-on answers without an error of its own.", f"{sent}: {answer.said}", answer.exchange)


def gone(answer: Answer, sent: str) -> None:
    if answer.status not in {404, 410}:
        raise Unmet("It is answered 410, or 404.", f"{sent}: {answer.said}", answer.exchange)


def same_resource(addon: AddOn, answer: Answer, sent: str) -> None:
    """Demand that a repeated provision request finds the resource as it is: the same id, the same config vars."""
    body = served(answer, sent)
    if body.get("id") != addon.provider_id:
        raise Unmet("The same uuid is the same resource, with the same id.", f"{sent}: another id.", answer.exchange)
    config = body.get("config")
    changed = [name for name in config if addon.config.get(name) != config[name]] if isinstance(config, dict) else []
    if changed:
        raise Unmet(
            "The same uuid is the same resource, with the config vars it has.",
            f"{sent}: another value of {', '.join(sorted(changed))}.",
            answer.exchange,
        )


def without_exception_text(answer: Answer, sent: str) -> None:
    """Demand that an answer which is no success tells nothing of the add-on's insides."""
    if not answer.is_success and _EXCEPTION_TEXT.search(answer.content.decode("utf-8", "replace")):
        raise Unmet(
            "A message is a sentence for the customer, and tells nothing of the program.",
            f"{sent}: the answer has the text of an exception.",
            answer.exchange,
        )


async def is_known(bench: Bench, uuid: str) -> bool:
    """Say whether the add-on takes this uuid for a resource: it changes its plan, unlike that of one it never met."""
    answer = await bench.put(uuid, {"plan": bench.plan})
    if answer.status not in _SERVED:
        return False
    never_met = await bench.put(str(uuid4()), {"plan": bench.plan})
    return never_met.status not in _SERVED

"""What is right and wrong about an add-on's answer, in sentences.

The rules are those of https://devcenter.heroku.com/articles/add-on-partner-api-reference and of the articles on config
vars and asynchronous provisioning beside it.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from .logs.drains import why_refused
from .offer import Offer
from .records import Finding

GIVES_UP_AFTER_SECONDS = 25
SHOULD_ANSWER_WITHIN_SECONDS = 3
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_NAME = re.compile(r"[A-Z][0-9A-Z_]+")


def problem(text: str) -> Finding:
    return Finding("problem", text)


def hint(text: str) -> Finding:
    return Finding("hint", text)


def note(text: str) -> Finding:
    return Finding("note", text)


def on_hold(*, is_overtaken: bool) -> Finding:
    """Say what became of a call that was kept waiting so that another could overtake it."""
    return note("The next call overtook it." if is_overtaken else "No other call came in time: it was only late.")


def on_time(seconds: float) -> list[Finding]:
    if seconds > GIVES_UP_AFTER_SECONDS:
        return [problem(f"No answer within {GIVES_UP_AFTER_SECONDS} s: Heroku gave up.")]
    if seconds > SHOULD_ANSWER_WITHIN_SECONDS:
        return [hint(f"Answered in {seconds:.1f} s; should be under {SHOULD_ANSWER_WITHIN_SECONDS} s.")]
    return []


def on_status(method: str, status: int) -> list[Finding]:
    """Judge what every call has in common: the status alone."""
    if status in {401, 403}:
        return [problem(f"Answered {status} although the manifest's id and password were sent.")]
    if status == 406:
        return [problem("Answered 406: Heroku's Accept header, a vendor media type, must be welcome.")]
    if status == 429:
        return [hint("Answered 429: Heroku treats it as a failure.")]
    if 300 <= status < 400:
        return [problem(f"Answered {status}: Heroku follows no redirects.")]
    if status >= 500:
        return [problem(f"Answered {status}: the customer is told that the add-on cannot be reached.")]
    return [problem("Answered 204: Heroku needs a JSON body.")] if status == 204 and method != "DELETE" else []


def on_provision(offer: Offer, status: int | None, body: Any) -> list[Finding]:
    if status in {200, 201, 202}:
        findings = [problem(text) for text in refused_provision(offer, status, body)]
        if status == 202 and isinstance(body, dict) and body.get("config"):
            findings.append(hint("A 202 carries no config: send it through the platform API when it is ready."))
        if status != 202 and isinstance(body, dict):
            config = body.get("config")
            missing = [name for name in offer.config_vars if name not in (config if isinstance(config, dict) else {})]
            if missing:
                findings.append(hint(f"Config vars of the manifest were not sent: {', '.join(missing)}."))
        if isinstance(body, dict) and body.get("log_drain_url") is not None:
            findings += _on_drain_url(offer, body["log_drain_url"])
        return findings
    return _refusal(status, body)


def _on_drain_url(offer: Offer, url: Any) -> list[Finding]:
    if "syslog_drain" not in offer.requires:
        return [hint("The log_drain_url is ignored: the manifest does not require syslog_drain.")]
    if isinstance(url, str) and url.startswith("http:"):
        return [hint("A log_drain_url of http does on this machine only: Heroku wants https or syslog.")]
    return []


def _is_drain_url(url: Any) -> bool:
    if why_refused(url) is not None:
        return False
    parts = urlsplit(url)
    return parts.scheme != "http" or parts.hostname in _LOOPBACK


def refused_provision(offer: Offer, status: int, body: Any) -> list[str]:
    """Return the reasons for which Heroku takes a success for a failure; none means the add-on may be installed."""
    if not isinstance(body, dict):
        return ["The answer's body is not a JSON object."]
    reasons = []
    if not isinstance(body.get("id"), str) or not body["id"]:
        reasons.append("The answer lacks an id, a string that is not empty.")
    if "syslog_drain" in offer.requires and not _is_drain_url(body.get("log_drain_url")):
        reasons.append("The manifest requires a syslog_drain, so the answer needs a log_drain_url (https or syslog).")
    if status != 202:
        reasons += refused_config(offer, body.get("config"))
    return reasons


def refused_config(offer: Offer, config: Any) -> list[str]:
    if config is None:
        return []
    if not isinstance(config, dict):
        return ["config is not a JSON object of names and values."]
    reasons = []
    for name, value in config.items():
        if name not in offer.config_vars:
            reasons.append(f"The config var {name} is not declared in the manifest.")
        elif not isinstance(value, str):
            reasons.append(f"The config var {name} has a value that is not a string.")
    return reasons


def on_config_values(offer: Offer, config: dict[str, Any]) -> list[Finding]:
    """Judge the values an app will boot with: a URL that does not parse stops it."""
    findings = []
    for name, value in config.items():
        if not _NAME.fullmatch(name) or offer.suffix(name) is None:
            findings.append(hint(f"{name} should be in capitals and begin with {offer.prefix}_."))
        if name.endswith("_URL") and isinstance(value, str) and not _is_url(value):
            findings.append(problem(f"The value of {name} is not a URL with a scheme and a host."))
    return findings


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return bool(parts.scheme and parts.hostname)


def on_plan_change(offer: Offer, status: int | None, body: Any) -> list[Finding]:
    if status in {200, 201}:
        if not isinstance(body, dict):
            return [problem("The answer's body is not a JSON object.")]
        return [problem(text) for text in refused_config(offer, body.get("config"))]
    if status in {404, 410}:
        return [problem(f"Answered {status} for a resource that is installed.")]
    return _refusal(status, body)


def on_deprovision(status: int | None) -> list[Finding]:
    if status == 202:
        return [problem("Answered 202: only add-ons that Heroku enabled for it may deprovision asynchronously.")]
    if status == 404:
        return [hint("Answered 404; 410 says that the resource is gone.")]
    if status == 422:
        return [problem("Refused a removal: the customer has removed the add-on, there is nothing to refuse.")]
    return []


def _refusal(status: int | None, body: Any) -> list[Finding]:
    if status == 422 and message_in(body) is None:
        return [problem("A refusal needs a message for the customer: a JSON body with a string message.")]
    if status is not None and 400 <= status < 500 and status not in {401, 403, 406, 410, 422, 429}:
        return [hint(f"Answered {status}; 422 with a message is how an add-on says no.")]
    return []


def message_in(body: Any) -> str | None:
    message = body.get("message") if isinstance(body, dict) else None
    return message if isinstance(message, str) and message else None


def on_repeat(first: tuple[int | None, Any], second: tuple[int | None, Any]) -> list[Finding]:
    """Compare (status, body) of one request that arrived twice: one uuid is one resource."""
    (first_status, first_body), (second_status, second_body) = first, second
    if first_status is None or second_status is None:
        return []
    if (first_status < 300) != (second_status < 300):
        return [problem(f"The same request arrived twice and was answered {first_status} and {second_status}.")]
    if not isinstance(first_body, dict) or not isinstance(second_body, dict):
        return []
    return [
        problem(f"The same request arrived twice and was answered with two different values of {key}.")
        for key in ("id", "config")
        if key in first_body and key in second_body and first_body[key] != second_body[key]
    ]

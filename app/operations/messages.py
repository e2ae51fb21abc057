"""What a message about alerts says: kept as plain facts, and written out for a mail, for a chat and for programs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.operations.alerts import KINDS
from app.operations.models import Alert

# The rest is counted; the panel shows all.
MOST_NAMED: Final = 20
_LONGEST_SUBJECT: Final = 150

Content = Mapping[str, Any]


def content(service: str, panel_url: str, begun: Sequence[Alert], over: Sequence[Alert]) -> dict[str, Any]:
    """The facts of a message.

    Args:
        service: the add-on's name.
        panel_url: where the operators' pages are.
        begun: alerts that the team is told of for the first time.
        over: alerts that have come to their end.
    """
    return {
        "service": service,
        "url": f"{panel_url}/alerts",
        "begun": _facts(panel_url, begun),
        "begun_kinds": dict(Counter(alert.kind for alert in begun)),
        "over": _facts(panel_url, over),
        "over_kinds": dict(Counter(alert.kind for alert in over)),
    }


def trial(service: str, panel_url: str, sender: str) -> dict[str, Any]:
    """The facts of a message that only shows that messages arrive."""
    return content(service, panel_url, (), ()) | {"trial_by": sender}


def _facts(panel_url: str, alerts: Sequence[Alert]) -> list[dict[str, Any]]:
    """The first ones; of several kinds each has its share, so that a storm of one hides no other."""
    number = Counter(alert.kind for alert in alerts)
    share = max(1, MOST_NAMED // max(1, len(number)))
    taken: Counter[str] = Counter()
    named = []
    for alert in alerts:
        if taken[alert.kind] < share:
            taken[alert.kind] += 1
            named.append(alert)
    return [
        {
            "id": alert.id,
            "kind": alert.kind,
            "title": title(alert.kind),
            "text": alert.text,
            "subject": alert.subject or None,
            "opened_at": alert.opened_at.isoformat(timespec="seconds"),
            "closed_at": None if alert.closed_at is None else alert.closed_at.isoformat(timespec="seconds"),
            "url": f"{panel_url}{page(alert)}",
        }
        for alert in named
    ]


def page(alert: Alert) -> str:
    """Where the panel shows what an alert is about, within the panel."""
    if alert.subject:
        return f"/resources/{alert.subject}"
    if alert.kind == "audit_broken":
        return "/audit"
    return "/reconciliation" if alert.kind.startswith("reconciliation") else ""


def title(kind: str) -> str:
    """The heading of a kind; of one that an older version of the program knew, its name."""
    return KINDS[kind].title if kind in KINDS else kind


def subject(of: Content) -> str:
    """One line that says the most important."""
    if "trial_by" in of:
        words = "a trial of alerts"
    else:
        begun, over = of["begun_kinds"], of["over_kinds"]
        words = ", ".join(_counted(kinds, suffix) for kinds, suffix in ((begun, ""), (over, ", over")) if kinds)
    line = f"{of['service']}: {words}"
    return "".join(c if c.isprintable() else " " for c in line)[:_LONGEST_SUBJECT]


def _counted(kinds: Mapping[str, int], suffix: str) -> str:
    return ", ".join(f"{title(kind)}{f' ({number:,})' if number > 1 else ''}{suffix}" for kind, number in kinds.items())


def body(of: Content) -> str:
    """All of it, as lines of text."""
    if "trial_by" in of:
        lines = [f"{of['trial_by']} tries whether alerts arrive here. They do; nothing is wrong.", ""]
    else:
        lines = _section("", of["begun"], of["begun_kinds"]) + _section(" is over", of["over"], of["over_kinds"])
    return "\n".join([*lines, f"All alerts: {of['url']}", ""])


def _section(suffix: str, alerts: Sequence[Mapping[str, Any]], kinds: Mapping[str, int]) -> list[str]:
    lines = []
    for kind, number in kinds.items():
        named = [alert for alert in alerts if alert["kind"] == kind]
        heading = f"{title(kind)}{suffix}"
        lines.append(f"{heading} ({number:,})" if number > 1 else heading)
        if not suffix and kind in KINDS:
            lines.append(KINDS[kind].advice)
        for alert in named:
            lines += [f"- {alert['text']}", f"  {alert['url']}"]
        if number > len(named):
            lines.append(f"- and {number - len(named):,} more")
        lines.append("")
    return lines


def for_chat(of: Content) -> str:
    """The same for a chat, where angle brackets would be commands."""
    text = f"{subject(of)}\n{body(of)}"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").rstrip()

"""What the values of config vars must be so that an app can boot with them."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from app.conformance.bench import Bench
from app.conformance.requirement import Unmet
from app.conformance.target import is_loopback


def must_be_usable(bench: Bench, config: Mapping[str, str]) -> None:
    """Raise Unmet for a value that stops an app; an add-on on the developer's machine may name that machine."""
    for name, value in config.items():
        fault = _fault_of(name, value, may_be_loopback=bench.is_on_loopback)
        if fault is not None:
            raise Unmet(
                "An app can boot with every config var: texts without NUL, URLs with a scheme and a host.",
                f"The value of {name} {fault}.",
            )


def _fault_of(name: str, value: str, *, may_be_loopback: bool) -> str | None:
    """Say what is wrong, as the end of a sentence without the value; None when nothing is."""
    if "\0" in value:
        return "has a NUL character"
    if not name.endswith("_URL"):
        return None
    try:
        # Only what is before the first comma: some URLs name several servers.
        parts = urlsplit(value.partition(",")[0])
        host = parts.hostname
    except ValueError:
        return "is not a URL"
    if not parts.scheme or not host or value != value.strip():
        return "is not a URL with a scheme and a host"
    if is_loopback(host) and not may_be_loopback:
        return "leads to the customer's own dyno, not to the add-on"
    return None

"""What a fault is: one thing that the correct add-on does wrong on order.

`may_trip` names the groups of requirements that may notice. A fault with a `manifest` is in that file alone: its keys
replace those of the manifest's `api`, or of itself where it has them. One that can `alter` is in what passes between
Heroku and the add-on. All checks that can meet it are run against each fault, with two exceptions: of one with `only`,
which disturbs the rest by its leftovers or is theirs alone, these groups or ids; of one that `is_on_sockets`, which
takes a process of its own, at most the groups it may trip.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from passing import Passing

# Where work in the background is looked at: what stops all of it shows in each of these.
_BACKGROUND = frozenset({"asynchronous-provisioning", "config", "oauth", "plan-change", "deprovision", "races"})


@dataclass(frozen=True)
class Fault:
    """`alter` is a function, or a class of such that remember what has passed."""

    name: str
    sentence: str
    may_trip: frozenset[str]
    manifest: Mapping[str, Any] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    is_on_sockets: bool = False
    alter: Callable[[Passing], None] | type[Callable[[Passing], None]] | None = None


def fault(name: str, sentence: str, *may_trip: str) -> Fault:
    return Fault(name, sentence, frozenset(may_trip))


def waiting(name: str, sentence: str, *may_trip: str) -> Fault:
    """Make a fault that lets whoever waits for the background wait in vain."""
    return Fault(name, sentence, frozenset(may_trip) | _BACKGROUND)


def narrow(name: str, sentence: str, group: str, *ids: str) -> Fault:
    """Make a fault that is looked for by these requirements of one group alone."""
    return Fault(name, sentence, frozenset({group}), only=ids)


def in_manifest(name: str, sentence: str, /, *ids: str, **manifest: Any) -> Fault:
    """Make a fault that no request shows."""
    return Fault(name, sentence, frozenset({"manifest", "secrets"}), manifest, only=("manifest", *ids))


def altered(alter: Callable[[Passing], None] | type, sentence: str, group: str, *ids: str) -> Fault:
    """Make a fault that is named like the function."""
    name = re.sub("(?<=[a-z])(?=[A-Z])", "_", alter.__name__).lower().replace("_", "-")
    return Fault(name, sentence, frozenset({group}), only=ids, alter=alter)

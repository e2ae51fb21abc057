"""Which requirements a run checks: by id, by group, by a pattern of either, by weight."""

import difflib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from .requirement import Level, Requirement


class NothingSelected(Exception):
    """A pattern fits nothing, or nothing is left; the message is one sentence."""


def select(
    requirements: Sequence[Requirement],
    *,
    only: Iterable[str] = (),
    skip: Iterable[str] = (),
    level: Level = Level.SHOULD,
) -> list[Requirement]:
    """Return what to check, in order. `only` and `skip` are ids or groups, in which `*` stands for anything.

    `level` is the least weight: MUST leaves the SHOULDs out.
    """
    only, skip = list(only), list(skip)
    for pattern in (*only, *skip):
        if not any(_fits(one, pattern) for one in requirements):
            raise NothingSelected(_unknown(requirements, pattern))
    chosen = [
        one
        for one in requirements
        if (not only or any(_fits(one, pattern) for pattern in only))
        and not any(_fits(one, pattern) for pattern in skip)
        and (level is Level.SHOULD or one.level is Level.MUST)
    ]
    if not chosen:
        raise NothingSelected("No requirement is left to check.")
    return chosen


def _fits(requirement: Requirement, pattern: str) -> bool:
    return fnmatchcase(requirement.id, pattern) or fnmatchcase(requirement.group, pattern)


def _unknown(requirements: Sequence[Requirement], pattern: str) -> str:
    names = [*dict.fromkeys(one.group for one in requirements), *(one.id for one in requirements)]
    near = difflib.get_close_matches(pattern, names, 1)
    meant = f" Did you mean {near[0]}?" if near else " --list lists them all."
    return f"There is no requirement or group {pattern}.{meant}"

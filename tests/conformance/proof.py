"""Does the checker bite? Every fault is given to the add-on: the table is what failed.

The add-on asks itself by name whether it has a fault, where that fault would begin. A check in which the correct one
never asks goes the same way with the fault as without it, and is not run once more.
"""

import asyncio
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from addon import MANIFEST, AddOn
from addon_fault import Fault
from checking import bench_with, check
from checking_on_sockets import check_on_sockets
from every_fault import BY_NAME, FAULTS
from hurrying import hurried
from tampering import tampered

from app.conformance.requirement import Requirement
from app.conformance.requirements import ALL
from app.conformance.run import Result, run

TABLE = Path(__file__).parent.parent.parent / "docs" / "conformance-faults.md"
_PROCESSES = 2
# By a requirement's id, names of faults.
Asked = Mapping[str, AbstractSet[str]]

# What is known to go wrong and cannot be shown by an add-on of ours, with the reason.
NOT_SHOWN = {
    "A password is compared with the language's own `==`": (
        "From outside only the time tells, and a fast comparison differs by nanoseconds. The fault "
        "`password-compared-by-character` exaggerates it."
    ),
    "One uuid is kept unique by a query and not by an index": (
        "It shows when two requests meet: `uniqueness-by-query` makes sure that they do."
    ),
    "A grant or a token is stored in clear": "It is in the add-on's own database.",
    "The manifest with the real password was committed": (
        "What is in somebody's repository is not asked; a password that can be guessed is found."
    ),
}


@dataclass(frozen=True)
class Seen:
    """What became of one requirement: a result's plain facts, which may travel between processes."""

    id: str
    group: str
    outcome: str
    reason: str


async def seen_with(name: str | None, asked: Asked | None = None) -> list[Seen]:
    """Run the checks against the add-on with that fault, or against the correct one; `asked` leaves out what it may."""
    fault = BY_NAME[name] if name else Fault("", "", frozenset())
    faults = [name] if name and not fault.alter else []
    requirements = [one for one in ALL if not fault.only or {one.group, one.id} & set(fault.only)]
    if asked and not (fault.only or fault.manifest):
        requirements = [one for one in requirements if name in asked[one.id]]
    with TemporaryDirectory() as place:
        folder = Path(place)
        if fault.is_on_sockets:
            requirements = [one for one in requirements if one.group in fault.may_trip]
            results = await check_on_sockets(requirements, folder, faults)
        else:
            results = await check(
                requirements,
                kind=_altered(fault),
                faults=faults,
                manifest=_manifest(fault),
                log_path=folder / "addon.log",
            )
    return seen(results)


async def asked_by_the_correct_one() -> Asked:
    """Tell for each requirement which faults the correct add-on asks itself about while it is checked."""
    asked: dict[str, set[str]] = {}
    latest = at_start = set[str]()

    class Asking(AddOn):
        def has(self, fault: str) -> bool:
            latest.add(fault)
            return super().has(fault)

    def turn_to(requirement: Requirement) -> None:
        nonlocal latest
        latest = asked[requirement.id] = set()

    with TemporaryDirectory() as place:
        async with bench_with(kind=Asking, log_path=Path(place) / "addon.log") as bench:
            await run(bench, ALL, on_start=turn_to)
    return {id_: names | at_start for id_, names in asked.items()}


def _manifest(fault: Fault) -> dict[str, Any]:
    """Return the manifest with what the fault has in it, in its `api` or in itself."""
    itself = {name: value for name, value in fault.manifest.items() if name in MANIFEST}
    of_api = {name: value for name, value in fault.manifest.items() if name not in MANIFEST}
    return MANIFEST | itself | {"api": MANIFEST["api"] | of_api}


def _altered(fault: Fault) -> type[AddOn] | None:
    if fault.alter is None:
        return None
    return tampered(fault.alter() if isinstance(fault.alter, type) else fault.alter)


def seen(results: Iterable[Result]) -> list[Seen]:
    return [Seen(one.requirement.id, one.requirement.group, one.outcome, one.reason) for one in results]


def observe() -> dict[str, list[Seen]]:
    """Run the checks against every fault, in two processes.

    What takes sockets is also about time and comes afterwards, alone.
    """
    together = [fault.name for fault in FAULTS if not fault.is_on_sockets]
    asked = hurried(asked_by_the_correct_one())
    with ProcessPoolExecutor(_PROCESSES, get_context("spawn")) as pool:
        known = dict(zip(together, pool.map(partial(observe_alone, asked=asked), together), strict=True))
    return {fault.name: known.get(fault.name) or observe_alone(fault.name) for fault in FAULTS}


def observe_alone(name: str | None, *, asked: Asked | None = None) -> list[Seen]:
    """Run the checks against the add-on with that fault, or against the correct one: on sockets, else in a hurry."""
    is_on_sockets = name is not None and BY_NAME[name].is_on_sockets
    return (asyncio.run if is_on_sockets else hurried)(seen_with(name, asked))


def failed(results: Iterable[Seen]) -> list[str]:
    return [one.id for one in results if one.outcome == "failed"]


def table(observed: Mapping[str, list[Seen]]) -> str:
    """Write what was observed as Markdown."""
    lines = [
        "# What the conformance checker finds",
        "",
        "A small add-on that does everything right is given one fault after the other, and all checks that can meet",
        "it are run. Many of the faults have been read in add-ons that were sold. This table is what failed, and is",
        "written by `python tests/conformance/write_table.py`; a test compares it with what happens. Every requirement",
        "is in it: each was seen to fail.",
        "",
        "| Fault | What the add-on does | Checks that fail |",
        "|---|---|---|",
    ]
    lines += [row(name, results) for name, results in observed.items()]
    lines += ["", "## What is not shown", "", "| Mistake | Why |", "|---|---|"]
    lines += [f"| {mistake}. | {why} |" for mistake, why in NOT_SHOWN.items()]
    return "\n".join(lines) + "\n"


def row(name: str, results: Iterable[Seen]) -> str:
    found = "<br>".join(f"{one.group}: `{one.id}`" for one in results if one.outcome == "failed")
    return f"| `{name}` | {BY_NAME[name].sentence}. | {found} |"

"""Does the checker bite? Every fault is given to the add-on and all checks are run: what failed is the table."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from addon import MANIFEST
from addon_faults import BY_NAME, FAULTS, Fault
from checking import check
from checking_on_sockets import check_on_sockets

from app.conformance.requirements import ALL
from app.conformance.run import Result

TABLE = Path(__file__).parent.parent.parent / "docs" / "conformance-faults.md"
_AT_ONCE = 4
_PROCESSES = 2

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


async def seen_with(name: str | None) -> list[Seen]:
    """Run the checks against the add-on with that fault, or against the correct one."""
    fault = BY_NAME[name] if name else Fault("", "", frozenset())
    faults = [name] if name else []
    api = MANIFEST["api"] | dict(fault.manifest)
    requirements = [one for one in ALL if not fault.only or {one.group, one.id} & set(fault.only)]
    with TemporaryDirectory() as place:
        folder = Path(place)
        if fault.is_on_sockets:
            requirements = [one for one in requirements if one.group in fault.may_trip]
            results = await check_on_sockets(requirements, folder, faults)
        else:
            manifest = {**MANIFEST, "api": api}
            results = await check(
                requirements,
                faults=faults,
                manifest=manifest,
                log_path=folder / "addon.log",
                patience=fault.patience,
            )
    return seen(results)


def seen(results: Iterable[Result]) -> list[Seen]:
    return [Seen(one.requirement.id, one.requirement.group, one.outcome, one.reason) for one in results]


def observe() -> dict[str, list[Seen]]:
    """Run all checks against every fault, in two processes and several at once: most is waiting.

    What takes sockets is also about time and comes afterwards, alone.
    """
    together = [fault.name for fault in FAULTS if not fault.is_on_sockets]
    parts = [together[start::_PROCESSES] for start in range(_PROCESSES)]
    with ProcessPoolExecutor(_PROCESSES, get_context("spawn")) as pool:
        known = {name: results for part in pool.map(_observe_part, parts) for name, results in part.items()}
    return {fault.name: known.get(fault.name) or observe_alone(fault.name) for fault in FAULTS}


def observe_alone(name: str) -> list[Seen]:
    return asyncio.run(seen_with(name))


def _observe_part(names: Sequence[str]) -> dict[str, list[Seen]]:
    async def all_of_them() -> list[list[Seen]]:
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(name: str) -> list[Seen]:
            async with turns:
                return await seen_with(name)

        return await asyncio.gather(*(one(name) for name in names))

    return dict(zip(names, asyncio.run(all_of_them()), strict=True))


def failed(results: Iterable[Seen]) -> list[str]:
    return [one.id for one in results if one.outcome == "failed"]


def table(observed: Mapping[str, list[Seen]]) -> str:
    """Write what was observed as Markdown."""
    lines = [
        "# What the conformance checker finds",
        "",
        "A small add-on that does everything right is given one fault after the other, and all checks are run against",
        "it. Most of the faults have been read in add-ons that were sold. This table is what failed, and is written by",
        "`python tests/conformance/write_table.py`; a test compares it with what happens.",
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

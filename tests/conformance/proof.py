"""Does the checker bite? Every fault is given to the add-on and all checks are run: what failed is the table."""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from addon import MANIFEST
from addon_faults import BY_NAME, FAULTS
from checking import check

from app.conformance.requirement import Requirement
from app.conformance.requirements import ALL, GROUPS
from app.conformance.run import Result

TABLE = Path(__file__).parent.parent.parent / "docs" / "conformance-faults.md"
_AT_ONCE = 8

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


def _manifest_with(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {**MANIFEST, "api": {**MANIFEST["api"], **changes}}


async def results_of(fault: str | None, requirements: Iterable[Requirement] = ALL) -> list[Result]:
    """Run the checks against the add-on with that fault, or against the correct one."""
    with TemporaryDirectory() as folder:
        return await check(
            requirements,
            faults=[] if fault is None else [fault],
            manifest=_manifest_with(BY_NAME[fault].manifest if fault else {}),
            log_path=Path(folder) / "addon.log",
        )


async def observe(faults: Iterable[str] | None = None) -> dict[str, list[Result]]:
    """Run all checks against every fault, several add-ons at once: most of the time is waiting."""
    names = [fault.name for fault in FAULTS] if faults is None else list(faults)
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str) -> list[Result]:
        async with turns:
            return await results_of(name)

    return dict(zip(names, await asyncio.gather(*(one(name) for name in names)), strict=True))


def failed(results: Iterable[Result]) -> list[str]:
    return [one.requirement.id for one in results if one.outcome == "failed"]


def table(observed: Mapping[str, list[Result]]) -> str:
    """Write what was observed as Markdown."""
    groups = {requirement.id: group for group, of_group in GROUPS.items() for requirement in of_group}
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
    for name, results in observed.items():
        found = "<br>".join(f"{groups[one]}: `{one}`" for one in failed(results))
        lines.append(f"| `{name}` | {BY_NAME[name].sentence}. | {found} |")
    lines += ["", "## What is not shown", "", "| Mistake | Why |", "|---|---|"]
    lines += [f"| {mistake}. | {why} |" for mistake, why in NOT_SHOWN.items()]
    return "\n".join(lines) + "\n"

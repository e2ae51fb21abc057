"""What was measured, as data, as Markdown and as a picture.

`measurements.json` has the data of every part that was measured, each with its own day and machine; from it alone the
two others are written, so a part that is measured again changes nothing else.
"""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.chart import chart
from bench.figures import Bar, Spread

_HEAD: Final = """# Measurements

Written by `python -m bench`; what it means, what was tried and what helped is told in [performance](performance.md).
Every part compares what was taken in one run, in turns. Numbers are medians of the rounds, with the lowest and the
highest in parentheses. What counts is the ratios: a machine with more cores gives other rates.

![Provisions a second, beside the limit and other add-ons](measurements.svg)

A bar is the median, the line on it goes from the lowest round to the highest. It does not show what an add-on leaves
out to be fast: the column *MUST* below does.
"""


def circumstances() -> str:
    """When and on what something was measured."""
    day = datetime.now(UTC).date().isoformat()
    return (
        f"{day}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} at the end"
    )


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a head; the first column is words, the others are numbers."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the report.

    Attributes:
        name: of the part, as it is typed.
        title: the heading.
        text: paragraphs below it: what was measured, and how.
        tables: the numbers.
        bars: for the picture.
        remarks: paragraphs below the tables.
    """

    name: str
    title: str
    text: Sequence[str]
    tables: Sequence[Table]
    bars: Sequence[Bar] = ()
    remarks: Sequence[str] = ()
    measured: str = field(default_factory=circumstances)


def write(sections: Sequence[Section], folder: Path) -> None:
    """Put the sections in the place of those of the same name, and write the three files anew."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "measurements.json"
    known: dict[str, Any] = json.loads(data.read_text()) if data.exists() else {}
    known |= {section.name: asdict(section) for section in sections}
    data.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    everything = [_section(one) for one in known.values()]
    (folder / "measurements.md").write_text("\n".join([_HEAD, *map(markdown, everything)]))
    bars = next((section.bars for section in everything if section.bars), ())
    (folder / "measurements.svg").write_text(chart("Provisions a second", bars))


def markdown(section: Section) -> str:
    """The section as text."""
    parts = [f"## {section.title}", f"`python -m bench {section.name}`; {section.measured}.", *section.text]
    for table in section.tables:
        if table.title:
            parts.append(f"**{table.title}**")
        parts.append("\n".join(_lines(table)))
    return "\n\n".join([*parts, *section.remarks]) + "\n"


def _lines(table: Table) -> list[str]:
    bars = ["---", *["---:"] * (len(table.head) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (table.head, bars, *table.rows)]


def _section(data: Mapping[str, Any]) -> Section:
    tables = [Table(**table) for table in data["tables"]]
    bars = [Bar(bar["label"], Spread(**bar["spread"]), bar["is_ours"]) for bar in data["bars"]]
    return Section(**{**data, "tables": tables, "bars": bars})

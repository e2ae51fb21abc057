"""`python -m bench [PART ...]`: measure on this machine, and write the report."""

import enum
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from bench import find, growth, provision, pushes, starting
from bench.processes import PROJECT
from bench.report import Section, markdown, write
from bench.server import Server, postgres_server


class Part(enum.StrEnum):
    """What can be measured."""

    PROVISION = enum.auto()
    GROWTH = enum.auto()
    PUSHES = enum.auto()
    STARTUP = enum.auto()
    FIND = enum.auto()


@dataclass(frozen=True, slots=True)
class How:
    """How much is measured: the options of the command."""

    quick: bool
    has_peers: bool
    rows: int

    @property
    def sizes(self) -> list[int]:
        """Of databases, each ten times the one before, up to `rows` resources."""
        first = 100 if self.quick else 1_000
        steps = [first * 10**step for step in range(7)]
        return [*(size for size in steps if size < self.rows), self.rows]


_PARTS: Final[Mapping[Part, Callable[[Server, How], Section]]] = {
    Part.PROVISION: lambda server, how: provision.measure(
        server, rounds=1 if how.quick else 5, seconds=1 if how.quick else 4, has_peers=how.has_peers
    ),
    Part.GROWTH: lambda server, how: growth.measure(
        server, sizes=how.sizes, rounds=1 if how.quick else 3, seconds=1 if how.quick else 3
    ),
    Part.PUSHES: lambda server, how: pushes.measure(
        server, number=30 if how.quick else 10_000, workers=(1,) if how.quick else (1, 2, 4)
    ),
    Part.STARTUP: lambda server, how: starting.measure(
        server, rounds=1 if how.quick else 5, seconds=1 if how.quick else 20
    ),
    Part.FIND: lambda server, how: find.fill_and_measure(
        server, [how.sizes[0], how.sizes[-1]], with_peers=how.has_peers
    ),
}


def main(
    parts: Annotated[list[Part] | None, typer.Argument(help="What to measure; default: everything.")] = None,
    into: Annotated[
        Path | None, typer.Option(help="The folder of the report; default: docs, and nowhere with --quick.")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(min=1_000, help="How many resources the largest database has; default: a million.")
    ] = None,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Short and small: to try it out, not to be believed.")] = False,
    peers: Annotated[bool, typer.Option(help="Install and measure other add-ons beside this one.")] = True,
) -> None:
    """Measure on this machine, and write the report. docs/performance.md tells what each part asks."""
    # Whoever is ended by a signal leaves servers, which have lost their database, and a folder behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    folder = into or (None if quick else PROJECT / "docs")
    for part in parts or list(Part):
        with postgres_server() as server:
            section = _PARTS[part](server, How(quick, peers, rows or (1_000 if quick else 1_000_000)))
        typer.echo(markdown(section))
        if folder is not None:
            write([section], folder)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()

"""What a person sees while a run goes on: a line for each result, and on a terminal how far it is."""

from collections.abc import Callable
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from .reports import text_report
from .reports.report import Report
from .requirement import Requirement
from .run import Result


class Screen:
    """The run on a terminal, or as plain lines in a log. Use as `with` around the run.

    On standard error it leaves the standard output to a report. With `is_quiet` only failures and the end are printed.
    `repeat` returns the command that checks a requirement again.
    """

    def __init__(self, total: int, repeat: Callable[[str], str], *, is_on_stderr: bool, is_quiet: bool) -> None:
        self._console = Console(stderr=is_on_stderr, highlight=False)
        self._repeat = repeat
        self._is_quiet = is_quiet
        self._group = ""
        columns = (BarColumn(30), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
        self._progress = Progress(
            *columns, console=self._console, transient=True, disable=is_quiet or not self._console.is_terminal
        )
        self._bar = self._progress.add_task("", total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, *lines: str) -> None:
        if not self._is_quiet:
            for line in lines:
                self._console.print(Text(line), soft_wrap=True)

    def warn(self, line: str) -> None:
        self._console.print(Text(line, "yellow"), soft_wrap=True)

    def on_start(self, requirement: Requirement) -> None:
        self._progress.update(self._bar, description=requirement.id)

    def on_result(self, result: Result) -> None:
        self._progress.advance(self._bar)
        if self._is_quiet and result.outcome != "failed":
            return
        if result.requirement.group != self._group:
            self._group = result.requirement.group
            text_report.say_group(self._console, self._group)
        text_report.say_result(self._console, result, self._repeat(result.requirement.id))

    def end(self, report: Report) -> None:
        text_report.say_end(self._console, report)

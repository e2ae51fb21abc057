"""The report for a terminal, line by line, as results come in; without colours the same for a log."""

from io import StringIO
from textwrap import indent

from rich.console import Console
from rich.text import Text

from app.conformance.run import Result

from .evidence import answer_text, printable, request_text, title
from .report import Report

_STYLES = {"passed": "green", "failed": "bold red", "skipped": "yellow"}
_INDENT = " " * 10


def write(report: Report) -> str:
    """Return the whole report without colours."""
    console = Console(file=StringIO(), color_system=None, width=120, soft_wrap=True)
    for group, results in report.groups:
        say_group(console, group)
        for result in results:
            say_result(console, result, report.repeat(result.requirement.id))
    say_end(console, report)
    file = console.file
    return file.getvalue() if isinstance(file, StringIO) else ""


def say_group(console: Console, group: str) -> None:
    console.print()
    console.print(Text(group, "bold"), soft_wrap=True)


def say_result(console: Console, result: Result, repeat: str) -> None:
    """Print what became of a requirement; of one that failed everything that helps to mend it."""
    requirement = result.requirement
    line = Text.assemble(
        "  ",
        (f"{result.outcome:<8}", _STYLES[result.outcome]),
        f"{requirement.level:<7}{requirement.id}",
        (f"  {result.seconds:.2f} s" if result.outcome != "skipped" else "", "dim"),
    )
    console.print(line, soft_wrap=True)
    if result.outcome == "skipped":
        console.print(Text(f"{_INDENT}{printable(result.reason)}", "dim"), soft_wrap=True)
    for name, figure in result.measured.items():
        console.print(Text(f"{_INDENT}{name}: {printable(figure)}", "dim"), soft_wrap=True)
    if result.outcome == "failed":
        console.print(Text(indent("\n".join(_why(result, repeat)), _INDENT)), soft_wrap=True)


def _why(result: Result, repeat: str) -> list[str]:
    lines = [
        result.requirement.sentence,
        f"Seen:     {printable(result.reason)}",
        f"Expected: {printable(result.expected)}",
        f"Heroku:   {result.requirement.doc}",
        f"Again:    {repeat}",
    ]
    for exchange in result.evidence:
        lines += ["", f"{title(exchange)}:", _marked(request_text(exchange), ">"), _marked(answer_text(exchange), "<")]
    return lines


def _marked(text: str, mark: str) -> str:
    return "\n".join(f"  {mark} {line}".rstrip() for line in text.split("\n"))


def say_end(console: Console, report: Report) -> None:
    console.print()
    console.print(Text(report.summary, "bold"), soft_wrap=True)
    console.print(Text(report.verdict, "green" if report.has_passed else "red"), soft_wrap=True)

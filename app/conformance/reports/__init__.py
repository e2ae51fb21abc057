"""What a run found, in the format that whoever reads it understands.

report.py       the facts that every format tells
evidence.py     an exchange as text
text_report, markdown_report    for people: a terminal; a pull request
json_report, junit_report, sarif_report    for programs: your own; a CI server; a code scanner
"""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from . import json_report, junit_report, markdown_report, sarif_report, text_report
from .report import Report


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    SARIF = "sarif"
    MARKDOWN = "markdown"


_WRITERS: dict[Format, Callable[[Report], str]] = {
    Format.TEXT: text_report.write,
    Format.JSON: json_report.write,
    Format.JUNIT: junit_report.write,
    Format.SARIF: sarif_report.write,
    Format.MARKDOWN: markdown_report.write,
}
_ENDINGS = {
    ".txt": Format.TEXT,
    ".json": Format.JSON,
    ".xml": Format.JUNIT,
    ".sarif": Format.SARIF,
    ".md": Format.MARKDOWN,
}


def write(report: Report, form: Format) -> str:
    return _WRITERS[form](report)


def format_of(path: Path) -> Format | None:
    """Tell the format by a file's ending; None when it tells nothing."""
    return _ENDINGS.get(path.suffix.lower())

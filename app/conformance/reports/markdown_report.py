"""The report in Markdown, for a pull request's comment or the summary of a CI job."""

import re

from app.conformance.run import Result

from .evidence import answer_text, printable, request_text, title
from .report import Report

_MARKS = {"passed": "✅", "failed": "❌", "skipped": "⏭️"}


def write(report: Report) -> str:
    heading = f"## {_MARKS['passed' if report.has_passed else 'failed']} Conformance of {report.addon}"
    lines = [heading, "", f"{report.summary}. {report.verdict}", ""]
    failed = [one for one in report.results if one.outcome == "failed"]
    for result in failed:
        lines += _failure(report, result)
    lines += _overview(report)
    return "\n".join(lines)


def _failure(report: Report, result: Result) -> list[str]:
    requirement = result.requirement
    lines = [
        f"### {requirement.level}: {requirement.id}",
        "",
        f"{requirement.sentence} ([Heroku's page]({requirement.doc}))",
        "",
        f"- **Seen:** {in_line(result.reason)}",
        f"- **Expected:** {in_line(result.expected)}",
        "",
        *_block(report.repeat(requirement.id), "sh"),
    ]
    if result.evidence:
        lines += ["<details><summary>What went over the wire</summary>", ""]
        for exchange in result.evidence:
            lines += [f"{title(exchange)}:", ""]
            lines += [*_block(request_text(exchange), "http"), *_block(answer_text(exchange), "http")]
        lines += ["</details>", ""]
    return lines


def _overview(report: Report) -> list[str]:
    lines = ["<details><summary>All requirements</summary>", ""]
    for group, results in report.groups:
        lines += [f"#### {group}", "", "| | level | requirement | took | |", "|---|---|---|---|---|"]
        for one in results:
            note = one.reason if one.outcome != "passed" else _figures(one)
            requirement = one.requirement
            link = f"[{requirement.id}]({requirement.doc})"
            took = f"{one.seconds:.2f} s" if one.outcome != "skipped" else ""
            lines.append(f"| {_MARKS[one.outcome]} | {requirement.level} | {link} | {took} | {in_line(note)} |")
        lines.append("")
    return [*lines, "</details>", ""]


def _figures(result: Result) -> str:
    return "; ".join(f"{name}: {figure}" for name, figure in result.measured.items())


def in_line(text: str) -> str:
    """Escape what Markdown or HTML would take for its own; a table's cell is one line."""
    escaped = re.sub(r"([\\`*_\[\]|<>#])", r"\\\1", printable(text))
    return " ".join(escaped.split())


def _block(text: str, language: str) -> list[str]:
    """Fence a text in more backticks than it has itself."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", text, fence, ""]

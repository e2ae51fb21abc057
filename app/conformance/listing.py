"""The list of requirements, without checking any: for a terminal, for programs, and as a page of the documentation."""

import json
from collections.abc import Sequence
from itertools import groupby

from .reports import Format
from .reports.json_report import requirement_data
from .reports.markdown_report import in_line
from .requirement import Requirement

_LISTED = {Format.TEXT, Format.JSON, Format.MARKDOWN}
_PREFACE = """# The requirements

What the [conformance checker](conformance.md) checks, in the order in which it does. A **MUST** is demanded by Heroku's
documentation, or customers lose money, data or safety without it; a **SHOULD** is good conduct. This page is written by
`./run conform --list --format markdown`.
"""


def can_list(form: Format) -> bool:
    return form in _LISTED


def listing(requirements: Sequence[Requirement], form: Format) -> str:
    """Return the list; `form` is one that `can_list` knows."""
    if form is Format.JSON:
        return json.dumps([requirement_data(one) for one in requirements], indent=2, ensure_ascii=False) + "\n"
    return _markdown(requirements) if form is Format.MARKDOWN else _text(requirements)


def _text(requirements: Sequence[Requirement]) -> str:
    lines = []
    for group, ones in groupby(requirements, lambda one: one.group):
        lines += ["", group, *(f"  {one.level:<7}{one.id}\n         {one.sentence}" for one in ones)]
    return "\n".join([*lines[1:], "", f"{len(requirements)} requirements.", ""])


def _markdown(requirements: Sequence[Requirement]) -> str:
    lines = [_PREFACE]
    for group, ones in groupby(requirements, lambda one: one.group):
        lines += [f"## {group}", "", "| id | level | what is true of a correct add-on |", "|---|---|---|"]
        lines += [f"| [`{one.id}`]({one.doc}) | {one.level} | {in_line(one.sentence)} |" for one in ones]
        lines.append("")
    return "\n".join(lines)

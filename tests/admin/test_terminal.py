"""Tables on a terminal, and for what is no terminal."""

import re
from uuid import UUID

import pytest

from app.commands import terminal

ID = UUID("699b9516-23ac-4fab-947e-ac25da8b829e")
ROWS = [
    {"uuid": ID, "name": "acme-postgres-opaque-16667", "state": "provisioning", "trouble": "push waits"},
    {"uuid": ID, "name": "acme-postgres-closed-55061", "state": "provisioned", "trouble": None},
]


def shown(monkeypatch, capsys, columns: int | None, *, is_terminal: bool) -> list[str]:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", str(columns))
    for name, value in {"TTY_COMPATIBLE": "1" if is_terminal else "0", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    terminal.show(ROWS, as_json=False, empty="none")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    return [line.rstrip() for line in plain.splitlines()]


@pytest.mark.parametrize(("columns", "is_terminal"), [(120, True), (None, False)])
def test_a_table_has_a_line_for_each_row(monkeypatch, capsys, columns, is_terminal):
    lines = shown(monkeypatch, capsys, columns, is_terminal=is_terminal)
    assert [line.split() for line in lines] == [
        ["uuid", "name", "state", "trouble"],
        [str(ID), "acme-postgres-opaque-16667", "provisioning", "push", "waits"],
        [str(ID), "acme-postgres-closed-55061", "provisioned"],
    ]


def test_where_a_terminal_is_too_narrow_no_word_is_torn_apart(monkeypatch, capsys):
    assert [" ".join(line.split()) for line in shown(monkeypatch, capsys, 60, is_terminal=True)] == [
        f"uuid {ID}",
        "name acme-postgres-opaque-16667",
        "state provisioning",
        "trouble push waits",
        "",
        f"uuid {ID}",
        "name acme-postgres-closed-55061",
        "state provisioned",
    ]

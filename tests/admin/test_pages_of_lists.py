"""Every list of the panel leads from its newest line to its oldest, and back."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from deeds import installed
from panel import link
from rig import Rig

from app.database import Base
from app.operations.models import Alert, Batch, BatchState, Reconciliation
from app.operators.roles import Role
from app.resources.traces import Event

NUMBER = 130


def alert(_uuid: UUID, at: datetime, text: str) -> Base:
    return Alert(kind="job_failing", text=text, opened_at=at - timedelta(hours=1), closed_at=at)


def batch(_uuid: UUID, at: datetime, text: str) -> Base:
    return Batch(
        id=uuid4(),
        action="push-config",
        query=text,
        reason="because",
        ordered_by="o@acme.example",
        actor="o@acme.example",
        role_number=Role.OPERATOR,
        state=BatchState.CANCELLED,
        created_at=at,
        started_at=at,
        ended_at=at,
    )


def comparison(_uuid: UUID, at: datetime, text: str) -> Base:
    return Reconciliation(id=uuid4(), actor=text, begun_at=at, ended_at=at, ours=1, herokus=1)


def event(uuid: UUID, at: datetime, text: str) -> Base:
    return Event(resource_uuid=uuid, at=at, kind="rotated", actor="the program", text=text)


def lines(page: str) -> list[str]:
    """What the list has; above it the newest may be told of as well."""
    _, _, table = page.partition("<tbody")
    return re.findall(r"Line \d+", table or page)


@pytest.mark.parametrize(
    ("address", "row"),
    [
        ("/admin/alerts", alert),
        ("/admin/batches", batch),
        ("/admin/reconciliation", comparison),
        ("/admin/resources/{uuid}/timeline", event),
    ],
)
async def test_a_list_leads_to_its_oldest_line_and_back(
    key_rig: Rig, panel_of, address: str, row: Callable[[UUID, datetime, str], Base]
):
    _, addon = await installed(key_rig)
    now = key_rig.clock()
    async with key_rig.context.database.transaction() as session:
        session.add_all(
            row(UUID(addon.id), now + timedelta(minutes=number + 1), f"Line {number}") for number in range(NUMBER)
        )
    http = (await panel_of(Role.VIEWER)).http
    first = page = (await http.get(address.format(uuid=addon.id))).text
    seen = lines(page)
    while "Older →" in page:
        page = (await http.get(link(page, "Older →"))).text
        assert lines(page)
        seen += lines(page)
    assert seen == [f"Line {number}" for number in reversed(range(NUMBER))]
    assert "Newest" not in first
    assert lines((await http.get(link(page, "Newest"))).text) == lines(first)

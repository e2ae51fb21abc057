"""A suspension that the driver cannot carry out: operators are told, see it, and can let other work go on."""

import html
import re
from uuid import UUID

import pytest
from deeds import installed
from panel import Panel
from rig import Rig
from sqlalchemy import text

from app.operations import alerts, telling
from app.operations.search import parse, search
from app.operators.roles import Role
from app.simulator.records import AddOn

BREAK = (
    "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no'; END$$",
    """
    CREATE TRIGGER no BEFORE UPDATE OF is_suspended ON api_keys FOR EACH ROW
    WHEN (OLD.is_suspended IS DISTINCT FROM NEW.is_suspended) EXECUTE FUNCTION no()
    """,
)
MEND = ("DROP TRIGGER no ON api_keys",)
REASON = "Abuse, ticket 4711"


async def run(rig: Rig, statements: tuple[str, ...]) -> None:
    """Something happens in the service's own database."""
    async with rig.context.database.transaction() as session:
        for statement in statements:
            await session.execute(text(statement))


async def is_closed(rig: Rig) -> bool:
    async with rig.context.database.transaction() as session:
        return await session.scalar(text("SELECT bool_and(is_suspended) FROM api_keys"))


async def act(panel: Panel, addon: AddOn, action: str, **fields: str) -> str:
    """What the panel says after an action."""
    page = await panel.post(f"/admin/resources/{addon.id}/actions/{action}", reason=REASON, name=addon.name, **fields)
    assert page.status_code == 200, page.text
    return page.text


async def looks(panel: Panel, addon: AddOn) -> str:
    """What a person reads on the resource's page."""
    page = await panel.http.get(f"/admin/resources/{addon.id}")
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


async def open_alerts(rig: Rig) -> list[str]:
    await telling.watch(rig.context)
    return sorted(f"{alert.kind}: {alert.text}" for alert in await alerts.open_alerts(rig.context))


async def attention(rig: Rig) -> list[str | None]:
    page = await search(rig.context, parse("is:attention"))
    return [found.trouble(rig.clock()) for found in page.rows]


@pytest.mark.parametrize(
    ("action", "job", "said", "state", "alert"),
    [
        (
            "suspend",
            "suspend_service",
            "It is suspended, but could not be closed yet: its customer may still get in.",
            ("Being suspended", "Suspended"),
            "suspended, but its service is still open.",
        ),
        (
            "resume",
            "resume_service",
            "It is resumed, but could not be opened yet: its customer may be shut out.",
            ("Being resumed", "Provisioned"),
            "resumed, but still closed.",
        ),
    ],
)
async def test_what_cannot_be_carried_out_is_seen_and_skipped_and_tried_again(
    key_rig: Rig, panel_of, action, job, said, state, alert
):
    _, addon = await installed(key_rig)
    panel = await panel_of(Role.OPERATOR)
    if action == "resume":
        await act(panel, addon, "suspend")
        await key_rig.work()
    await run(key_rig, BREAK)
    await act(panel, addon, action)
    await act(panel, addon, "push-config")
    # An hour later it has failed more often than any other job may.
    await key_rig.work(rounds=12)
    key_rig.clock.forward(hours=1)
    assert await is_closed(key_rig) is (action == "resume")
    assert {name for name, _ in await key_rig.jobs()} == {"push_config", job}

    page = await looks(panel, addon)
    assert said in page
    assert state[0] in page
    assert "Work on it failed 12 times in a row" in page
    assert any(alert in line for line in await open_alerts(key_rig))
    assert await attention(key_rig) == ["failing"]

    # The job is skipped: what waited behind it goes on, and the trouble is as visible as before.
    shown = await panel.http.get(f"/admin/resources/{addon.id}/actions/skip-job")
    assert f"{job}: it counts as {action.removesuffix('e')}ed, but its customer may still" in shown.text
    number = re.search(rf'<option value="(\d+)">{job}, begun 12 times: it counts as', shown.text)
    await act(panel, addon, "skip-job", job=number[1])
    await key_rig.work()
    assert await key_rig.jobs() == []
    assert not (await key_rig.resource(addon.id)).needs_push
    page = await looks(panel, addon)
    assert said in page
    assert state[0] in page
    assert "Nothing, although not all that was asked for is done" in page
    assert await attention(key_rig) == ["suspension waits"]
    assert any(alert in line for line in await open_alerts(key_rig))
    assert [(event.kind, event.reason) for event in await skips(key_rig, addon)] == [("job_skipped", REASON)]

    # The service is mended: what was skipped is asked for again.
    await run(key_rig, MEND)
    assert f"Asked for again: {job}." in html.unescape(await act(panel, addon, "retry-now"))
    await key_rig.work()
    assert await is_closed(key_rig) is (action == "suspend")
    page = await looks(panel, addon)
    assert said not in page
    assert state[1] in page
    assert await attention(key_rig) == ["suspended" if action == "suspend" else "error"]
    assert await open_alerts(key_rig) == []


async def skips(rig: Rig, addon: AddOn) -> list:
    async with rig.context.database.transaction() as session:
        query = text("SELECT kind, reason FROM events WHERE resource_uuid = :uuid AND kind = 'job_skipped'")
        return list(await session.execute(query, {"uuid": UUID(addon.id)}))


async def test_a_skipped_suspension_can_be_taken_back(key_rig: Rig, panel_of):
    _, addon = await installed(key_rig)
    panel = await panel_of(Role.OPERATOR)
    await run(key_rig, BREAK)
    await act(panel, addon, "suspend")
    await key_rig.work(rounds=2)
    shown = await panel.http.get(f"/admin/resources/{addon.id}/actions/skip-job")
    await act(panel, addon, "skip-job", job=re.search(r'<option value="(\d+)">suspend_service', shown.text)[1])
    # Nothing has to be opened, so the broken service does not mind.
    await act(panel, addon, "resume")
    await key_rig.work()
    resource = await key_rig.resource(addon.id)
    assert (resource.suspended_at, resource.suspension_waits_since) == (None, None)
    assert await is_closed(key_rig) is False


async def test_one_that_works_is_no_trouble_at_any_time(key_rig: Rig, panel_of):
    _, addon = await installed(key_rig)
    panel = await panel_of(Role.OPERATOR)
    await act(panel, addon, "suspend")
    assert "could not be closed" not in await looks(panel, addon)
    await key_rig.work()
    key_rig.clock.forward(hours=1)
    assert await open_alerts(key_rig) == []
    assert await attention(key_rig) == []
    assert (await key_rig.resource(addon.id)).suspension_waits_since is None

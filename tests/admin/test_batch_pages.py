"""Many at once in the panel: nothing happens before the number is typed, and afterwards one sees how far it is."""

import csv
import io
import re
from uuid import UUID, uuid4

import pytest
from rig import Rig
from sqlalchemy import func, select, update

from app.operations import batch_work
from app.operations.models import Batch, BatchItem, BatchState, ItemState
from app.operators.roles import Role

NEW = "/admin/batches/new?q=state:provisioned&action=rotate"


async def provision(rig: Rig, number: int) -> list[UUID]:
    app = rig.simulator.world.create_app("demo")
    addons = [await rig.simulator.calls.provision(app.name, "test") for _ in range(number)]
    await rig.work()
    return [UUID(str(addon.id)) for addon in addons]


async def order(panel, **fields: str):
    words = {"q": "state:provisioned", "action": "rotate", "reason": "Credentials have leaked", "number": "3"}
    return await panel.post(NEW, "/admin/batches/new", **(words | fields))


async def number_of_batches(rig: Rig) -> int:
    async with rig.context.database.transaction() as session:
        return await session.scalar(select(func.count()).select_from(Batch))


def numbers(page: str) -> str:
    return re.search(r"<p>([\d,]+ done, .*?)</p>", page)[1].replace('<span class="bad">', "").replace("<span>", "")


async def test_what_would_happen_is_shown_first_and_a_look_changes_nothing(key_rig: Rig, panel_of):
    await provision(key_rig, 3)
    panel = await panel_of(Role.OPERATOR)
    empty = await panel.http.get("/admin/batches")
    assert "There is no batch yet" in empty.text
    page = await panel.http.get(NEW)
    assert page.status_code == 200
    for words in ("3 resources", "3 on test", "gets a release and restarts", "<code>3</code>, to confirm"):
        assert words in page.text
    assert await number_of_batches(key_rig) == 0
    assert "Deprovision by force" not in page.text


async def test_an_ordered_batch_is_worked_and_shown_to_its_end(key_rig: Rig, panel_of):
    await provision(key_rig, 3)
    panel = await panel_of(Role.OPERATOR)
    page = await order(panel)
    assert re.fullmatch(r"/admin/batches/[0-9a-f-]{36}", page.url.path)
    assert "It begins within seconds" in page.text
    assert "3 waiting" in page.text
    here = page.url.path

    await batch_work.work(key_rig.context)
    moving = await panel.http.get(f"{here}/progress")
    assert "3 under way" in moving.text
    assert moving.headers["Part-State"] == re.search(r'data-state="([^"]+)"', page.text)[1]
    await key_rig.work()
    await batch_work.work(key_rig.context)

    over = await panel.http.get(f"{here}/progress")
    assert over.headers["Part-State"] != moving.headers["Part-State"]
    page = await panel.http.get(here)
    assert "3 of 3" in page.text
    assert "data-refresh" not in page.text
    assert "Pause" not in page.text
    listed = await panel.http.get("/admin/batches")
    assert here in listed.text


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"number": "2"}, "Type how many resources it is about, 3"),
        ({"number": ""}, "Type how many resources it is about, 3"),
        ({"number": "three"}, "Type how many resources it is about, 3"),
        ({"reason": "x"}, "Say why"),
        ({"action": "deprovision"}, "one resource at a time"),
        ({"action": "nonsense"}, "Choose what is to be done"),
        ({"q": "colour:red"}, "There is no colour:"),
    ],
)
async def test_a_refused_order_keeps_what_was_typed(key_rig: Rig, panel_of, fields, sentence):
    await provision(key_rig, 3)
    panel = await panel_of(Role.OPERATOR)
    page = await order(panel, **fields)
    assert page.status_code == 422
    assert sentence in page.text
    assert f'value="{fields.get("q", "state:provisioned")}"' in page.text
    if not fields.keys() & {"action", "q", "reason"}:
        assert "Credentials have leaked" in page.text
    assert await number_of_batches(key_rig) == 0


async def test_a_parameter_is_chosen_before_the_order(key_rig: Rig, panel_of):
    uuids = await provision(key_rig, 3)
    panel = await panel_of(Role.OPERATOR)
    look = "/admin/batches/new?q=state:provisioned&action=move-plan"
    page = await panel.http.get(look)
    assert "Choose new plan above" in page.text
    assert 'name="number"' not in page.text
    chosen = await panel.http.get(f"{look}&plan=standard")
    assert '<input type="hidden" name="plan" value="standard">' in chosen.text
    page = await order(panel, action="move-plan", plan="standard")
    assert "Move to another plan (standard)" in page.text
    await batch_work.work(key_rig.context)
    await key_rig.work()
    assert {(await key_rig.resource(uuid)).plan for uuid in uuids} == {"standard"}


async def test_it_can_be_paused_resumed_and_cancelled_by_an_operator_alone(key_rig: Rig, panel_of):
    await provision(key_rig, 3)
    panel = await panel_of(Role.OPERATOR)
    here = (await order(panel)).url.path
    viewer = await panel_of(Role.VIEWER)
    assert "Pause" not in (await viewer.http.get(here)).text
    token = await viewer.form_token(here)
    assert (await viewer.http.post(f"{here}/pause", data={"form_token": token})).status_code == 403

    for verb, words in (("pause", "is paused"), ("resume", "goes on"), ("cancel", "is cancelled")):
        assert words in (await panel.post(here, f"{here}/{verb}")).text
    page = await panel.post(here, f"{here}/resume")
    assert page.status_code == 422
    assert "It cannot be resumed: it is cancelled" in page.text
    assert "3 left out" in page.text
    assert (await panel.post(here, f"{here}/explode")).status_code == 404


async def test_results_are_filtered_paged_and_taken_away_as_csv(key_rig: Rig, panel_of):
    uuids = sorted(await provision(key_rig, 3))
    panel = await panel_of(Role.OPERATOR)
    here = (await order(panel)).url.path
    async with key_rig.context.database.transaction() as session:
        failed = update(BatchItem).where(BatchItem.resource_uuid == uuids[1])
        await session.execute(failed.values(state=ItemState.FAILED, message='=HYPERLINK("http://evil.example")'))

    page = await panel.http.get(f"{here}?only=failed")
    assert str(uuids[1]) in page.text
    assert str(uuids[0]) not in page.text
    assert "evil.example" in page.text
    assert "No resource is done." in (await panel.http.get(f"{here}?only=done")).text
    assert (await panel.http.get(f"{here}?only=nonsense")).status_code == 404
    rest = await panel.http.get(f"{here}?after={uuids[1]}")
    assert str(uuids[2]) in rest.text
    assert str(uuids[1]) not in rest.text.partition("Each resource")[2]

    sheet = await panel.http.get(f"{here}/items.csv")
    rows = list(csv.DictReader(io.StringIO(sheet.text)))
    assert [UUID(row["uuid"]) for row in rows] == uuids
    assert rows[1]["outcome"] == "failed"
    assert rows[1]["message"].startswith("'=")
    assert len((await panel.http.get(f"{here}/items.csv?only=failed")).text.splitlines()) == 2


async def test_what_failed_becomes_a_batch_of_its_own(key_rig: Rig, panel_of):
    uuids = await provision(key_rig, 3)
    panel = await panel_of(Role.OPERATOR)
    here = (await order(panel)).url.path
    async with key_rig.context.database.transaction() as session:
        await session.execute(
            update(BatchItem).where(BatchItem.resource_uuid == uuids[0]).values(state=ItemState.FAILED, message="no")
        )
        await session.execute(update(Batch).values(state=BatchState.CANCELLED, ended_at=key_rig.clock()))
    link = re.search(r'href="(/admin/batches/new\?[^"]+)"', (await panel.http.get(here)).text)[1].replace("&amp;", "&")
    page = await panel.http.get(link)
    assert "1 resource<" in page.text
    assert str(uuids[0]) in page.text


@pytest.mark.parametrize("path", ["", "/progress", "/items.csv"])
async def test_there_is_nothing_where_no_batch_is(key_rig: Rig, panel_of, path):
    panel = await panel_of(Role.VIEWER)
    assert (await panel.http.get(f"/admin/batches/{uuid4()}{path}")).status_code == 404

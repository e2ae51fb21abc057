"""The list of resources in the panel, and the same on the command line."""

import csv
import io
import json
import re
from datetime import timedelta
from uuid import UUID, uuid4

from panel import link
from rig import Rig

from app.operators.roles import Role
from app.resources.models import Resource, State


async def have(rig: Rig, number: int = 1, **facts) -> list[UUID]:
    values = {
        "name": "acme-postgres-shaped-12345",
        "plan": "test",
        "region": "amazon-web-services::us-east-1",
        "state": State.PROVISIONED,
        "seed_sealed": b"",
    } | facts
    uuids = [uuid4() for _ in range(number)]
    async with rig.context.database.transaction() as session:
        for position, uuid in enumerate(uuids):
            session.add(Resource(uuid=uuid, created_at=rig.clock() - timedelta(minutes=position), **values))
    return uuids


def shown(page: str) -> list[UUID]:
    return [
        UUID(uuid) for uuid in re.findall(r'<th scope="row" role="rowheader"><a href="/admin/resources/([^"]+)"', page)
    ]


async def test_the_list_leads_to_older_ones_and_back(key_rig: Rig, panel_of):
    uuids = await have(key_rig, 120)
    http = (await panel_of(Role.VIEWER)).http
    first = (await http.get("/admin/resources")).text
    assert "More than 50" in first
    second = (await http.get(link(first, "Older →"))).text
    third = (await http.get(link(second, "Older →"))).text
    assert shown(first) + shown(second) + shown(third) == uuids
    assert "Older" not in third
    assert shown((await http.get(link(third, "← Newer"))).text) == shown(second)
    assert shown((await http.get(link(third, "Newest"))).text) == shown(first)


async def test_a_link_filters_what_is_searched_for(key_rig: Rig, panel_of):
    await have(key_rig, app_name="shop")
    (gone,) = await have(key_rig, app_name="shop", state=State.DEPROVISIONED, deprovisioned_at=key_rig.clock())
    http = (await panel_of(Role.VIEWER)).http
    page = (await http.get("/admin/resources", params={"q": "shop"})).text
    page = (await http.get(link(page, "deprovisioned"))).text
    assert shown(page) == [gone]
    assert 'value="shop state:deprovisioned"' in page
    assert len(shown((await http.get(link(page, "any"))).text)) == 2


async def test_a_uuid_leads_straight_to_its_resource(key_rig: Rig, panel_of):
    uuid, _ = await have(key_rig, 2)
    http = (await panel_of(Role.VIEWER)).http
    for typed in (str(uuid), uuid.hex, str(uuid)[:13], f"  {str(uuid).upper()} "):
        answer = await http.get("/admin/resources", params={"q": typed}, follow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/admin/resources/{uuid}"), typed


async def test_what_cannot_be_understood_stays_in_the_box_with_a_sentence(key_rig: Rig, panel_of):
    http = (await panel_of(Role.VIEWER)).http
    answer = await http.get("/admin/resources", params={"q": 'colour:"<red>"'})
    assert answer.status_code == 422
    assert "There is no colour: to search by." in answer.text
    assert 'value="colour:&#34;&lt;red&gt;&#34;"' in answer.text
    for place in ({"before": "garbage"}, {"after": "1-zz"}, {"before": "9" * 5000}):
        answer = await http.get("/admin/resources", params=place)
        assert answer.status_code == 422
        assert "The address of this page of the list is incomplete." in answer.text
    assert (await http.get("/admin/resources", params={"q": "\x00 \x7f\u202e"})).status_code == 200


async def test_an_empty_list_says_what_to_do(key_rig: Rig, panel_of):
    http = (await panel_of(Role.VIEWER)).http
    assert "as soon as a customer installs the add-on" in (await http.get("/admin/resources")).text
    assert "Leave one out" in (await http.get("/admin/resources", params={"q": "nothing-like-that"})).text


async def test_only_who_may_make_batches_is_led_there(key_rig: Rig, panel_of):
    await have(key_rig)
    for role, is_led in ((Role.SUPPORT, False), (Role.OPERATOR, True)):
        page = (await (await panel_of(role)).http.get("/admin/resources", params={"q": "plan:test"})).text
        assert ('href="/admin/batches/new?q=plan%3Atest"' in page) is is_led


async def test_everything_found_comes_as_a_file_without_formulas(key_rig: Rig, panel_of, monkeypatch):
    monkeypatch.setattr("app.operations.search._CHUNK", 7)
    uuids = await have(key_rig, 20, app_name='=HYPERLINK("http://evil.example")', last_error="two\nlines")
    await have(key_rig, plan="premium")
    http = (await panel_of(Role.VIEWER)).http
    page = (await http.get("/admin/resources", params={"q": "plan:test"})).text
    answer = await http.get(link(page, "All as CSV"))
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="resources-20')
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [UUID(row["uuid"]) for row in rows] == uuids
    assert rows[0]["app_name"] == '\'=HYPERLINK("http://evil.example")'
    assert rows[0]["last_error"] == "two\nlines"
    assert (await http.get("/admin/resources.csv", params={"q": "is:happy"})).status_code == 422


async def test_the_command_line_finds_the_same(key_rig: Rig, command):
    (uuid,) = await have(key_rig, app_name="shop", failures=3, last_error="push_config: ReadTimeout")
    await have(key_rig, 30)
    (row,) = json.loads((await command("resources", "find", "app:shop", "--json")).stdout)
    assert (row["uuid"], row["plan"], row["trouble"]) == (str(uuid), "test", "failing")
    assert "There are more than 20" in (await command("resources", "find", "", "--limit", "20")).output
    assert "Nothing is like that" in (await command("resources", "find", "nothing-like-that")).output


async def test_the_command_line_says_what_it_did_not_understand(key_rig: Rig, command):
    refused = await command("resources", "find", "is:happy")
    assert refused.exit_code == 1
    assert "A resource is never happy." in refused.output

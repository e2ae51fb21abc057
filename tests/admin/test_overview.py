"""The overview: the figures are those of what happened, whatever the zone, and the charts let nothing foreign in."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from rig import Rig, provision_body
from sqlalchemy import text

from app.errors import Refused
from app.operations import figures, overview
from app.operations.overview import Table
from app.operations.periods import read_period
from app.operators.roles import Role
from app.plans import Plan
from app.resources import lifecycle
from app.web.admin.charts import CHARTS, Size, draw

BERLIN = ZoneInfo("Europe/Berlin")
SVG = "{http://www.w3.org/2000/svg}"


def period(rig: Rig, **words: str):
    return read_period(words, ZoneInfo("UTC"), rig.clock())


async def install(rig: Rig, plan: str = "test") -> str:
    body = provision_body(plan=plan)
    assert (await rig.heroku.post("", json=body)).status_code in {200, 202}
    return body["uuid"]


async def change(rig: Rig, uuid: str, plan: str) -> None:
    assert (await rig.heroku.put(f"/{uuid}", json={"plan": plan})).status_code == 200


async def remove(rig: Rig, uuid: str) -> None:
    assert (await rig.heroku.delete(f"/{uuid}")).status_code == 204


async def test_the_figures_are_those_of_what_happened(key_rig: Rig):
    key_rig.clock.now = datetime(2026, 11, 10, 12, tzinfo=UTC)
    stays, goes = await install(key_rig), await install(key_rig)
    key_rig.clock.forward(days=1)
    grows = await install(key_rig)
    await change(key_rig, grows, "premium")
    await change(key_rig, stays, "standard")
    key_rig.clock.forward(days=1)
    await remove(key_rig, goes)
    await change(key_rig, stays, "test")

    growth = await figures.growth(key_rig.context, period(key_rig, **{"from": "2026-11-09", "to": "2026-11-12"}))
    assert growth.installs == [0, 2, 1, 0]
    assert growth.removals == [0, 0, 0, 1]
    assert [+mix for mix in growth.mixes] == [
        {},
        {"test": 2},
        {"test": 1, "standard": 1, "premium": 1},
        {"test": 1, "premium": 1},
    ]
    assert set(growth.changes) == {("test", "premium", 1), ("test", "standard", 1), ("standard", "test", 1)}
    assert growth.churn is None

    # A period that is over is not touched by what came after it.
    before = await figures.growth(key_rig.context, period(key_rig, **{"from": "2026-11-11", "to": "2026-11-11"}))
    assert +before.begin == {"test": 2}
    assert sum(before.installs) == 1
    assert +before.end == {"test": 1, "standard": 1, "premium": 1}
    after = await figures.growth(key_rig.context, period(key_rig, period="today"))
    assert after.churn == pytest.approx(1 / 3)


async def test_a_day_begins_at_midnight_where_the_operator_is(key_rig: Rig):
    key_rig.clock.now = datetime(2026, 11, 10, 23, 30, tzinfo=UTC)  # half past midnight of the 11th in Berlin
    await install(key_rig)
    for zone, installs in ((ZoneInfo("UTC"), [1, 0]), (BERLIN, [0, 1])):
        days = read_period({"from": "2026-11-10", "to": "2026-11-11"}, zone, key_rig.clock() + timedelta(days=9))
        assert days.unit == "hour"
        growth = await figures.growth(key_rig.context, days)
        by_day = [sum(growth.installs[:24]), sum(growth.installs[24:])]
        assert by_day == installs


async def test_what_never_became_ready_is_a_failure_and_no_removal(key_rig: Rig):
    await key_rig.simulator.calls.provision(key_rig.simulator.world.create_app("demo").name, "standard")
    await key_rig.work()
    failed, left = await install(key_rig, "standard"), await install(key_rig, "standard")
    async with key_rig.context.database.transaction() as session:
        resource = await lifecycle.locked(session, (await key_rig.resource(failed)).uuid)
        await lifecycle.give_up_provisioning(key_rig.context, session, resource, "There is no room.")
    await remove(key_rig, left)
    today = period(key_rig, period="today")
    found = await figures.provisioning(key_rig.context, today)
    assert (sum(found.failures), found.failure_rate) == (1, 0.5)
    growth = await figures.growth(key_rig.context, today)
    assert sum(growth.removals) == 0


async def test_waiting_times_are_the_median_and_the_95th_percentile(key_rig: Rig):
    uuids = [await install(key_rig) for _ in range(5)]
    async with key_rig.context.database.transaction() as session:
        for seconds, uuid in zip((1, 2, 3, 4, 100), uuids, strict=True):
            await session.execute(
                text("UPDATE resources SET created_at = provisioned_at - make_interval(secs => :s) WHERE uuid = :u"),
                {"s": seconds, "u": uuid},
            )
    found = await figures.provisioning(key_rig.context, period(key_rig, period="today"))
    assert found.whole is not None
    assert (found.whole.number, found.whole.median) == (5, 3)
    assert found.whole.p95 == pytest.approx(80.8)
    assert [wait.number for wait in found.waits if wait] == [5]


async def test_pushes_are_counted(key_rig: Rig):
    await key_rig.simulator.calls.provision(key_rig.simulator.world.create_app("demo").name, "standard")
    await key_rig.work()
    assert sum(await figures.pushes(key_rig.context, period(key_rig))) == 1


async def test_the_present_counts_what_waits_and_fails(key_rig: Rig):
    uuid = await install(key_rig)
    being_made = await install(key_rig, "standard")
    async with key_rig.context.database.transaction() as session:
        await session.execute(text("UPDATE resources SET config_version = 1 WHERE uuid = :u"), {"u": being_made})
        await session.execute(
            text("UPDATE resources SET config_version = 2, tokens_refused_at = now(), over_quota_at = now(),"
                 " suspended_at = now() WHERE uuid = :u"), {"u": uuid},
        )  # fmt: skip
        await session.execute(
            text("INSERT INTO alerts (kind, subject, text, opened_at) VALUES ('push_waits', :u, 't', now())"),
            {"u": uuid},
        )
    now = await overview.present(key_rig.context)
    # What is being provisioned waits as well: the number is that of the search it leads to.
    assert (now.provisioning, now.pushes_waiting, now.tokens_refused) == (1, 2, 1)
    assert (now.over_quota, now.suspended, now.kept, now.alerts) == (1, 1, 0, 1)
    assert now.jobs > 0
    await remove(key_rig, uuid)
    now = await overview.present(key_rig.context)
    assert (now.pushes_waiting, now.tokens_refused, now.over_quota, now.suspended) == (1, 0, 0, 0)


async def test_changes_are_worth_their_difference_in_list_prices(key_rig: Rig):
    uuid = await install(key_rig)
    await change(key_rig, uuid, "premium")
    growth = await figures.growth(key_rig.context, period(key_rig))
    driver = key_rig.context.plans["test"].driver
    priced = {
        name: Plan(name=name, driver=driver, price_cents=cents) for name, cents in (("test", 500), ("premium", 2000))
    }
    table = overview.changes_table(growth, priced)
    assert table.rows == [["test", "premium", 1, 15.0, 15.0]]
    assert overview.changes_table(growth, {}).rows == [["test", "premium", 1, None, None]]
    assert overview.list_price(growth.end, priced) == 20


@pytest.mark.parametrize(
    ("words", "unit", "steps"),
    [
        ({"period": "7"}, "day", 7),
        ({"period": "365"}, "week", 53),
        ({"from": "2026-10-25", "to": "2026-10-25"}, "hour", 25),
        ({"from": "2020-01-15", "to": "2026-11-21"}, "month", 83),
        ({"from": "2026-11-20", "to": "2030-01-01"}, "hour", 39),
    ],
)
def test_a_period_is_cut_into_steps_without_gaps(words, unit, steps):
    now = datetime(2026, 11, 21, 13, 15, tzinfo=UTC)
    found = read_period(words, BERLIN, now)
    assert (found.unit, len(found.steps)) == (unit, steps)
    assert list(found.bounds) == sorted(set(found.bounds))
    assert len(found.iso_steps) == len(found.spans) == steps
    assert read_period(found.words, BERLIN, now) == found


@pytest.mark.parametrize(
    "words",
    [
        {"period": "-1"},
        {"from": "tomorrow"},
        {"from": "2026-11-02", "to": "2026-11-01"},
        {"from": "1999-12-31", "to": "2026-01-01"},
        {"from": "2030-01-01", "to": "2030-02-01"},
    ],
)
def test_what_is_no_period_is_refused(words):
    with pytest.raises(Refused):
        read_period(words, BERLIN, datetime(2026, 11, 21, tzinfo=UTC))


async def test_whoever_is_first_reads_what_to_do(key_rig: Rig, panel_of):
    panel = await panel_of(Role.VIEWER)
    shown = (await panel.http.get("/admin")).text
    assert "heroku addons:admin:manifest:push" in shown
    assert "heroku addons:create acme-postgres:test" in shown
    await install(key_rig)
    shown = (await panel.http.get("/admin")).text
    assert "addons:create" not in shown
    assert 'src="/admin/charts/installs.svg?period=30"' in shown


async def test_a_period_that_is_none_is_said_and_the_usual_one_shown(key_rig: Rig, panel_of):
    panel = await panel_of(Role.VIEWER)
    await install(key_rig)
    answer = await panel.http.get("/admin?from=2026-02-30")
    assert answer.status_code == 422
    assert "Write a day as" in answer.text
    assert "30 days" in answer.text
    assert (await panel.http.get("/admin/charts/installs.svg?period=x")).status_code == 422


@pytest.mark.parametrize("name", CHARTS)
async def test_a_chart_is_an_image_without_script_or_foreign_address(key_rig: Rig, panel_of, name):
    panel = await panel_of(Role.VIEWER)
    for is_empty in (True, False):
        if not is_empty:
            await change(key_rig, await install(key_rig), "premium")
        for query in ("", "?period=365&theme=dark&size=narrow"):
            answer = await panel.http.get(f"/admin/charts/{name}.svg{query}")
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "image/svg+xml"
            assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
            assert answer.headers["cache-control"].startswith("private")
            assert all(element.tag.rpartition("}")[2] != "script" for element in ET.fromstring(answer.text).iter())
            namespaces = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
            assert set(re.findall(r"(?:https?:)?//[\w./]+", answer.text)) <= namespaces


async def test_a_plan_s_name_does_no_harm_in_a_chart(key_rig: Rig, panel_of):
    uuid, name = await install(key_rig), "<script>alert(1)</script>"
    async with key_rig.context.database.transaction() as session:
        await session.execute(text("UPDATE resources SET plan = :p WHERE uuid = :u"), {"p": name, "u": uuid})
        await session.execute(text("UPDATE events SET plan_after = :p WHERE plan_after IS NOT NULL"), {"p": name})
    panel = await panel_of(Role.VIEWER)
    for address in ("/admin/charts/plans.svg", "/admin"):
        answer = await panel.http.get(address)
        assert answer.status_code == 200
        assert "&lt;script&gt;alert" in answer.text
        assert "<script>alert" not in answer.text


@pytest.mark.parametrize("size", ["narrow", "wide"])
@pytest.mark.parametrize(
    "names",
    [
        ("test", "standard", "premium"),
        ("Median, seconds", "95th percentile, seconds"),
        ("standard-with-a-replica", "premium-with-two-replicas", "test", "one", "two", "three", "four"),
        ("a-plan-with-a-name-that-nobody-would-ever-give-to-any-plan-of-theirs-at-all", "test"),
    ],
)
def test_nothing_of_a_legend_is_cut_off(names: tuple[str, ...], size: Size):
    table = Table(name="plans", title="Add-ons by plan", columns=("Day", *names), rows=[("1 Nov", *(3 for _ in names))])
    svg = ET.fromstring(draw(table, CHARTS["plans"], "light", size))
    _, _, width, height = map(float, svg.attrib["viewBox"].split())
    (legend,) = (one for one in svg.iter(f"{SVG}g") if one.attrib.get("class") == "legends")
    left, top = map(float, re.findall(r"[\d.]+", legend.attrib["transform"]))
    places = [(float(one.attrib["x"]), float(one.attrib["y"]), one.text or "") for one in legend.iter(f"{SVG}text")]
    assert all(told in {name, f"{name[: len(told) - 1]}…"} for name, (*_, told) in zip(names, places, strict=True))
    for x, y, told in places:
        # A letter is 6.5 pixels wide on average: more than in any font that is asked for.
        end = min((other for other, line, _ in places if line == y and other > x), default=width - left)
        assert x + len(told) * 6.5 <= end
        assert top + y <= height
    plot = next(
        one for one in svg.iter(f"{SVG}rect") if one.attrib.get("class") == "background" and "width" in one.attrib
    )
    assert float(plot.attrib["height"]) > 100
    assert "#000" not in ET.tostring(svg, "unicode")


async def test_every_table_can_be_taken_away(key_rig: Rig, panel_of):
    panel = await panel_of(Role.VIEWER)
    await change(key_rig, await install(key_rig), "premium")
    today = key_rig.clock().date()
    for name, row in {
        "installs": {"Day": str(today), "Installs": "1", "Add-ons at its end": "1"},
        "plans": {},
        "changes": {"From": "test", "To": "premium", "Changes": "1"},
        "provisioning": {},
        "pushes": {},
    }.items():
        answer = await panel.http.get(f"/admin/overview/{name}.csv?period=7")
        assert answer.headers["content-type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert len(rows) == (1 if name == "changes" else 7)
        assert row.items() <= rows[-1].items()
    assert (await panel.http.get("/admin/overview/secrets.csv")).status_code == 404


async def test_the_command_says_what_the_page_says(key_rig: Rig, command):
    await change(key_rig, await install(key_rig), "premium")
    today = key_rig.clock().date()
    answer = await command("overview", "--since", str(today), "--json")
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    assert told["period"] == {"first": str(today), "last": str(today)}
    assert told["figures"]["installs"] == told["figures"]["plan changes"] == 1
    assert told["figures"]["plans at the end"] == {"premium": 1}
    assert told["changes"][0]["To"] == "premium"
    assert told["now"]["open alerts"] == 0
    for_people = await command("overview")
    assert for_people.exit_code == 0
    assert "premium 1" in for_people.stdout
    assert "Write a day as" in (await command("overview", "--since", "soon")).stderr

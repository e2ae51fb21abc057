"""What /metrics tells: who may read it, what is counted, how things stand, and that no label names anybody."""

import re
from uuid import UUID

import pytest
from prometheus_client.parser import text_string_to_metric_families
from rig import Rig, provision_body
from scraping import BEARER, TOKEN, install, scrape
from sqlalchemy import text

from app.errors import Refused
from app.operations import alerts, gauges
from app.resources import rotation
from app.resources.outcomes import PATIENCE

LABELS = {
    "method": re.compile(r"GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|other"),
    "route": re.compile(r"none|(/[\w.{}:-]*)+"),
    "path": re.compile(r"(/[a-z0-9{}-]+)+"),
    "status": re.compile(r"[1-5](xx|[0-9][0-9])|none"),
    "plan": re.compile(r"test|standard|premium"),
    "le": re.compile(r"[0-9.+eInf]+"),
} | dict.fromkeys(("job", "outcome", "call", "state", "flag", "stage", "kind"), re.compile(r"[a-z_]+"))


@pytest.fixture
async def measured(make_rig):
    async with make_rig(metrics_token=TOKEN).running() as rig:
        yield rig


async def test_there_is_no_such_page_unless_a_token_is_set(key_rig: Rig):
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer None"}, BEARER):
        assert (await key_rig.http.get("/metrics", headers=headers)).status_code == 404
    async with key_rig.context.database.transaction() as session:
        assert await session.scalar(text("SELECT count(*) FROM process_reports")) == 0


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        "Bearer \u00e9".encode("latin-1"),
    ],
)
async def test_nobody_reads_it_without_the_token(measured: Rig, header):
    answer = await measured.http.get("/metrics", headers={} if header is None else {"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["id"] == "unauthorized"


async def test_whoever_brings_the_token_gets_what_prometheus_reads(measured: Rig):
    answer = await measured.http.get("/metrics", headers=BEARER)
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert answer.headers["Cache-Control"] == "no-store"
    assert all(family.documentation for family in text_string_to_metric_families(answer.text))


async def test_requests_are_counted_by_route_and_class_of_status(measured: Rig):
    body = provision_body(plan="test")
    assert (await measured.heroku.post("", json=body)).status_code == 200
    assert (await measured.heroku.put(f"/{body['uuid']}", json={"plan": "gold"})).status_code == 422
    assert (await measured.heroku.delete(f"/{body['uuid']}", auth=("x", "y"))).status_code == 401
    for path in ("/wp-login.php", "/heroku/resourcez", "/static/nothing.css"):
        assert (await measured.http.get(path)).status_code == 404
    assert (await measured.http.request("BREW", "/health/live")).status_code == 405
    lines, name = await scrape(measured), "addon_http_request_duration_seconds_count"
    assert lines.sum(name, method="POST", route="/heroku/resources", status="2xx") == 1
    assert lines.sum(name, method="PUT", route="/heroku/resources/{uuid}", status="4xx") == 1
    assert lines.sum(name, method="DELETE", route="/heroku/resources/{uuid}", status="4xx") == 1
    assert lines.sum(name, route="none", status="4xx") == 2
    assert lines.sum(name, route="/static", status="4xx") == 1
    assert lines.sum(name, method="other", status="4xx") == 1


async def test_a_provision_in_the_background_is_counted_at_each_step(measured: Rig):
    await install(measured, "standard")
    measured.clock.forward(minutes=4)
    await measured.work()
    lines = await scrape(measured)
    assert lines.sum("addon_provisionings_total", plan="standard", outcome="provisioned") == 1
    assert lines.sum("addon_provisioning_duration_seconds_sum", plan="standard") == pytest.approx(240)
    assert lines.sum("addon_provisioning_duration_seconds_bucket", plan="standard", le="60.0") == 0
    assert lines.sum("addon_provisioning_duration_seconds_bucket", plan="standard", le="300.0") == 1
    for job in ("exchange_grant", "provision_service", "push_config", "announce_provisioned"):
        assert lines.sum("addon_job_duration_seconds_count", job=job, outcome="done") == 1, job
    for method, path, status in (
        ("POST", "/oauth/token", "200"),
        ("PATCH", "/addons/{id}/config", "200"),
        ("POST", "/addons/{id}/actions/provision", "200"),
    ):
        assert lines.sum("addon_heroku_call_duration_seconds_count", method=method, path=path, status=status) == 1, path
    assert lines.sum("addon_driver_call_duration_seconds_count", plan="standard", call="provision", outcome="done") == 1


async def test_trouble_is_told_apart(measured: Rig):
    await install(measured, "standard")
    faults = measured.simulator.faults
    faults.add("error", direction="platform", path="/config", status=503, count=1)
    faults.add("drop", direction="platform", path="/config", count=1)
    await measured.work(rounds=4)
    lines = await scrape(measured)
    assert lines.sum("addon_heroku_call_duration_seconds_count", path="/addons/{id}/config", status="503") == 1
    assert lines.sum("addon_heroku_call_duration_seconds_count", path="/addons/{id}/config", status="none") == 1
    assert lines.sum("addon_heroku_call_duration_seconds_count", path="/addons/{id}/config", status="200") == 1
    assert lines.sum("addon_job_duration_seconds_count", job="push_config", outcome="retry") == 2
    assert lines.sum("addon_job_duration_seconds_count", job="push_config", outcome="done") == 1


@pytest.mark.parametrize(
    ("error", "call_outcomes", "job_outcomes"),
    [
        (Refused("There is no room."), {"refused": 1}, {"given_up": 1}),
        (RuntimeError("a bug"), {"failed": PATIENCE}, {"failed": PATIENCE - 1, "given_up": 1}),
    ],
)
async def test_what_is_given_up_is_counted_as_such(measured: Rig, monkeypatch, error, call_outcomes, job_outcomes):
    async def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(measured.context.plans["standard"].driver, "provision", fail)
    await install(measured, "standard")
    await measured.work(rounds=PATIENCE + 1)
    lines = await scrape(measured)
    assert lines.sum("addon_provisionings_total", plan="standard", outcome="given_up") == 1
    assert lines.sum("addon_provisionings_total", outcome="provisioned") == 0
    for outcome, number in call_outcomes.items():
        assert lines.sum("addon_driver_call_duration_seconds_count", call="provision", outcome=outcome) == number
    for outcome, number in job_outcomes.items():
        assert lines.sum("addon_job_duration_seconds_count", job="provision_service", outcome=outcome) == number


async def test_what_has_never_happened_is_told_as_zero_so_that_its_first_time_is_seen(measured: Rig):
    lines = await scrape(measured)
    for name, labels in (
        ("addon_provisionings_total", (("outcome", "given_up"), ("plan", "premium"))),
        ("addon_job_duration_seconds_count", (("job", "retire_service"), ("outcome", "given_up"))),
        ("addon_exchanges_dropped_total", ()),
        ("addon_token_age_seconds_count", ()),
    ):
        assert lines[name, labels] == 0


async def test_who_asks_again_at_once_gets_the_same_and_costs_nothing(measured: Rig):
    first = await measured.http.get("/metrics", headers=BEARER)
    await measured.heroku.post("", json=provision_body(plan="test"))
    assert (await measured.http.get("/metrics", headers=BEARER)).text == first.text
    assert (await scrape(measured)).sum("addon_resources", plan="test", state="provisioned") == 1


async def test_what_waits_is_told_with_its_age(measured: Rig):
    before = await scrape(measured)
    assert before.sum("addon_grant_oldest_seconds") == before.sum("addon_push_lag_seconds") == 0
    addon = await install(measured, "standard")
    measured.clock.forward(minutes=3)
    lines = await scrape(measured)
    assert lines.sum("addon_resources", plan="standard", state="provisioning") == 1
    assert lines.sum("addon_grant_oldest_seconds") == pytest.approx(186)
    assert lines.sum("addon_provisioning_oldest_seconds") == pytest.approx(186)
    assert lines.sum("addon_jobs_waiting", job="exchange_grant") == 1
    assert lines.sum("addon_jobs_oldest_due_seconds", job="exchange_grant") > 0
    await measured.work()
    faults = measured.simulator.faults
    faults.add("error", direction="platform", path="/config", status=503, count=1)
    await rotation.rotate(measured.context, UUID(addon.id), "somebody")
    await measured.work()
    measured.clock.forward(minutes=10)
    lines = await scrape(measured)
    assert lines.sum("addon_push_lag_seconds") == pytest.approx(606)
    assert lines.sum("addon_resources_flagged", flag="push_waiting") == 1
    assert lines.sum("addon_rotations", stage="pushing") == 1
    await measured.work()
    assert (await scrape(measured)).sum("addon_rotations", stage="retiring") == 1
    measured.clock.forward(hours=3)
    assert (await scrape(measured)).sum("addon_retirement_overdue_seconds") > 3000


async def test_a_job_behind_another_of_its_resource_waits_for_its_turn_and_not_for_a_worker(measured: Rig):
    await install(measured, "standard")
    lines = await scrape(measured)
    assert lines.sum("addon_jobs_waiting", job="provision_service") == 1
    assert lines.sum("addon_jobs_oldest_due_seconds", job="exchange_grant") > 0
    assert lines.sum("addon_jobs_oldest_due_seconds", job="provision_service") == 0


async def test_the_queue_is_read_once_however_much_waits(measured: Rig):
    async with measured.context.database.transaction() as session:
        steps = list(await session.scalars(text(f"EXPLAIN {gauges._JOBS}")))
    assert any("WindowAgg" in step for step in steps)
    assert not any("SubPlan" in step for step in steps)


async def test_refused_tokens_and_alerts_are_told(measured: Rig):
    addon = await install(measured, "standard")
    await measured.work()
    measured.clock.forward(hours=9)
    measured.simulator.faults.add("error", direction="tokens", path="/token", status=401, count=1)
    await rotation.rotate(measured.context, UUID(addon.id), "somebody")
    await measured.work()
    await alerts.check(measured.context)
    lines = await scrape(measured)
    assert lines.sum("addon_resources_flagged", flag="tokens_refused") == 1
    assert lines.sum("addon_alerts_open", kind="token_refused") == 1
    assert lines.sum("addon_alerts_open", kind="queue_waits") == 0
    await measured.work()
    lines = await scrape(measured)
    assert lines.sum("addon_resources_flagged", flag="tokens_refused") == 0
    assert lines.sum("addon_token_age_seconds_bucket", le="28800.0") == 0
    assert lines.sum("addon_token_age_seconds_count") == 1


async def test_no_label_names_anybody(measured: Rig):
    addon = await install(measured, "standard")
    await install(measured, "test")
    await measured.work()
    await measured.simulator.calls.change_plan(addon, "premium")
    await measured.work()
    await measured.http.get(f"/dashboard/{addon.id}")
    await measured.http.get("/admin/resources/somebody@example.com?q=HRKU-secret")
    lines = await scrape(measured)
    for name, labels in lines:
        for label, value in labels:
            assert LABELS[label].fullmatch(value), (name, label, value)

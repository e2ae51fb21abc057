"""/metrics tells of all processes, whichever is asked: web processes, workers, those that have ended or died."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL
from pathlib import Path

import psycopg
import pytest
from rig import Rig, environment, provision_body
from scraping import BEARER, TOKEN, install, scrape
from sqlalchemy import text

from app.operations import metrics

TESTS = Path(__file__).parent


@pytest.fixture
async def measured(make_rig):
    async with make_rig(metrics_token=TOKEN).running() as rig:
        yield rig


async def test_every_process_tells_the_counts_of_all_and_a_restart_resets_none(make_rig):
    name, route = "addon_http_request_duration_seconds_count", "/heroku/resources"
    async with make_rig(metrics_token=TOKEN).running() as one, make_rig(metrics_token=TOKEN).running() as two:
        for rig in (one, two, two):
            await rig.heroku.post("", json=provision_body(plan="test"))
        await metrics.write(one.context)
        assert (await scrape(two)).sum(name, route=route) == 3
        assert (await scrape(one)).sum(name, route=route) == 3
        assert (await scrape(one)).sum("addon_processes", kind="web") == 2
        await one.heroku.post("", json=provision_body(plan="test"))
    async with make_rig(metrics_token=TOKEN).running() as three:
        assert (await scrape(three)).sum(name, route=route) == 4
        assert (await scrape(three)).sum("addon_processes", kind="web") == 1


async def test_what_a_worker_process_has_counted_is_told_by_the_web_process(measured: Rig, database_url: str):
    """A real process needs real waiting; it tells what it has done when it is stopped."""
    begun = text("SELECT count(*) FROM procrastinate_jobs WHERE attempts > 0 AND task_name = 'exchange_grant'")
    nobody = "http://127.0.0.1:9"
    settings = environment(database_url, metrics_token=TOKEN, heroku_api_url=nobody, heroku_id_url=nobody)
    ours = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"}
    await install(measured, "standard")
    worker = await asyncio.create_subprocess_exec(
        sys.executable, TESTS / "acme.py", env=ours | settings, stdout=DEVNULL
    )
    try:
        async with asyncio.timeout(50):
            while True:
                async with measured.context.database.transaction() as session:
                    if await session.scalar(begun):
                        break
                await asyncio.sleep(0.05)
        assert (await scrape(measured)).sum("addon_processes", kind="worker") == 1
    finally:
        worker.terminate()
        assert await worker.wait() == 0
    lines = await scrape(measured)
    assert lines.sum("addon_processes", kind="worker") == 0
    assert lines.sum("addon_job_duration_seconds_count", job="exchange_grant", outcome="retry") >= 1
    assert lines.sum("addon_heroku_call_duration_seconds_count", path="/oauth/token", status="none") >= 1


async def test_a_process_that_is_not_heard_of_is_not_counted(measured: Rig):
    async with metrics.being_counted(measured.context, "worker"):
        lines = await scrape(measured)
        assert lines.sum("addon_processes", kind="worker") == 1
        assert lines.sum("addon_database_connections_most", kind="worker") == 8
        measured.clock.forward(seconds=40)
        assert (await scrape(measured)).sum("addon_processes", kind="worker") == 0
    async with measured.context.database.transaction() as session:
        kinds = list(await session.scalars(text("SELECT kind FROM process_reports")))
    assert kinds == ["web"]


async def test_what_could_not_be_stored_is_stored_later_and_once(measured: Rig):
    name, route = "addon_http_request_duration_seconds_count", "/heroku/resources"
    await measured.heroku.post("", json=provision_body(plan="test"))
    async with measured.context.database.transaction() as session:
        await session.execute(text("ALTER TABLE metric_counts RENAME TO hidden"))
    assert (await measured.http.get("/metrics", headers=BEARER)).status_code == 500
    await measured.heroku.post("", json=provision_body(plan="test"))
    async with measured.context.database.transaction() as session:
        await session.execute(text("ALTER TABLE hidden RENAME TO metric_counts"))
    assert (await scrape(measured)).sum(name, route=route) == 2
    assert (await scrape(measured)).sum(name, route=route) == 2


async def test_while_the_database_is_away_a_scrape_is_told_to_come_again_and_no_count_is_lost(
    measured: Rig, database_url: str
):
    name, route = "addon_http_request_duration_seconds_count", "/heroku/resources"
    *_, database = database_url.rpartition("/")
    server = database_url.replace("+psycopg", "").removesuffix(database) + "postgres"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database])
        assert (await measured.heroku.post("", json=provision_body())).status_code == 503
        assert (await measured.http.get("/metrics", headers=BEARER)).status_code == 503
        connection.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
    assert (await scrape(measured)).sum(name, route=route, status="5xx") == 1

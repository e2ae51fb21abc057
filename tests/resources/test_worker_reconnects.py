"""A worker in this process, whose connections are cut as in a failover of the database."""

import asyncio
import signal

import pytest
from rig import Rig, key_plans, new_settings, provision_body
from sqlalchemy import text

from app.context import open_context
from app.main import create_app
from app.worker import run_worker

# Everybody but the one who asks, and only on this test's database.
CUT = text(
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


async def removed(rig: Rig) -> None:
    """A resource lives and dies; waits, with a deadline, until the worker has removed it."""
    body = provision_body(plan="test", oauth_grant=None)
    assert (await rig.heroku.post("", json=body)).status_code == 200
    assert (await rig.heroku.delete(f"/{body['uuid']}")).status_code == 204
    async with asyncio.timeout(30):
        while (await rig.resource(body["uuid"])).removed_at is None:
            await asyncio.sleep(0.05)


async def test_a_web_process_whose_worker_died_stops(database_url: str):
    async def companion(_context: object) -> None:
        raise RuntimeError("out of work")

    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    settings = new_settings(database_url)
    app = create_app(settings, lambda s: open_context(s, price_list=key_plans(database_url)), companion)
    try:
        with pytest.raises(RuntimeError, match="out of work"):  # what it died of is not hidden either
            async with asyncio.timeout(10), app.router.lifespan_context(app):
                await stopped.wait()
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    assert stopped.is_set()


async def test_a_worker_goes_on_when_the_database_is_back(key_rig: Rig, monkeypatch):
    monkeypatch.setattr("app.worker._PAUSE_SECONDS", 0)
    worker = asyncio.create_task(run_worker(key_rig.context, install_signal_handlers=False))
    try:
        await removed(key_rig)
        async with key_rig.context.database.transaction() as session:
            await session.execute(CUT)
        await removed(key_rig)
        assert not worker.done()
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)

"""A worker in this process, whose connections are cut as in a failover of the database."""

import asyncio

from rig import Rig, provision_body
from sqlalchemy import text

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

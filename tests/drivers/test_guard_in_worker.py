"""A driver's guard is on duty as long as the worker is, and no longer."""

import asyncio

import pytest
from rig import Rig, key_plans, new_settings
from structlog.testing import capture_logs

from app.drivers.api_key import ApiKey
from app.plans import Plan
from app.worker import run_worker


class Guarded(ApiKey):
    """Says when it is on guard; may fail at it."""

    fails = False

    async def guard(self) -> None:
        self.begun, self.ended = True, False
        if self.fails:
            raise RuntimeError("asleep")
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


@pytest.mark.parametrize("fails", [False, True])
async def test_guards_work_as_long_as_the_worker(database_url, *, fails: bool):
    plans = dict(key_plans(database_url))
    driver = Guarded.__new__(Guarded)
    driver.__dict__ = dict(plans["test"].driver.__dict__)
    driver.fails = fails
    plans |= {name: Plan(name=name, driver=driver) for name in ("test", "standard")}
    async with Rig(new_settings(database_url), plans).running() as rig:
        with capture_logs() as said:
            working = asyncio.create_task(run_worker(rig.context, install_signal_handlers=False))
            while not any(line["event"] == "worker started" for line in said):
                await asyncio.sleep(0.01)
            assert driver.begun
            assert not driver.ended
            working.cancel()
            await asyncio.wait([working])
    assert driver.ended is not fails
    complaints = [line for line in said if "guard had ended" in line["event"]]
    assert len(complaints) == fails

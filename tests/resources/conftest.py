"""A rig that sells the workshop's things, so that a test decides how the driver behaves."""

import io
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from killing import OnSocket, Scene
from rig import Rig, new_settings
from workshop import Workshop

from app.log import configure_logging
from app.plans import Plan, by_name


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


@pytest.fixture
async def shop_rig(database_url: str, workshop: Workshop) -> AsyncIterator[Rig]:
    """The add-on with the usual plans, made by `workshop`; `test` is instant."""
    price_list = by_name(
        Plan(name="test", driver=workshop, is_instant=True),
        Plan(name="standard", driver=workshop),
        Plan(name="premium", driver=workshop),
    )
    async with Rig(new_settings(database_url), price_list).running() as rig:
        yield rig


@pytest.fixture
async def scene(rig: Rig, tmp_path: Path) -> AsyncIterator[Scene]:
    async with OnSocket(rig.simulator.app).served() as heroku:
        scene = Scene(rig, heroku, tmp_path / "worker.log")
        yield scene
        with suppress(AssertionError):
            await scene.kill_worker()


@pytest.fixture
def log(log_as_before: None) -> io.StringIO:
    """Everything that is logged, as in production."""
    stream = io.StringIO()
    configure_logging("json", stream)
    logging.getLogger().setLevel(logging.DEBUG)
    return stream

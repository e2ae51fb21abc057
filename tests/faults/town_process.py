"""The add-on as it is deployed: `python town_process.py web PORT CLOCK`, and beside it `... worker CLOCK`.

Its clock is the real one and what the file CLOCK says besides, which a test may change at any moment.
"""

import asyncio
import mmap
import struct
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from acme import acme_manifest, acme_plans
from rig import key_plans

from app.context import open_context
from app.log import configure_logging
from app.main import create_app
from app.plans import Plan
from app.settings import Settings, read_settings
from app.worker import run_worker

_AHEAD = struct.Struct("d")


class MovableClock:
    """A clock that several processes share: the real time and as many seconds as the file says."""

    def __init__(self, file: Path) -> None:
        if not file.exists():
            file.write_bytes(_AHEAD.pack(0))
        with file.open("r+b") as opened:
            self._seconds = mmap.mmap(opened.fileno(), _AHEAD.size)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=_AHEAD.unpack(self._seconds[:])[0])

    def forward(self, by: timedelta) -> None:
        (ahead,) = _AHEAD.unpack(self._seconds[:])
        self._seconds[:] = _AHEAD.pack(ahead + by.total_seconds())


def price_list(settings: Settings) -> Mapping[str, Plan]:
    """Databases as Acme sells them, and keys, both at once and in the background."""
    keys = key_plans(settings.database_url.get_secret_value())
    renamed = {"key": keys["test"], "slow-key": keys["standard"]}
    return acme_plans(settings) | {
        name: Plan(name=name, driver=plan.driver, is_instant=plan.is_instant) for name, plan in renamed.items()
    }


def opener(clock: MovableClock) -> Callable[[Settings], Any]:
    return lambda settings: open_context(
        settings, clock=clock, manifest=acme_manifest(), price_list=price_list(settings)
    )


async def serve(settings: Settings, port: int, clock: MovableClock) -> None:
    app = create_app(settings, opener(clock))
    config = uvicorn.Config(app, host="127.0.0.1", port=port, access_log=False, log_config=None)
    await uvicorn.Server(config).serve()


async def work(settings: Settings, clock: MovableClock) -> None:
    async with opener(clock)(settings) as context:
        await run_worker(context)


if __name__ == "__main__":
    read = read_settings()
    configure_logging(read.log_format)
    shared = MovableClock(Path(sys.argv[-1]))
    run = partial(serve, read, int(sys.argv[2])) if sys.argv[1] == "web" else partial(work, read)
    asyncio.run(run(shared))

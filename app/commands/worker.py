"""`python -m app worker`: the process that does the background work."""

import asyncio

from app.commands.terminal import clear_errors, settings_of_process
from app.context import open_context
from app.settings import Settings
from app.worker import run_worker


def worker() -> None:
    """Do the background work (Procfile: worker)."""

    async def work(settings: Settings) -> None:
        async with open_context(settings) as context:
            await run_worker(context)

    with clear_errors():
        asyncio.run(work(settings_of_process()))

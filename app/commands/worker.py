"""`python -m app worker`: the process that does the background work."""

import uvloop

from app.commands.process import clear_errors, settings_of_process
from app.context import ContextOpener, open_context
from app.settings import Settings
from app.worker import run_worker


def worker() -> None:
    """Do the background work (Procfile: worker)."""
    run(open_context)


def run(opener: ContextOpener) -> None:
    """Work with what `opener` opens, until the process is told to stop."""

    async def work(settings: Settings) -> None:
        async with opener(settings) as context:
            await run_worker(context)

    with clear_errors():
        uvloop.run(work(settings_of_process()))

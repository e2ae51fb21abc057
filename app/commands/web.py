"""`python -m app web`: the process that answers Heroku, customers and operators."""

import asyncio
from functools import partial
from typing import Annotated

import typer
import uvicorn
from fastapi import FastAPI

from app.commands.forking import fork_web_processes
from app.commands.process import clear_errors, settings_of_process
from app.context import open_context
from app.main import Companion, create_app
from app.settings import Settings
from app.web.connection import BoundedConnection


def web(
    host: Annotated[
        str, typer.Option(help="The address to listen on; a platform's router needs them all.")
    ] = "0.0.0.0",  # nosec B104 # as its help says
) -> None:
    """Answer Heroku and customers on PORT (Procfile: web)."""
    with clear_errors():
        settings = settings_of_process()
        asyncio.run(_try_context(settings))
    serve("app.commands.web:web_app", host=host, port=settings.port)


def serve(factory: str, *, host: str, port: int) -> None:
    """Run the server program until it is told to stop, in WEB_CONCURRENCY processes.

    Args:
        factory: `module:function` of what makes the application, in every process.
        host: the address to listen on.
        port: of it.
    """
    fork_web_processes()
    uvicorn.run(
        factory,
        factory=True,
        host=host,
        port=port,
        loop="uvloop",
        http=BoundedConnection,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=90,
        # A process that is slow to begin is not hung: where several start at once on a busy machine that takes a while.
        timeout_worker_healthcheck=60,
        timeout_graceful_shutdown=20,
    )


def web_app() -> FastAPI:
    """The web application of this environment, for the server program: it makes one in every process."""
    settings = settings_of_process()
    return create_app(settings, companion=companion(settings))


def companion(settings: Settings) -> Companion | None:
    """The worker, if it is to run beside the web."""
    if not settings.worker_in_web:
        return None
    from app.worker import run_worker  # noqa: PLC0415 - most web processes never need it, nor the memory it takes

    return partial(run_worker, install_signal_handlers=False)


async def _try_context(settings: Settings) -> None:
    """Fail now, with a sentence, rather than inside the server program."""
    # Traces are sent by a thread, and there may be none where processes are forked.
    async with open_context(settings.model_copy(update={"otel_exporter_otlp_endpoint": None})):
        pass

"""The simulator on its port while a run lasts, in the run's own event loop, and whether the add-on answers at all."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator

import httpx2
import uvicorn

from app.simulator.starting import CannotStart, Started

from .presence import silence_at

_STARTS_WITHIN_SECONDS = 10
_ANSWERS_WITHIN_SECONDS = 5


class _Server(uvicorn.Server):
    """A server that says when it has started and leaves signals alone: what Ctrl-C means is the run's business."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.has_started = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.has_started.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _is_news(record: logging.LogRecord) -> bool:
    """Keep quiet about connections that were dropped on purpose: checks order that."""
    return record.getMessage() != "ASGI callable returned without completing response."


@contextlib.asynccontextmanager
async def served(ready: Started) -> AsyncIterator[None]:
    """Serve the simulator until the end of the block."""
    config = uvicorn.Config(
        ready.simulator.app, access_log=False, log_config=None, server_header=False, timeout_graceful_shutdown=2
    )
    server = _Server(config)
    log = logging.getLogger("uvicorn.error")
    log.addFilter(_is_news)
    serving = asyncio.create_task(server.serve(sockets=[ready.listener]))
    try:
        async with asyncio.timeout(_STARTS_WITHIN_SECONDS):
            await server.has_started.wait()
        yield
    finally:
        server.should_exit = True
        await serving
        log.removeFilter(_is_news)


async def require_answer(url: str, *, within: float, transport: httpx2.AsyncBaseTransport | None = None) -> None:
    """Return as soon as anything answers at the URL, whatever it says; CannotStart after `within` seconds.

    It is asked at least once. `transport` leads to the add-on without sockets, in tests.
    """
    silence = await silence_at(url, within=within, transport=transport)
    if silence is not None and not silence.has_ended:
        where = _without_user(url)
        raise CannotStart(f"The add-on does not answer at {where} ({silence.error}): start it, or check --base-url.")


def _without_user(url: str) -> str:
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def simulator_at(port: int) -> str | None:
    """Return the marketplace's address if another simulator has that port."""
    url = f"http://127.0.0.1:{port}/marketplace"
    try:
        answer = httpx2.get(url, trust_env=False, timeout=_ANSWERS_WITHIN_SECONDS)
    except httpx2.HTTPError:
        return None
    return url if answer.status_code == 200 and "Simulated Heroku" in answer.text else None

"""One add-on, a pretend Heroku around it and a checker's bench, in one event loop and without sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from addon import CLIENT_SECRET, MANIFEST, PLANS, PREVIOUS_PASSWORD, PREVIOUS_SALT, AddOn, Settings

from app.conformance.bench import Bench
from app.conformance.journal import Journal
from app.conformance.requirement import Requirement
from app.conformance.run import Result, run
from app.conformance.target import Target
from app.simulator import Simulator

URL = "https://addon.test"
HEROKU_URL = "http://127.0.0.1:5100"


@asynccontextmanager
async def bench_with(
    *,
    kind: type[AddOn] | None = None,
    faults: Collection[str] = (),
    manifest: Mapping[str, Any] | None = None,
    log_path: Path | None = None,
    patience: float = 15,
) -> AsyncIterator[Bench]:
    """Yield a bench to check an add-on with those faults."""
    manifest = manifest or MANIFEST
    api = manifest["api"]
    settings = Settings(URL, HEROKU_URL, password=api["password"], sso_salt=api["sso_salt"], log_path=log_path)
    clock = _clock()
    # Each knows the other: the simulator's transport asks for the add-on when it is used.
    addon: AddOn | None = None

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await addon.app(scope, receive, send)

    to_addon = httpx2.ASGITransport(asgi, raise_app_exceptions=False)
    simulator = Simulator(
        manifest,
        HEROKU_URL,
        f"{URL}/heroku/resources",
        f"{URL}/sso/login",
        CLIENT_SECRET,
        plans=PLANS,
        transport=to_addon,
        clock=clock,
    )
    to_heroku = httpx2.ASGITransport(simulator.app)
    addon = (kind or AddOn)(settings, faults=faults, heroku_transport=to_heroku, now=lambda: clock().timestamp())
    target = Target(
        f"{URL}/heroku/resources",
        f"{URL}/sso/login",
        patience=patience,
        log_file=str(log_path) if log_path else None,
        previous_password=PREVIOUS_PASSWORD,
        previous_salt=PREVIOUS_SALT,
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(simulator.running())
        await stack.enter_async_context(addon.running())
        yield await stack.enter_async_context(Bench(simulator, target, Journal(None), transport=to_addon))


def _clock() -> Callable[[], datetime]:
    """Return a clock that goes as fast as the event loop's, whatever that is."""
    now, start = asyncio.get_running_loop().time, datetime.now(UTC)
    started = now()
    return lambda: start + timedelta(seconds=now() - started)


async def check(requirements: Iterable[Requirement], **how: Any) -> list[Result]:
    async with bench_with(**how) as bench:
        return await run(bench, requirements)

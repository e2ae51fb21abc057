"""One add-on, a pretend Heroku around it and a checker's bench, in one event loop and without sockets."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from addon import CLIENT_SECRET, MANIFEST, PLANS, AddOn, Settings

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
    faults: Collection[str] = (),
    manifest: Mapping[str, Any] | None = None,
    log_path: Path | None = None,
    patience: float = 15,
) -> AsyncIterator[Bench]:
    """Yield a bench to check an add-on with those faults."""
    manifest = manifest or MANIFEST
    api = manifest["api"]
    settings = Settings(URL, HEROKU_URL, password=api["password"], sso_salt=api["sso_salt"], log_path=log_path)
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
    )
    addon = AddOn(settings, faults=faults, heroku_transport=httpx2.ASGITransport(simulator.app))
    target = Target(
        f"{URL}/heroku/resources", f"{URL}/sso/login", patience=patience, log_file=str(log_path) if log_path else None
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(simulator.running())
        await stack.enter_async_context(addon.running())
        yield await stack.enter_async_context(Bench(simulator, target, Journal(None), transport=to_addon))


async def check(requirements: Iterable[Requirement], **how: Any) -> list[Result]:
    async with bench_with(**how) as bench:
        return await run(bench, requirements)

"""The simulator put together: world, calls, faults, and the ASGI application that serves all of it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from . import dynos, pages, platform_api, state
from .calls import Calls
from .faults import Faults
from .guard import Guard
from .logs import app_output, drains, log_input, tokens
from .logs.delivery import LogDeliveries
from .logs.lines import Logs
from .oauth import token_endpoint
from .oauth.service_secret import settle_client_secret
from .offer import read_offer
from .parts import Parts, Section
from .portal import api as portal
from .portal.manifests import settle_manifest
from .rate_limit import RateLimit
from .sending import Sender
from .webhooks.delivery import WebhookDeliveries
from .webhooks.events import WebhookEvents
from .wire import Wire
from .world import World, utc_now

_LOG = logging.getLogger(__name__)
_ROUND = timedelta(seconds=5)
_SAVE_DELAY = timedelta(milliseconds=300)


class Simulator:
    """A pretend Heroku around one add-on. Serve `app`, or call `calls`, `world` and `faults` from a test.

    `state_path` names the file that keeps the world; with `is_new_world` what it has is not read, and is replaced.
    Without a running `app` wrap the use in `async with simulator.running()`, which closes what was opened.
    """

    def __init__(
        self,
        manifest: Mapping[str, Any],
        url: str,
        addon_base_url: str,
        addon_sso_url: str,
        client_secret: str,
        *,
        plans: Sequence[Mapping[str, Any]] | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        clock: Callable[[], datetime] = utc_now,
        state_path: Path | None = None,
        is_new_world: bool = False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        offer = read_offer(manifest, client_secret=client_secret, plans=plans)
        saved = state.read(state_path, offer.slug) if state_path and not is_new_world else None
        self._state_path = state_path
        self._watchers: list[asyncio.Event] = []
        self._writing: asyncio.Future[None] | None = None
        self.world = World(**(vars(saved) if saved else {"slug": offer.slug}), offer=offer, clock=clock)
        settle_client_secret(self.world)
        settle_manifest(self.world, manifest)
        self.world.on_change = self._changed
        self.faults = Faults(on_change=self.world.changed)
        sender = partial(Sender, transport=transport, sleep=sleep)
        self._wire = Wire(self.world, self.faults, sender())
        self.webhooks = WebhookDeliveries(self.world, self.faults, sender())
        self.world.listeners.append(WebhookEvents(self.world, url).publish)
        self.calls = Calls(self.world, self._wire, url=url, addon_base_url=addon_base_url)
        self.logs = Logs(self.world)
        self.log_deliveries = LogDeliveries(self.world, self.faults, sender())
        self.logs.followers.append(self.log_deliveries.take)
        self.world.listeners += [
            partial(tokens.follow, self.world),
            partial(drains.follow, self.world),
            partial(app_output.follow, self.logs),
        ]
        # The last to listen: a release is told before the restart it brings.
        self.world.listeners.append(partial(dynos.follow, self.world))
        dynos.settle(self.world)
        self._due = [self._settle_dynos, self.calls.retry_due, self.calls.reap, self.webhooks.start_due]
        self._due.append(self.log_deliveries.start_due)
        self.app = Starlette(
            routes=[
                *pages.routes(),
                Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
                *token_endpoint.routes(),
                *portal.routes(),
                *log_input.routes(),
                *platform_api.routes(),
            ],
            middleware=[Middleware(Guard, url=url)],
            exception_handlers=pages.error_pages(),
            lifespan=lambda _: self.running(),
        )
        self.app.state.parts = Parts(
            world=self.world,
            faults=self.faults,
            calls=self.calls,
            logs=self.logs,
            log_deliveries=self.log_deliveries,
            rate_limit=RateLimit(),
            sleep=sleep,
            catch_up=self.catch_up,
            templates=pages.template_environment(),
            url=url.rstrip("/"),
            addon_sso_url=addon_sso_url,
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the background work going, and leave nothing open and nothing unsaved at the end."""
        work = [asyncio.create_task(self._saves(self._watch()))]
        work += [asyncio.create_task(self._rounds(due, self._watch())) for due in self._due]
        try:
            yield
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            for section in self.app.state.parts.sections:
                await section.aclose()
            self._watchers.clear()
            if self._writing is not None:
                await asyncio.wait([self._writing])
            await self.webhooks.aclose()
            await self.log_deliveries.aclose()
            await self._wire.aclose()
            self.save()

    def add_section(self, section: Section) -> None:
        """Add somebody else's pages to the marketplace, and their entry to its navigation; before it is served."""
        self.app.state.parts.sections.append(section)
        self.app.router.routes[:0] = section.routes

    def save(self) -> None:
        """Write the state file now; without a path there is none."""
        if self._state_path is not None:
            state.write(self._state_path, state.dump(self.world))

    async def catch_up(self) -> None:
        """Do what is due by now: repeat unconfirmed DELETEs, reap what never got provisioned."""
        for work in self._due:
            await work()
        await self.webhooks.deliver_due()
        await self.log_deliveries.deliver_due()

    async def _settle_dynos(self) -> None:
        dynos.settle(self.world)

    async def _rounds(self, work: Callable[[], Awaitable[None]], has_changed: asyncio.Event) -> None:
        """Do one kind of due work again and again: soon after a change, and as time alone brings it."""
        while True:
            has_changed.clear()
            try:
                await work()
            except Exception:  # noqa: BLE001 - whatever one round met, the next must come
                _LOG.exception("The simulator's round failed; the next one follows.")
            # Not wait_for, which before Python 3.12 may swallow the cancellation that ends this loop.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ROUND.total_seconds()):
                    await has_changed.wait()

    def _watch(self) -> asyncio.Event:
        """Return an event that every change of the world sets; it is set now, for what changed before."""
        event = asyncio.Event()
        event.set()
        self._watchers.append(event)
        return event

    def _changed(self) -> None:
        for event in self._watchers:
            event.set()

    async def _saves(self, has_changed: asyncio.Event) -> None:
        """Save a moment after a change, so that a burst of changes is one write."""
        while True:
            await has_changed.wait()
            await asyncio.sleep(_SAVE_DELAY.total_seconds())
            has_changed.clear()
            if self._state_path is None:
                continue
            try:
                content = state.dump(self.world)
                self._writing = asyncio.ensure_future(asyncio.to_thread(state.write, self._state_path, content))
                # A thread cannot be stopped: the last save waits for it, or an older world would replace a newer one.
                await asyncio.shield(self._writing)
            except OSError as error:
                _LOG.error("The simulator's state could not be saved: %s", error)
            except Exception:  # noqa: BLE001 - whatever could not be written, the next save must come
                _LOG.exception("The simulator's state could not be saved; the next change is saved again.")

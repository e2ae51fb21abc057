"""Runs inside a simulator that somebody uses: one at a time, in the background, and without a trace afterwards."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx2

from app.simulator import HerokuError, Simulator, apps
from app.simulator.masking import masked_url
from app.simulator.world import World

from .bench import Bench
from .journal import Journal
from .options import Options
from .reports.report import Report
from .requirement import Requirement
from .requirements import ALL
from .run import Result, run
from .target import Target

_CLEANS_UP_WITHIN_SECONDS = 30


@dataclass
class PageRun:
    """What is being checked and what was found. The results of earlier runs stay until they are checked again.

    `options` are those of the commands that repeat a check. `transport` leads to the add-on without sockets, in tests.
    """

    simulator: Simulator
    target: Target
    options: Options
    transport: httpx2.AsyncBaseTransport | None = None
    chosen: Sequence[Requirement] = ()
    current: Requirement | None = None
    done_count: int = 0
    is_complete: bool = True
    started_at: datetime | None = None
    _found: dict[str, Result] = field(default_factory=dict)
    _task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        return self._task is not None and not self._task.done()

    @property
    def results(self) -> list[Result]:
        """The latest result of each requirement, in their own order."""
        return [self._found[one.id] for one in ALL if one.id in self._found]

    def start(self, chosen: Sequence[Requirement]) -> None:
        """Begin; while a run is under way nothing happens."""
        if self.is_running or not chosen:
            return
        self.chosen, self.done_count, self.is_complete = chosen, 0, False
        self.started_at = datetime.now(UTC)
        for requirement in chosen:
            self._found.pop(requirement.id, None)
        self._task = asyncio.create_task(self._work())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def aclose(self) -> None:
        """Stop and clean up, before the simulator ends."""
        self.stop()
        await self.wait()

    async def wait(self) -> None:
        """Return when nothing is being checked."""
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def report(self) -> Report:
        return Report(
            addon=self.simulator.world.offer.slug,
            base_url=masked_url(self.target.base_url),
            manifest=self.options.manifest.name,
            started_at=self.started_at or datetime.now(UTC),
            seconds=sum(one.seconds for one in self.results),
            results=self.results,
            repeat=self.options.repeat,
            is_complete=self.is_complete,
        )

    async def _work(self) -> None:
        world = self.simulator.world
        apps_before, offset = set(world.apps), world.clock_offset
        try:
            async with Bench(self.simulator, self.target, Journal(None), self.transport) as bench:
                try:
                    await run(bench, self.chosen, on_start=self._on_start, on_result=self._on_result)
                    self.is_complete = True
                except asyncio.CancelledError:
                    await self._clean_up(bench)
        finally:
            self.current = None
            await self._remove_apps(apps_before)
            _set_clock_back(world, offset)

    def _on_start(self, requirement: Requirement) -> None:
        self.current = requirement

    def _on_result(self, result: Result) -> None:
        self._found[result.requirement.id] = result
        self.done_count += 1

    async def _clean_up(self, bench: Bench) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLEANS_UP_WITHIN_SECONDS):
                await bench.clean_up()

    async def _remove_apps(self, before: set[str]) -> None:
        world = self.simulator.world
        for app in [one for one in world.apps.values() if one.id not in before and one.name.startswith("conform-")]:
            with contextlib.suppress(HerokuError):
                await apps.delete(world, self.simulator.calls, app, by=world.customers[app.owner_id])


def _set_clock_back(world: World, offset: timedelta) -> None:
    """Undo what checks did to the clock: the tokens of whoever uses this simulator are not older for it."""
    if world.clock_offset != offset:
        world.clock_offset = offset
        world.changed()

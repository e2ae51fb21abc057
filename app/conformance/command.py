"""`python -m app conform`: a run from the command line, from the options to the exit status.

0: every MUST is met. 1: one is not, or with --strict a SHOULD. 2: it could not run. 130: it was interrupted.
"""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from app.simulator import starting
from app.simulator.masking import masked_url
from app.simulator.starting import CannotStart, PriceList, Started

from . import leftovers, serving
from .bench import Bench
from .journal import Journal
from .options import Options, Unusable
from .reports import Format, write
from .reports.report import Report
from .requirement import Requirement
from .requirements import ALL
from .run import Result, run
from .screen import Screen
from .selection import NothingSelected, select

INTERRUPTED = 130
_CLEANS_UP_WITHIN_SECONDS = 30


# What is done with the bench; the result is the exit status.
Action = Callable[[Bench, Started], Awaitable[int]]


def conform(options: Options, environ: Mapping[str, str], price_list: PriceList) -> int:
    """Check the add-on and report; the exit status."""
    return _ended(_checked(options, environ, price_list))


def list_leftovers(options: Options, environ: Mapping[str, str], price_list: PriceList) -> int:
    """Print what earlier runs may have left at the add-on."""

    async def action(bench: Bench, _: Started) -> int:
        return leftovers.list_leftovers(bench, options, typer.echo)

    return _ended(_with_bench(replace(options, port=0), environ, price_list, action))


def purge(options: Options, environ: Mapping[str, str], price_list: PriceList) -> int:
    """Remove what earlier runs may have left at the add-on."""

    async def action(bench: Bench, ready: Started) -> int:
        await serving.require_answer(ready.addon_base_url, within=options.wait)
        return await leftovers.purge(bench, typer.echo)

    return _ended(_with_bench(replace(options, port=0), environ, price_list, action))


def _ended(work: Coroutine[Any, Any, int]) -> int:
    try:
        return asyncio.run(work)
    except asyncio.CancelledError:
        return INTERRUPTED
    except (CannotStart, NothingSelected, Unusable) as error:
        typer.secho(str(error), err=True, fg="red")
        return 2


async def _checked(options: Options, environ: Mapping[str, str], price_list: PriceList) -> int:
    chosen = select(ALL, only=options.only, skip=options.skip, level=options.level)
    options.formats()

    async def action(bench: Bench, ready: Started) -> int:
        async with serving.served(ready):
            await serving.require_answer(ready.addon_base_url, within=options.wait)
            return await _run(bench, options, ready, chosen)

    try:
        return await _with_bench(options, environ, price_list, action)
    except starting.PortTaken as error:
        other = await asyncio.to_thread(serving.simulator_at, options.port)
        if other is None:
            raise
        raise CannotStart(
            f"A simulator is at work on port {options.port}. Check the add-on from its page, {other}/conformance, "
            "or stop it first, or give another --port and point the add-on there."
        ) from error


async def _with_bench(options: Options, environ: Mapping[str, str], price_list: PriceList, action: Action) -> int:
    _cancel_on_signals()
    with starting.started(
        options.manifest,
        environ,
        port=options.port,
        base_url=options.base_url,
        sso_url=options.sso_url,
        plans=price_list,
    ) as ready:
        journal = _journal(options.journal_path(ready.simulator.world.offer.slug))
        async with Bench(ready.simulator, options.target(ready, environ), journal) as bench:
            return await action(bench, ready)


def _cancel_on_signals() -> None:
    """Let Ctrl-C and SIGTERM cancel what is under way, as often as they come; who ignores one, as nohup, is heeded."""
    task = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM):
        if task is not None and signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def _journal(path: Path) -> Journal:
    folder = next(one for one in path.absolute().parents if one.exists())
    if not os.access(folder, os.W_OK):
        raise Unusable(f"{path}: the journal cannot be kept there; choose another place with --journal.")
    try:
        return Journal(path)
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}.") from None
    except ValueError as error:
        raise Unusable(str(error)) from None


async def _run(bench: Bench, options: Options, ready: Started, chosen: Sequence[Requirement]) -> int:
    prints_report = not options.outputs and options.form not in {None, Format.TEXT}
    screen = Screen(len(chosen), options.repeat, is_on_stderr=prints_report, is_quiet=options.is_quiet)
    screen.begin(
        f"Checking {bench.offer.slug} at {masked_url(ready.addon_base_url)}: {len(chosen)} requirements.",
        f"Heroku is simulated at {ready.url}; there the add-on must find the platform API, and /oauth/token.",
    )
    if bench.journal.uuids:
        screen.warn(
            f"An earlier run left {leftovers.counted(len(bench.journal.uuids))}. To remove them: {options.purge()}"
        )
    started_at, started, results, is_complete = datetime.now(UTC), time.monotonic(), list[Result](), True
    with screen:
        try:
            await run(
                bench,
                chosen,
                wait=options.wait,
                on_start=screen.on_start,
                on_result=lambda one: _take(one, results, screen),
            )
        except asyncio.CancelledError:
            is_complete = False
            await _clean_up(bench, screen)
    report = Report(
        addon=bench.offer.slug,
        base_url=masked_url(ready.addon_base_url),
        manifest=_shown(options.manifest),
        started_at=started_at,
        seconds=time.monotonic() - started,
        results=results,
        repeat=options.repeat,
        is_complete=is_complete,
        is_strict=options.is_strict,
    )
    screen.end(report)
    _deliver(report, options, prints_report=prints_report)
    if bench.journal.uuids:
        screen.warn(f"{leftovers.counted(len(bench.journal.uuids))} may be left. To remove them: {options.purge()}")
    return 0 if report.has_passed else 1 if report.is_complete else INTERRUPTED


def _take(result: Result, results: list[Result], screen: Screen) -> None:
    results.append(result)
    screen.on_result(result)


async def _clean_up(bench: Bench, screen: Screen) -> None:
    """Remove what the interrupted check made; a second Ctrl-C ends that, and the journal knows what is left."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
    screen.warn("Stopping: what the check made is removed first. Ctrl-C once more leaves it.")
    try:
        async with asyncio.timeout(_CLEANS_UP_WITHIN_SECONDS):
            await bench.clean_up()
    except TimeoutError:
        screen.warn("The add-on did not remove everything in time.")
    except asyncio.CancelledError:
        screen.warn("Stopped.")


def _deliver(report: Report, options: Options, *, prints_report: bool) -> None:
    if prints_report and options.form is not None:
        typer.echo(write(report, options.form), nl=False)
    for path, form in options.formats().items():
        try:
            path.write_text(write(report, form), encoding="utf-8", errors="replace")
        except OSError as error:
            raise Unusable(f"{path}: {error.strerror}.") from None


def _shown(path: Path) -> str:
    """Name the manifest as others can: relative to here, or alone."""
    whole, here = path.absolute(), Path.cwd()
    return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else whole.name

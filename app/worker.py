"""The worker process: runs the queue's jobs, and the one list of periodic work."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Final, NoReturn

import procrastinate
import structlog
from procrastinate.exceptions import ConnectorException
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import make_url

from app.context import Context
from app.job_worker import Periodic, remove_old_jobs, retry_stalled_jobs, worker_app
from app.operations import batch_work, exchanges, healing, metrics, reconciliation, scheduled_rotation, telling
from app.operations.audit_chain import link_events
from app.operations.audit_verification import verify_daily
from app.resources import log_writing, webhook_subscription, webhooks
from app.resources.outcomes import JOBS, run_job
from app.resources.sweep import enqueue_measurements, sweep
from app.web import limit_storage

_log = structlog.get_logger(__name__)

CONCURRENCY: Final = 8
# Nothing wakes a worker but this, four cheap queries a second: a NOTIFY for each job would have those who enqueue
# commit one after another (the sixth migration), and none comes when a resource's previous job ends or a retry is due.
_POLL_SECONDS: Final = 0.25
_HEARTBEAT: Final = timedelta(seconds=10)
_LOST_AFTER: Final = timedelta(seconds=30)
# Heroku kills a process thirty seconds after SIGTERM; what does not finish by then goes back to the queue.
_SHUTDOWN_SECONDS: Final = 20.0
_PAUSE_SECONDS: Final = 2.0


def build_worker(context: Context) -> procrastinate.App:
    """The queue's app with every job and all periodic work; open it, then run it."""
    return worker_app(
        url=libpq_url(context.settings.database_url.get_secret_value()),
        jobs={name: partial(run_job, context, name) for name in JOBS},
        periodic={
            "sweep": Periodic("* * * * *", lambda _: sweep(context)),
            "rotate_due": Periodic("* * * * *", lambda _: scheduled_rotation.rotate_due(context)),
            "measure": Periodic("*/5 * * * *", lambda _: enqueue_measurements(context)),
            "batches": Periodic("* * * * * */3", lambda _: batch_work.keep_working(context)),
            "retry_stalled": Periodic("* * * * * */10", partial(retry_stalled_jobs, silent_for=_LOST_AFTER)),
            "forget_limits": Periodic("* * * * *", lambda _: limit_storage.prune(context)),
            "webhooks": Periodic("* * * * *", lambda _: webhook_subscription.enqueue_looks(context)),
            "forget_webhooks": Periodic("37 * * * *", lambda _: webhooks.forget(context)),
            "forget_log_lines": Periodic("57 * * * *", lambda _: log_writing.forget(context)),
            "forget_exchanges": Periodic("47 * * * *", lambda _: exchanges.prune(context)),
            "link_audit": Periodic("* * * * * */10", lambda _: link_events(context)),
            "alerts": Periodic("* * * * *", lambda _: telling.watch(context)),
            "forget_alerts": Periodic("7 4 * * *", lambda _: telling.forget(context)),
            "heal": Periodic("* * * * *", lambda _: healing.heal(context)),
            "reconcile": Periodic("* * * * * */10", lambda _: reconciliation.run_asked(context)),
            "reconcile_daily": Periodic("43 3 * * *", lambda _: reconciliation.run_daily(context)),
            "verify_audit": Periodic("27 3 * * *", lambda _: verify_daily(context)),
            "remove_old": Periodic("17 4 * * *", partial(remove_old_jobs, older_than=timedelta(days=30))),
        },
        watch=context.watch,
    )


async def run_worker(context: Context, *, install_signal_handlers: bool = True) -> None:
    """Work until SIGTERM, SIGINT or cancellation, then finish what runs.

    A worker that has lost the database (it was restarted, or failed over) begins again until it is back.
    """
    async with exchanges.being_written(context), metrics.being_counted(context, "worker"), _drivers_on_guard(context):
        await _work_until_told(context, install_signal_handlers=install_signal_handlers)


@asynccontextmanager
async def _drivers_on_guard(context: Context) -> AsyncIterator[None]:
    """Not jobs of the queue: a customer who stops the server that the queue is on, too, must not stop these."""
    drivers = {id(plan.driver): plan.driver for plan in context.plans.values()}
    guards = [asyncio.create_task(driver.guard()) for driver in drivers.values()]
    try:
        yield
    finally:
        for task in guards:
            task.cancel()
        for end in await asyncio.gather(*guards, return_exceptions=True):
            if isinstance(end, Exception):
                _log.error("a driver's guard had ended before the worker", exc_info=end)


async def _work_until_told(context: Context, *, install_signal_handlers: bool) -> None:
    working = asyncio.create_task(_work_for_ever(context))
    if install_signal_handlers:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, working.cancel)
        with suppress(asyncio.CancelledError):
            await working
        _log.info("worker stopped")
    else:
        await working


async def _work_for_ever(context: Context) -> NoReturn:
    while True:
        app = build_worker(context)
        with suppress(ConnectorException):
            async with app.open_async():
                _log.info("worker started", concurrency=CONCURRENCY)
                await app.run_worker_async(
                    concurrency=CONCURRENCY,
                    install_signal_handlers=False,
                    listen_notify=False,
                    fetch_job_polling_interval=_POLL_SECONDS,
                    shutdown_graceful_timeout=_SHUTDOWN_SECONDS,
                    update_heartbeat_interval=_HEARTBEAT.total_seconds(),
                    stalled_worker_timeout=_LOST_AFTER.total_seconds(),
                    delete_jobs="successful",
                )
        _log.error("the worker has lost the database and begins again", pause_seconds=_PAUSE_SECONDS)
        await asyncio.sleep(_PAUSE_SECONDS)


def libpq_url(url: str) -> str:
    """SQLAlchemy's address of the database as libpq reads it."""
    address = make_url(url)
    return make_conninfo(address.set(drivername="postgresql").render_as_string(hide_password=False))

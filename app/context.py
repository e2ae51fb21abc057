"""What a process holds open: the database, Heroku, the plans and their drivers. Handed down visibly, never global."""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx2

from app.app_log import AppLog
from app.database import Database
from app.drivers.base import OwnTable
from app.encryption import KeyRing, check_canaries
from app.exchanges import ExchangeBuffer
from app.gathering import Gathering
from app.heroku import Heroku
from app.job_queue import JobQueue
from app.log_input import LogInput
from app.manifest import Manifest, read_manifest
from app.oidc import OpenId
from app.plans import Plan, plans
from app.settings import Settings
from app.telemetry.tracing import open_tracing
from app.telemetry.watch import Watch

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

Clock = Callable[[], datetime]

# As long as any call of Heroku may take would be too long for a process that is told to stop.
_LAST_READING = timedelta(seconds=5)

MANIFEST = Path(__file__).parent.parent / "addon-manifest.json"


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Everything a door or a job may need."""

    settings: Settings
    manifest: Manifest
    database: Database
    heroku: Heroku
    plans: Mapping[str, Plan]
    keys: KeyRing
    queue: JobQueue
    clock: Clock
    # Where operators may come in besides; None if OIDC_ISSUER is not set.
    open_id: OpenId | None = None
    # What was said between Heroku and us, until it is written.
    exchanges: ExchangeBuffer
    # What this process counts and traces of its work.
    watch: Watch
    # What is to be written into customers' apps' logs, and the way there.
    app_log: AppLog
    log_input: LogInput
    # Held while a sign-in of an operator is counted: many at once must not take the database's connections from Heroku.
    counting: asyncio.Lock = field(default_factory=asyncio.Lock)
    # What this process is provisioning at this moment, by uuid: see `resources/provisioning.py`.
    under_way: dict[UUID, tuple[object, asyncio.Task[Any]]] = field(default_factory=dict)
    # Which of them wait to be written down: see `resources/newcomers.py`.
    newcomers: Gathering[Any, Any] = field(default_factory=Gathering)
    # The same for plans whose services are rows beside ours, with how those are made: see `OwnTable`.
    own_tables: Mapping[str, tuple[OwnTable, Gathering[Any, Any]]] = field(default_factory=dict)
    # Services that were made within a request and wait to be written down: see `resources/made_at_once.py`.
    made: Gathering[Any, Any] = field(default_factory=Gathering)
    # Customers' forms that wait to be used up: see `resources/sign_ins.py`.
    forms: Gathering[Any, Any] = field(default_factory=Gathering)
    # What this process asks Heroku at this moment for somebody's page, by uuid: see `resources/app_facts.py`.
    being_read: dict[UUID, asyncio.Task[Any]] = field(default_factory=dict)
    # How this process gets tokens at this moment: see `resources/authorization.py`. The keys hold secrets.
    asking: dict[Hashable, asyncio.Future[Any]] = field(default_factory=dict, repr=False)


ContextOpener = Callable[[Settings], AbstractAsyncContextManager[Context]]


@asynccontextmanager
async def open_context(
    settings: Settings,
    *,
    clock: Clock = utc_now,
    heroku_transport: httpx2.AsyncBaseTransport | None = None,
    open_id_transport: httpx2.AsyncBaseTransport | None = None,
    manifest: Manifest | None = None,
    price_list: Mapping[str, Plan] | None = None,
    span_processor: "SpanProcessor | None" = None,
) -> AsyncIterator[Context]:
    """Open everything, and close it at the end of the block.

    Args:
        settings: where everything is.
        clock: aware UTC times.
        heroku_transport: how to reach Heroku, where that is not the network.
        open_id_transport: how to reach the OpenID provider, where that is not the network.
        manifest: another one than `addon-manifest.json`.
        price_list: other plans than those of `plans.py`.
        span_processor: takes the spans of traces, instead of where the environment sends them.

    Raises:
        BadManifestError: the manifest cannot be used.
        WrongKeyError: ENCRYPTION_KEYS does not open what is stored.
        Retry: the database cannot be reached.
    """
    async with AsyncExitStack() as stack:
        database = Database(settings.database_url.get_secret_value())
        stack.push_async_callback(database.close)
        exchanges = ExchangeBuffer(clock)
        described = manifest if manifest is not None else read_manifest(MANIFEST)
        is_traced = settings.otel_exporter_otlp_endpoint is not None
        tracing = open_tracing(is_on=is_traced, service=described.id, processor=span_processor)
        stack.push_async_callback(tracing.close)
        watch = Watch(tracing)
        heroku = Heroku(
            api_url=settings.heroku_api_url,
            id_url=settings.heroku_id_url,
            client_secret=settings.heroku_client_secret.get_secret_value(),
            transport=heroku_transport,
            note=exchanges.note,
            watch=watch,
        )
        stack.push_async_callback(heroku.close)
        open_id = _open_id(settings, clock, open_id_transport)
        if open_id is not None:
            stack.push_async_callback(open_id.close)
        log_input = LogInput(
            slug=described.id, api_url=settings.heroku_api_url, transport=heroku_transport, watch=watch
        )
        stack.push_async_callback(log_input.close)
        queue, requires = JobQueue(), described.api.requires
        sold = price_list if price_list is not None else plans(settings)
        context = Context(
            settings=settings,
            manifest=described,
            database=database,
            heroku=heroku,
            plans=sold,
            keys=KeyRing.from_base64([key.get_secret_value() for key in settings.encryption_keys]),
            queue=queue,
            clock=clock,
            open_id=open_id,
            exchanges=exchanges,
            watch=watch,
            app_log=AppLog(database, queue, clock, is_on="log_input" in requires),
            log_input=log_input,
            own_tables=_own_tables(settings, sold),
        )
        async with database.transaction() as session:
            await check_canaries(session, context.keys)
        for plan in context.plans.values():
            plan.driver.use_app_log(context.app_log)
            await plan.driver.open()
            stack.push_async_callback(plan.driver.close)
        stack.push_async_callback(_end_reading, context)
        yield context


def _own_tables(settings: Settings, sold: Mapping[str, Plan]) -> dict[str, tuple[OwnTable, Gathering[Any, Any]]]:
    waiting: dict[str, Gathering[Any, Any]] = {}
    found = {}
    for plan in sold.values():
        table = plan.driver.own_table(settings.database_url.get_secret_value()) if plan.is_instant else None
        if table is not None:
            found[plan.name] = (table, waiting.setdefault(table.insert, Gathering()))
    return found


async def _end_reading(context: Context) -> None:
    """Let what is asked come to its end: breaking off a refresh of tokens could lose them."""
    asked = [*context.being_read.values(), *context.asking.values()]
    if asked:
        _, late = await asyncio.wait(asked, timeout=_LAST_READING.total_seconds())
        for task in late:
            task.cancel()


def _open_id(settings: Settings, clock: Clock, transport: httpx2.AsyncBaseTransport | None) -> OpenId | None:
    if settings.oidc_issuer is None or settings.oidc_client_id is None or settings.oidc_client_secret is None:
        return None
    return OpenId(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.get_secret_value(),
        redirect_uri=f"{settings.public_url}/admin/sign-in/openid/callback",
        clock=clock,
        transport=transport,
    )

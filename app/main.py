"""The web process: `create_app` puts the doors together."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import structlog
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from app.context import Context, ContextOpener, open_context
from app.operations import exchanges, metrics
from app.operators import sessions
from app.resources.log_drain import Intake
from app.settings import Settings
from app.web import admin, dashboard, health, log_drain, partner_api, sso, webhooks
from app.web import metrics as metrics_door
from app.web.cookies import OPEN_ID_LIFE, SECOND_STEP_LIFE, Signer
from app.web.errors import handle_errors
from app.web.limits import Limits
from app.web.middleware import EveryRequest
from app.web.noting import direct_routes
from app.web.pages import FOLDER, environment

_log = structlog.get_logger(__name__)

# Objects made, for the first generation; collections of the one before, for the others.
_COLLECTED_AFTER: Final = (50_000, 20, 20)

Companion = Callable[[Context], Coroutine[Any, Any, None]]


def create_app(settings: Settings, opener: ContextOpener = open_context, companion: Companion | None = None) -> FastAPI:
    """The web application.

    Args:
        settings: of this process.
        opener: opens what the process holds; tests bring their own clock and their own Heroku.
        companion: runs beside it until it stops, such as a worker.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opener(settings) as context, exchanges.being_written(context), metrics.being_counted(context, "web"):
            app.state.context = context
            app.state.limits = Limits(context)
            app.state.log_intake = Intake(context)
            beside = asyncio.create_task(companion(context)) if companion is not None else None
            if beside is not None:
                beside.add_done_callback(_stop_if_it_died)
            # What is loaded now stays: the collector need not look at it again and again. Nor at each few hundred
            # objects of a request: most of them are gone by then. To collect first takes a tenth of a second, and there
            # is nothing to be found yet.
            gc.freeze()
            gc.set_threshold(*_COLLECTED_AFTER)
            yield
            if beside is not None:
                beside.cancel()
                with suppress(asyncio.CancelledError):
                    await beside

    app = FastAPI(
        title="Heroku add-on",
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # Its own spans would name whole addresses, and take up traces that a stranger has begun: see `telemetry/`.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.router.redirect_slashes = False  # Heroku does not follow redirects
    keys = [key.get_secret_value() for key in settings.secret_keys]
    app.state.session_signer = Signer(keys, "customer session")
    app.state.form_signer = Signer(keys, "customer form")
    app.state.operator_form_signer = Signer(keys, "operator form", life=sessions.LIFE)
    app.state.second_step_signer = Signer(keys, "operator second step", life=SECOND_STEP_LIFE)
    app.state.open_id_signer = Signer(keys, "operator openid", life=OPEN_ID_LIFE)
    app.state.templates = environment()
    app.state.metrics_told = metrics_door.Told()
    app.state.newest_migration = health.newest_migration()
    app.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")
    for door in (partner_api, webhooks, log_drain, sso, dashboard, health, metrics_door):
        app.include_router(door.router)
    # Without a prefix FastAPI would work out all of the panel's routes here, to see that none is empty, and once more
    # when the first is asked for.
    app.include_router(admin.router, prefix=admin.PATH)
    app.include_router(partner_api.direct_router)
    direct = direct_routes(partner_api.direct_router) | direct_routes(sso.router)
    handle_errors(app)
    app.add_exception_handler(admin.SignInFirst, admin.lead_to_sign_in)
    app.add_exception_handler(admin.SetUpFirst, admin.lead_to_set_up)
    app.add_middleware(EveryRequest, is_https=settings.is_https, watch=lambda: app.state.context.watch, direct=direct)
    return app


def _stop_if_it_died(companion: "asyncio.Task[None]") -> None:
    """A web process without the worker it promised is to be restarted, not to look healthy."""
    if not companion.cancelled() and (error := companion.exception()) is not None:
        _log.critical("what runs beside the web has died; stopping", exc_info=error)
        signal.raise_signal(signal.SIGTERM)

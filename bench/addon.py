"""The add-on as it is measured: the whole of it, selling API keys.

Everything but the price list and the manifest is what runs in production: the same processes, the same settings.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from fastapi import FastAPI

from app.commands.process import clear_errors, settings_of_process
from app.commands.web import companion, serve
from app.context import Context, open_context
from app.drivers.api_key import ApiKey
from app.main import create_app
from app.manifest import read_manifest
from app.plans import Plan, by_name
from app.settings import Settings

MANIFEST: Final = Path(__file__).parent / "addon-manifest.json"


def price_list(settings: Settings) -> Mapping[str, Plan]:
    """Two plans that are made within Heroku's request."""

    def keys(requests_per_minute: int) -> ApiKey:
        return ApiKey(
            settings.database_url,
            config_var="BENCH_KEYS_KEY",
            service_url="https://keys.example.com",
            requests_per_minute=requests_per_minute,
        )

    return by_name(
        Plan(name="basic", driver=keys(60), is_instant=True),
        Plan(name="premium", price_cents=5_000, driver=keys(6_000), is_instant=True),
    )


def web_app() -> FastAPI:
    """The web application, for the server program."""
    settings = settings_of_process()
    return create_app(settings, _opened, companion=companion(settings))


def _opened(settings: Settings) -> AbstractAsyncContextManager[Context]:
    return open_context(settings, manifest=read_manifest(MANIFEST), price_list=price_list(settings))


def web() -> None:
    """Answer on PORT, in WEB_CONCURRENCY processes."""
    with clear_errors():
        serve("bench.addon:web_app", host="127.0.0.1", port=settings_of_process().port)


def worker() -> None:
    """Do the background work."""
    from app.commands.worker import run  # noqa: PLC0415 - web processes do without it

    run(_opened)

"""Acme Postgres, the add-on that the tests sell. They keep to it whatever `addon-manifest.json` and `plans.py` sell.

As a program it is a worker process that knows these plans: `python tests/acme.py`. What its manifest requires besides
is in ACME_REQUIRES then, such as `log_input syslog_drain`.
"""

import asyncio
import os
from collections.abc import Mapping
from datetime import timedelta
from functools import partial

from app.context import open_context
from app.drivers.postgres import Postgres, PostgresServer
from app.log import configure_logging
from app.manifest import Manifest
from app.plans import Plan, by_name
from app.settings import Settings, read_settings
from app.worker import run_worker

MEGABYTE = 1024**2


def acme_manifest(*requires: str) -> Manifest:
    return Manifest.model_validate(
        {
            "id": "acme-postgres",
            "name": "Acme Postgres",
            "api": {
                "version": "3",
                "config_vars_prefix": "ACME_POSTGRES",
                "config_vars": ["ACME_POSTGRES_URL"],
                "regions": ["us", "eu"],
                "requires": ["attachable", "many_per_app", *requires],
            },
        }
    )


def acme_plans(settings: Settings) -> Mapping[str, Plan]:
    """`test` at once, `standard` and `premium` in the background."""
    postgres = partial(
        Postgres,
        PostgresServer(settings.database_url.get_secret_value()),
        config_var="ACME_POSTGRES_URL",
        statement_timeout=timedelta(seconds=30),
    )
    return by_name(
        Plan(name="test", driver=postgres(connections=5, storage_bytes=64 * MEGABYTE), is_instant=True),
        Plan(name="standard", driver=postgres(connections=20, storage_bytes=1024 * MEGABYTE)),
        Plan(name="premium", driver=postgres(connections=60, storage_bytes=10240 * MEGABYTE)),
    )


def deployed_manifest() -> Manifest:
    return acme_manifest(*os.environ.get("ACME_REQUIRES", "").split())


async def work() -> None:
    settings = read_settings()
    configure_logging(settings.log_format)
    async with open_context(settings, manifest=deployed_manifest(), price_list=acme_plans(settings)) as context:
        await run_worker(context)


if __name__ == "__main__":
    asyncio.run(work())

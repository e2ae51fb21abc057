"""What metrics and traces cost, measured: `python -m bench.metrics`. See docs/observability.md.

Makes a Postgres of its own, with resources and a long queue, and throws it away afterwards.
"""

import asyncio
import base64
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import psycopg
import typer
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.context import Context, open_context
from app.dev.postgres import DevPostgres
from app.operations import metrics
from app.settings import read_settings
from app.telemetry.tracing import open_tracing
from app.telemetry.watch import Watch
from bench.million import migrate

_ROUNDS: Final = 7
_BLOCKS: Final = 10_000
_LIBRARY: Final = """
import time
import app.web.pages, fastapi, httpx2, sqlalchemy, procrastinate  # what it shares with the rest is loaded in any case
begun = time.process_time()
import prometheus_client
print(time.process_time() - begun)
"""
# Every fifth is deprovisioned; some wait for something, as on a bad day.
_RESOURCES: Final = """
    INSERT INTO resources (uuid, name, plan, region, options, state, created_at, provisioned_at, deprovisioned_at,
                           config_version, pushed_version, config_changed_at, seed_sealed, generation, failures,
                           tokens_refused_at, retire_at)
    SELECT gen_random_uuid(), 'n' || i, (array['test', 'standard', 'premium'])[1 + i %% 3], 'us', '{}',
           CASE WHEN i %% 5 = 0 THEN 'deprovisioned' WHEN i %% 997 = 0 THEN 'provisioning' ELSE 'provisioned' END,
           now() - interval '9 days', now() - interval '9 days', CASE WHEN i %% 5 = 0 THEN now() END,
           2, CASE WHEN i %% 101 = 0 THEN 1 ELSE 2 END, now() - interval '1 hour', '', 1,
           (i %% 1009 = 0)::int, CASE WHEN i %% 503 = 0 THEN now() END, CASE WHEN i %% 211 = 0 THEN now() END
    FROM generate_series(1, %s) i
"""
_JOBS: Final = """
    INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, args, status)
    SELECT 'resources', (array['push_config', 'measure_usage', 'read_app'])[1 + i %% 3], 0, i / 2, '{}', 'todo'
    FROM generate_series(1, %s) i
"""


def main(
    resources: Annotated[int, typer.Option(min=1, help="How many resources there are.")] = 1_000_000,
    jobs: Annotated[int, typer.Option(min=1, help="How many jobs wait.")] = 100_000,
) -> None:
    """Measure everything."""
    print("| what | median | least |\n|---|---:|---:|")  # noqa: T201 - what it is for
    _row("loading the library of metrics, ms of processor time", 1_000, _loading)
    exporter = InMemorySpanExporter()
    traced = Watch(open_tracing(is_on=False, service="bench", processor=SimpleSpanProcessor(exporter)))
    _row("counting one request, µs of processor time", 1_000_000, lambda: _request(Watch()))
    _row("one span, µs of processor time", 1_000_000, lambda: _request(traced))
    folder = Path(tempfile.mkdtemp(prefix="bench-"))  # the server may run as another user
    try:
        with DevPostgres(folder, durable=False) as server:
            migrate(server.url)
            with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
                connection.execute("DROP INDEX ix_resources_find_text")  # takes minutes, and no metric reads it
                connection.execute(_RESOURCES, [resources])
                connection.execute(_JOBS, [jobs])
                connection.execute("VACUUM ANALYZE")
            asyncio.run(_scrapes(server.url, f"{resources:,} resources and {jobs:,} jobs"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _scrapes(url: str, size: str) -> None:
    key = base64.urlsafe_b64encode(bytes(32)).decode()
    secrets = dict.fromkeys(("ADDON_PASSWORD", "ADDON_SSO_SALT", "HEROKU_CLIENT_SECRET", "SECRET_KEYS"), "s" * 40)
    settings = {"DATABASE_URL": url, "PUBLIC_URL": "http://localhost", "ENCRYPTION_KEYS": key} | secrets
    async with open_context(read_settings(settings)) as context:
        _be_busy(context)
        passed, used, text = [], [], b""
        for _ in range(_ROUNDS):
            begun, begun_cpu = time.perf_counter(), time.process_time()
            text = await metrics.text(context)
            passed.append(time.perf_counter() - begun)
            used.append(time.process_time() - begun_cpu)
    _tell(f"a scrape of {len(text) / 1000:,.0f} kB with {size}, ms", 1_000, passed)
    _tell("of which processor time of the web process, ms", 1_000, used)


def _be_busy(context: Context) -> None:
    """As if every page had been asked for, and each had succeeded and failed."""
    for route in range(60):
        for status in ("2xx", "4xx", "5xx"):
            context.watch.metrics.requests.labels("GET", f"/page/{route}", status).observe(0.1)


def _loading() -> float:
    done = subprocess.run([sys.executable, "-c", _LIBRARY], capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    return float(done.stdout)


def _request(watch: Watch) -> float:
    begun = time.thread_time()
    for _ in range(_BLOCKS):
        with watch.request("POST", "/heroku/resources") as seen:
            seen.status, seen.route = 200, "/heroku/resources"
    return (time.thread_time() - begun) / _BLOCKS


def _row(what: str, factor: int, measure: Callable[[], float]) -> None:
    _tell(what, factor, [measure() for _ in range(_ROUNDS)])


def _tell(what: str, factor: int, seconds: list[float]) -> None:
    print(f"| {what} | {sorted(seconds)[len(seconds) // 2] * factor:.0f} | {min(seconds) * factor:.0f} |")  # noqa: T201 - as above


if __name__ == "__main__":
    typer.run(main)

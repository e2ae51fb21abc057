"""New credentials for everybody, with one command: how fast the config vars reach the apps, and who has to wait for it.

Heroku is a stand-in (`heroku.py`) that answers after 50 ms and does nothing else; the pretend Heroku of this project
does too much itself on a machine that it would share with us. Web process, workers, database: all are as in production,
but for the pace of a batch, which is set as high as it goes.
"""

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID, uuid4

import httpx2
import psycopg
import typer

from app.context import open_context
from app.encryption import KeyRing
from app.manifest import read_manifest
from app.operations import batch_work, batches
from app.operations.actions import ACTIONS
from app.operators.roles import Actor, Role
from app.resources.models import purpose
from app.settings import read_settings
from app.worker import CONCURRENCY
from bench import asking
from bench.addon import MANIFEST, price_list
from bench.contestants import ENCRYPTION_KEY, Running, answering, ours, settings_of
from bench.figures import Spread, words
from bench.load import put_under_load
from bench.processes import free_port, megabytes, started
from bench.report import Section, Table
from bench.server import Server

LATENCY_MS: Final = 50
_FASTEST: Final = "10000"
_HOW: Final = (
    "`batches new '{query}' --action rotate` finds {number:,} resources; `BATCH_PER_MINUTE` is as high as it goes."
    " Heroku is a stand-in that answers after 50 ms. Meanwhile another customer provisions, again and again. *What is"
    " permitted* is what the stand-in's latency and the jobs of all workers at once (8 each) would come to if nothing"
    " else took any time."
)
# Those who provision meanwhile are on the other plan.
_QUERY: Final = "state:provisioned plan:basic"
_CLIENTS: Final = 16
_GLANCE_SECONDS: Final = 0.25
_CALM_PROVISIONS: Final = 30
_TIMEOUT_SECONDS: Final = 30
_WORKERS_SECONDS: Final = 120
_PATIENCE: Final = timedelta(minutes=40)


@dataclass(frozen=True, slots=True)
class Storm:
    """What came of one batch.

    Attributes:
        rate: pushes a second, from the first to the last.
        last_s: from the order until the last app had its config vars.
        worker_mb: the memory of one worker at its most.
        calm_ms: how long a provision of somebody else took before it.
        storm_ms: and during it.
    """

    rate: float
    last_s: float
    worker_mb: float
    calm_ms: Spread
    storm_ms: Spread


def measure(server: Server, *, number: int, workers: Sequence[int]) -> Section:
    """Rotate `number` resources with so many workers, one after another."""
    storms = {}
    for count in workers:
        typer.echo(f"pushes: {number:,} rotations, {count} workers", err=True)
        storms[count] = _storm(server, number, count)
    rows = [
        [
            str(count),
            words(storm.rate),
            words(storm.rate / _permitted(count)),
            words(storm.last_s),
            words(storm.worker_mb),
            str(storm.calm_ms),
            str(storm.storm_ms),
        ]
        for count, storm in storms.items()
    ]
    head = [
        "workers",
        "pushes a second",
        "of what is permitted",
        "last app after s",
        "MB each worker",
        "provision before, ms",
        "during it, ms",
    ]
    text = [_HOW.format(query=_QUERY, number=number)]
    return Section("pushes", "Config pushes", text, [Table(head, rows)])


def _permitted(workers: int) -> float:
    """Pushes a second, if nothing took any time but Heroku's answer to each."""
    return min(workers * CONCURRENCY, batch_work.IN_FLIGHT) * 1000 / LATENCY_MS


def _storm(server: Server, number: int, workers: int) -> Storm:
    database = f"pushes_{workers}"
    url = server.make(database)
    with ExitStack() as stack:
        heroku = stack.enter_context(_heroku(server))
        address = f"http://127.0.0.1:{heroku}"
        urls = {"HEROKU_API_URL": address, "HEROKU_ID_URL": address, "HEROKU_ADDONS_URL": address}
        settings = {**urls, "BATCH_PER_MINUTE": _FASTEST}
        web = stack.enter_context(ours(server, 1, database=database, **settings))
        _fill(url, web, number)
        environment = settings_of(url, free_port()) | settings
        http = stack.enter_context(httpx2.Client(timeout=_TIMEOUT_SECONDS, trust_env=False))
        command = [sys.executable, "-m", "bench.launch", "worker"]
        log = server.folder / f"{database}-worker.log"
        pids = [stack.enter_context(started(command, environment, log=log)).pid for _ in range(workers)]
        _wait_for_workers(url, workers)
        calm = [_provision(http, web) for _ in range(_CALM_PROVISIONS)]
        ordered_at = time.monotonic()
        asyncio.run(_order(environment, number))
        storm, most, pushed = [], 0.0, {"addons": 0.0, "seconds": 0.0}
        while pushed["addons"] < number:
            if time.monotonic() - ordered_at > _PATIENCE.total_seconds():
                raise SystemExit(f"Only {pushed['addons']} of {number} apps have their config vars after {_PATIENCE}.")
            time.sleep(_GLANCE_SECONDS)
            storm.append(_provision(http, web))
            most = max(most, *(megabytes(pid) for pid in pids))
            pushed = http.get(f"{address}/pushes").json()
        passed = time.monotonic() - ordered_at
    rate = number / max(pushed["seconds"], _GLANCE_SECONDS)
    return Storm(rate, passed, most, Spread.of(calm), Spread.of(storm))


@contextmanager
def _heroku(server: Server) -> Iterator[int]:
    """The stand-in; its port."""
    port = free_port()
    words = f"from app.commands.web import serve; serve('bench.heroku:app', host='127.0.0.1', port={port})"
    environment = {"LATENCY_MS": str(LATENCY_MS)}
    with answering([sys.executable, "-c", words], environment, port, server.folder / "heroku.log"):
        yield port


def _fill(url: str, web: Running, number: int) -> None:
    """Resources that are ready and have tokens and a subscription to webhooks, and nothing else to do."""
    left = {str(uuid4()) for _ in range(number)}
    with psycopg.connect(url, autocommit=True) as connection:
        while left:
            requests = [asking.provision(uuid, has_grant=False) for uuid in left]
            put_under_load(web.port, requests, clients=_CLIENTS, seconds=5)
            left -= {str(uuid) for (uuid,) in connection.execute(_READY).fetchall()}
    keys, now = KeyRing.from_base64([ENCRYPTION_KEY]), datetime.now(UTC)
    with psycopg.connect(url) as connection:
        for (uuid,) in connection.execute(_READY).fetchall():
            later = (now + timedelta(hours=8), now + timedelta(days=1))
            connection.execute(_SETTLED, (*_sealed(keys, uuid), now, now, *later, uuid))
        connection.execute("DELETE FROM procrastinate_jobs")


_READY: Final = "SELECT uuid FROM resources WHERE state = 'provisioned'"
_SEALED: Final = ("access_token", "refresh_token", "webhook_secret")
_SETTLED: Final = """
    UPDATE resources SET access_token_sealed = %s, refresh_token_sealed = %s, webhook_secret_sealed = %s,
        tokens_at = %s, app_read_at = %s, access_token_expires_at = %s, webhook_due_at = %s,
        webhook_id = gen_random_uuid() WHERE uuid = %s"""


def _sealed(keys: KeyRing, uuid: UUID) -> list[bytes]:
    return [keys.seal(f"{uuid}", purpose(secret, uuid)) for secret in _SEALED]


def _wait_for_workers(url: str, number: int) -> None:
    give_up_at = time.monotonic() + _WORKERS_SECONDS
    with psycopg.connect(url, autocommit=True) as connection:
        while time.monotonic() < give_up_at:
            row = connection.execute("SELECT count(*) FROM procrastinate_workers").fetchone()
            if row is not None and row[0] >= number:
                return
            time.sleep(_GLANCE_SECONDS)
    raise SystemExit("The workers have not come up within two minutes.")


def _provision(http: httpx2.Client, web: Running) -> float:
    """Somebody's own provision, without a grant so that it leaves nothing for later; milliseconds."""
    begun_at = time.perf_counter()
    one = asking.provision(str(uuid4()), "premium", has_grant=False)
    head, _, body = one.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    address = f"http://127.0.0.1:{web.port}/heroku/resources"
    answer = http.post(address, content=body, headers=headers)
    if answer.status_code not in {200, 202}:
        raise SystemExit(f"A provision during the batch was answered {answer.status_code}.")
    return (time.perf_counter() - begun_at) * 1000


async def _order(environment: Mapping[str, str], number: int) -> None:
    """What the command does."""
    settings = read_settings(environment)
    opener = partial(open_context, manifest=read_manifest(MANIFEST), price_list=price_list(settings))
    async with opener(settings) as context:
        actor = Actor(name="bench", role=Role.OWNER)
        await batches.order(
            context, actor, action=ACTIONS["rotate"], query=_QUERY, parameters={}, reason="measured", number=number
        )

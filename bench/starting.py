"""What a web process costs before anybody has asked for anything, and after very many have."""

import asyncio
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import Final

import psycopg
import typer

from bench import asking
from bench.contestants import ours, settings_of
from bench.figures import Spread, words
from bench.load import put_under_load
from bench.processes import PROJECT, free_port, megabytes, processor_seconds, started
from bench.report import Section, Table
from bench.server import Server

_CLIENTS: Final = 16
_PATIENCE_SECONDS: Final = 60
_HOW: Final = (
    "One web process (`WEB_CONCURRENCY=1`). The first answer is a 200 from `/health/live`, which needs the whole"
    " program and an open database. Memory is what is this process's own, and its part of what it shares with others."
)
_IMPORT: Final = (
    "import time; begun = time.process_time(); from app.loading import load; load('bench.addon');"
    " print(time.process_time() - begun)"
)
_CONNECTIONS: Final = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"


def measure(server: Server, *, rounds: int, seconds: int) -> Section:
    """Start a web process again and again, then put one under load."""
    database = "starting"
    url = server.make(database)
    imports, firsts, used = [], [], []
    for number in range(rounds):
        typer.echo(f"startup: round {number + 1} of {rounds}", err=True)
        imports.append(_import_seconds())
        first, processor = asyncio.run(_first_answer(server, url))
        firsts.append(first)
        used.append(processor)
    with ExitStack() as stack:
        running = stack.enter_context(ours(server, 1, database=database))
        idle = (megabytes(running.process), _connections(server, database))
        load = put_under_load(
            running.port, asking.provisions(2_000 * seconds), clients=_CLIENTS, seconds=seconds, again=True
        )
        put_under_load(running.port, [asking.page("/health/live")], clients=_CLIENTS, seconds=seconds, again=True)
        after = (megabytes(running.process), _connections(server, database))
    rows = [
        ["import, processor s", str(Spread.of(imports))],
        ["from the command to the first answer, s", str(Spread.of(firsts))],
        ["of which processor time of the web process, s", str(Spread.of(used))],
        ["memory of the web process after its first answer, MB", words(idle[0])],
        [f"memory after {load.answered:,} provisions by {_CLIENTS} clients, MB", words(after[0])],
        ["connections to the database after the first answer", str(idle[1])],
        ["connections to the database after the load", str(after[1])],
    ]
    return Section("startup", "Start-up and memory", [_HOW], [Table(["what", "median (lowest-highest)"], rows)])


def _import_seconds() -> float:
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", _IMPORT], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


async def _first_answer(server: Server, url: str) -> tuple[float, float]:
    """Seconds from the command to the first answer, and the processor time that the web process used for it."""
    port = free_port()
    greeting = asking.page("/health/live")
    begun_at = time.perf_counter()
    command = [sys.executable, "-m", "bench.launch", "web"]
    with started(command, settings_of(url, port), log=server.folder / "starting.log") as process:
        while not await _is_answered(port, greeting):
            if time.perf_counter() - begun_at > _PATIENCE_SECONDS:
                raise SystemExit("The web process has not come up within a minute.")
            await asyncio.sleep(0.005)
        return time.perf_counter() - begun_at, processor_seconds(process.pid)


async def _is_answered(port: int, greeting: bytes) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(greeting)
    line = await reader.readline()
    writer.close()
    return b" 200 " in line


def _connections(server: Server, database: str) -> int:
    with psycopg.connect(server.url("postgres")) as connection:
        row = connection.execute(_CONNECTIONS, (database,)).fetchone()
    return int(row[0]) if row else 0

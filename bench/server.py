"""The Postgres that everything is measured on: made for this run, durable, thrown away at its end."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from app.dev.postgres import DevPostgres
from bench.million import migrate

_MOST_SECONDS: Final = 60
NO_PGBENCH: Final = "pgbench is not installed: Debian has it in the package postgresql-contrib."


@dataclass(frozen=True, slots=True)
class Server:
    """A running Postgres.

    Attributes:
        postgres: the server.
        process: its id; every connection's process is a child of it.
        folder: what the bench keeps while it runs; gone afterwards.
    """

    postgres: DevPostgres
    process: int
    folder: Path

    def url(self, database: str) -> str:
        """As libpq takes it."""
        return self.postgres.url_for(database).replace("+psycopg", "")

    def make(self, database: str) -> str:
        """A new database with the add-on's tables; its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'with_tables'").fetchone():
                self.make_empty("with_tables")
                migrate(self.postgres.url_for("with_tables"))
            connection.execute(f"CREATE DATABASE {database} TEMPLATE with_tables")
        return self.url(database)

    def make_empty(self, database: str) -> str:
        """A new database without any tables; its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database}")
        return self.url(database)

    @property
    def version(self) -> str:
        """Such as `18.6`."""
        with psycopg.connect(self.url("postgres")) as connection:
            return str(connection.execute("SHOW server_version").fetchone()[0])  # type: ignore[index]  # one row

    def rows(self, database: str, table: str) -> int:
        """How many there are."""
        with psycopg.connect(self.url(database)) as connection:
            row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - our own words # nosec B608
        return int(row[0]) if row else 0

    def settle(self) -> None:
        """Write out what is waiting, so that whoever is measured next does not pay for who was before."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute("CHECKPOINT")


@contextmanager
def postgres_server() -> Iterator[Server]:
    """A durable server between `with` and its end."""
    # The server may run as another user, who could not enter most other folders.
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        with DevPostgres(folder / "postgres") as postgres:
            process = int((postgres.data / "postmaster.pid").read_text().splitlines()[0])
            yield Server(postgres, process, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def find_pgbench() -> str | None:
    """Where it is; None if this machine has none."""
    return shutil.which("pgbench") or next(map(str, Path("/usr/lib/postgresql").glob("*/bin/pgbench")), None)


def pgbench(program: str, url: str, script: Path, *, clients: int, seconds: int) -> tuple[float, float]:
    """Transactions a second of the script, its statements prepared; and their mean latency in ms.

    Raises:
        SystemExit: it failed.
    """
    while True:
        options = ["--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--time={seconds}", f"--file={script}"]
        done = subprocess.run(  # noqa: S603 - our own words and paths
            [program, *options, url], capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]}
        )
        lines = [line.split() for line in done.stdout.splitlines()]
        rates = [float(line[2]) for line in lines if line[:2] == ["tps", "="]]
        means = [float(line[3]) for line in lines if line[:2] == ["latency", "average"]]
        if rates and means:
            return rates[0], means[0]
        # Its time begins before its clients are connected, and may be over then.
        if done.returncode or seconds > _MOST_SECONDS:
            raise SystemExit(f"pgbench failed: {done.stderr.strip() or done.stdout.strip()}")
        seconds *= 3

"""Acme Postgres as it is deployed: a web process, and a worker process beside it.

`python deployed_acme.py FOLDER PORT` kills both and starts them anew; they log to `FOLDER/log`.
"""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

TESTS = Path(__file__).parents[1]


@contextmanager
def deployed(folder: Path, port: int, environ: Mapping[str, str]) -> Iterator[str]:
    """Run both until the end of the block; yields the command that kills and starts them."""
    command = [sys.executable, __file__, str(folder), str(port)]
    try:
        subprocess.run(command, env=environ, check=True, timeout=60)
        yield shlex.join(command)
    finally:
        kill(folder)


def kill(folder: Path) -> None:
    for file in folder.glob("*.pid"):
        with suppress(ProcessLookupError):
            os.kill(int(file.read_text()), signal.SIGKILL)
        file.unlink()


def start(folder: Path, port: str) -> None:
    programs = {"web": ["acme_process.py", "--port", port], "worker": ["acme.py"]}
    with (folder / "log").open("ab") as log:
        for name, (program, *words) in programs.items():
            process = subprocess.Popen(
                [sys.executable, str(TESTS / program), *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            (folder / f"{name}.pid").write_text(str(process.pid))


def let_half_a_minute_pass() -> None:
    """Let the killed worker have been silent for long enough that another one takes over its jobs."""
    url = os.environ["DATABASE_URL"].replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE procrastinate_workers SET last_heartbeat = last_heartbeat - interval '30 seconds'")


if __name__ == "__main__":
    kill(Path(sys.argv[1]))
    let_half_a_minute_pass()
    start(Path(sys.argv[1]), sys.argv[2])

"""Acme Postgres as a process of its own, web and worker in one: `python acme_process.py FD` serves on that socket.

Beside the plans of all tests it has `enormous`, for which no server has the room.
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx2
import uvicorn
from acme import acme_manifest, acme_plans
from alembic import command as alembic
from alembic.config import Config
from rig import environment

from app.context import open_context
from app.drivers.postgres import Postgres, PostgresServer
from app.log import configure_logging
from app.main import create_app
from app.plans import Plan
from app.settings import Settings, read_settings
from app.worker import run_worker

TESTS = Path(__file__).parents[1]


@contextmanager
def acme_running(listener: socket.socket, log: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """The add-on, until the end of the block; what it says goes to the file `log`."""
    names = {"LANG", "PATH", "HOME", "TMPDIR"}
    ours = {name: value for name, value in os.environ.items() if name in names}
    ours["PYTHONPATH"] = f"{TESTS.parent}{os.pathsep}{TESTS}"
    command = [sys.executable, __file__, str(listener.fileno())]
    with (
        log.open("wb") as file,
        subprocess.Popen(
            command, env=ours | environment(**settings), pass_fds=[listener.fileno()], stdout=file, stderr=file
        ) as process,
    ):
        try:
            address = settings["public_url"]
            answer = httpx2.get(f"{address}/health/live", timeout=30, trust_env=False)
            assert answer.status_code == 200, log.read_text()
            yield process
        finally:
            process.terminate()
            process.wait(30)


def price_list(settings: Settings) -> Mapping[str, Plan]:
    enormous = Postgres(
        PostgresServer(settings.database_url.get_secret_value()),
        config_var="ACME_POSTGRES_URL",
        connections=10_000,
        storage_bytes=2**40,
        statement_timeout=timedelta(seconds=30),
    )
    return {**acme_plans(settings), "enormous": Plan(name="enormous", driver=enormous)}


async def serve(listener: socket.socket) -> None:
    settings = read_settings()
    configure_logging(settings.log_format)
    app = create_app(
        settings,
        partial(open_context, manifest=acme_manifest(), price_list=price_list(settings)),
        companion=partial(run_worker, install_signal_handlers=False),
    )
    await uvicorn.Server(uvicorn.Config(app, access_log=False, log_config=None)).serve(sockets=[listener])


if __name__ == "__main__":
    alembic.upgrade(Config(toml_file=TESTS.parent / "pyproject.toml"), "head")
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1]))))

"""Acme Postgres as processes of its own.

`python acme_process.py FD` serves on that socket, web and worker in one; beside the plans of all tests it has
`enormous`, for which no server has the room. `python acme_process.py --port PORT` is the web process alone, as it is
deployed: `python acme.py` is its worker.
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
from acme import acme_plans, deployed_manifest
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

TESTS = Path(__file__).parent


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


async def serve(listener: socket.socket, *, has_worker: bool) -> None:
    settings = read_settings()
    configure_logging(settings.log_format)
    app = create_app(
        settings,
        partial(open_context, manifest=deployed_manifest(), price_list=price_list(settings)),
        companion=partial(run_worker, install_signal_handlers=False) if has_worker else None,
    )
    await uvicorn.Server(uvicorn.Config(app, access_log=False, log_config=None)).serve(sockets=[listener])


if __name__ == "__main__":
    if sys.argv[1] == "--port":
        asyncio.run(serve(socket.create_server(("127.0.0.1", int(sys.argv[2]))), has_worker=False))
    else:
        alembic.upgrade(Config(toml_file=TESTS.parent / "pyproject.toml"), "head")
        asyncio.run(serve(socket.socket(fileno=int(sys.argv[1])), has_worker=True))

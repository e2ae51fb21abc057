"""The small add-ons that ours is compared with; `peers/` has their code. Each is installed for itself, for this run."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.asking import PASSWORD, SALT
from bench.contestants import Running, answering
from bench.processes import PROJECT, free_port
from bench.server import Server

_PEERS: Final = Path(__file__).parent / "peers"
_OPENBROKER: Final = ("openbrokerapi==4.7.3", "flask==3.1.3", "gunicorn==27.0.1", "psycopg[binary,pool]==3.3.9")
_RUBY: Final = "require 'sinatra/base'; require 'pg'"


class CannotRun(Exception):
    """Something is not installed here and cannot be; the message is a sentence for the report."""


@contextmanager
def express(server: Server, processes: int) -> Iterator[Running]:
    """Express and pg on Node; several processes by Node's own cluster."""
    folder = server.folder / "express"
    if not (folder / "node_modules").exists():
        shutil.copytree(_PEERS / "express", folder, dirs_exist_ok=True)
        _run([_program("npm"), "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder)
    database, port = f"express_{processes}", free_port()
    environment = _settings(server.make_empty(database), port, processes) | {"NODE_ENV": "production"}
    with answering(
        [_program("node"), "server.js"], environment, port, server.folder / f"{database}.log", folder
    ) as process:
        yield Running(port, process, database, "resources")


@contextmanager
def sinatra(server: Server, processes: int) -> Iterator[Running]:
    """Sinatra and pg on puma, five threads a process, as Debian has them."""
    if not shutil.which("puma"):
        raise CannotRun("puma is not installed: Debian's packages are ruby-sinatra, ruby-pg and puma.")
    _run(["ruby", "-e", _RUBY], PROJECT)
    database, port = f"sinatra_{processes}", free_port()
    environment = _settings(server.make_empty(database), port, 0) | {"RACK_ENV": "production", "APP_ENV": "production"}
    command = ["puma", "--quiet", "--threads", "5:5", "--bind", f"tcp://127.0.0.1:{port}"]
    command += ["--workers", str(processes)] if processes > 1 else []
    log = server.folder / f"{database}.log"
    with answering(command, environment, port, log, _PEERS / "sinatra") as process:
        yield Running(port, process, database, "resources")


@contextmanager
def openbroker(server: Server, processes: int) -> Iterator[Running]:
    """The library openbrokerapi on gunicorn, eight threads a process, with a pool of connections."""
    python = server.folder / "openbroker" / "bin" / "python"
    if not python.exists():
        _run([sys.executable, "-m", "venv", python.parents[1]], PROJECT)
        _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_OPENBROKER], PROJECT)
    database, port = f"openbroker_{processes}", free_port()
    environment = _settings(server.make_empty(database), port, processes)
    subprocess.run([python, _PEERS / "openbroker_app.py"], env=environment, check=True)  # noqa: S603 - our own paths
    command = [str(python), "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", str(processes)]
    command += ["--worker-class", "gthread", "--threads", "8", "--log-level", "warning", "openbroker_app:app"]
    with answering(command, environment, port, server.folder / f"{database}.log", _PEERS) as process:
        yield Running(port, process, database, "instances")


def _program(name: str) -> str:
    """Node comes with the packages for development."""
    ours = Path(sys.executable).parent / name
    return str(ours) if ours.exists() else name


def _settings(url: str, port: int, processes: int) -> dict[str, str]:
    return {
        "DATABASE_URL": url,
        "PORT": str(port),
        "ADDON_PASSWORD": PASSWORD,
        "ADDON_SSO_SALT": SALT,
        "WEB_CONCURRENCY": str(processes),
    }


def _run(command: Sequence[str | Path], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    except FileNotFoundError:
        raise CannotRun(f"{command[0]} is not installed.") from None
    if done.returncode:
        last = " ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-1:])
        raise CannotRun(f"What it needs could not be installed: {last[:200]}")

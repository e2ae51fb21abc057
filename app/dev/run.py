"""`python -m app dev`: the add-on, its worker, a pretend Heroku and a Postgres, as one program.

Exit status: 0 after Ctrl-C or SIGTERM, 1 when it could not start, 130 when it was told to stop before it had started,
or told twice and so had to kill.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psycopg
from psycopg import sql

from app.dev.console import DevConsole
from app.dev.folder import DEV_FOLDER, PROJECT, DevError, announced, claimed, clear, own_settings
from app.dev.operator import how_to_sign_in
from app.dev.ports import choose_ports
from app.dev.postgres import DevPostgres
from app.dev.postgres_programs import DevPostgresError
from app.dev.supervisor import Program, Supervisor
from app.encryption import WrongKeyError
from app.errors import Retry
from app.manifest import BadManifestError
from app.plans import plans
from app.settings import BadSettingsError, read_settings

_DATABASE = "addon"
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_HEALTH_SECONDS = 2.0


def run_dev(
    *, port: int | None = None, simulator_port: int | None = None, reset: bool = False, folder: Path = DEV_FOLDER
) -> int:
    """Start everything, say where it is, keep it running, stop it in order; the exit status.

    Args:
        port: where the add-on listens; by default where it did last time, at first 5000.
        simulator_port: the same for the simulator, at first 5100.
        reset: ask, then remove everything kept in `folder` before the start.
        folder: what is kept between starts.
    """
    console = DevConsole()
    heeded = [number for number in _STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores one
    before = {number: signal.signal(number, _interrupt) for number in heeded}
    try:
        with ExitStack() as stack:
            lock = stack.enter_context(claimed(folder))
            if reset and not _cleared(folder, console):
                return 1
            ports = choose_ports(folder, {"add-on": (port, 5000), "simulator": (simulator_port, 5100)}, console.say)
            elsewhere = os.environ.get("DATABASE_URL")
            database_url = elsewhere or stack.enter_context(_own_postgres(folder, console))
            ours = environment(own_settings(folder), database_url, *ports)
            everything = {**os.environ, **ours, "PYTHONUNBUFFERED": "1"}
            if console.is_coloured:
                everything["FORCE_COLOR"] = "1"
            _migrate(everything, console)
            stack.enter_context(announced(folder, ours))
            # Nobody is made an owner of a database that may not be this laptop's.
            who = how_to_sign_in(read_settings(everything), folder) if not elsewhere else "python -m app operators add"
            links = _links(folder, ours, who)
            return asyncio.run(_serve(programs(everything, folder), console, lock, links, heeded))
    except (BadManifestError, BadSettingsError, DevError, DevPostgresError, Retry, WrongKeyError) as error:
        console.say(str(error))
        return 1
    except KeyboardInterrupt:
        console.say("stopped before it had started")
        return 130
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def environment(own: Mapping[str, str], database_url: str, port: int, simulator_port: int) -> dict[str, str]:
    """The settings of the app on this machine: its own, and addresses that lead to the simulator and nowhere else."""
    simulator = f"http://127.0.0.1:{simulator_port}"
    return {
        "LOG_FORMAT": "console",
        **own,
        "DATABASE_URL": database_url,
        "PORT": str(port),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "HEROKU_API_URL": simulator,
        "HEROKU_ID_URL": simulator,
        "HEROKU_ADDONS_URL": simulator,
    }


def programs(everything: Mapping[str, str], folder: Path) -> list[Program]:
    """The three programs, given all their environment. The simulator goes last: the worker's last calls go to it."""
    simulator = everything["HEROKU_API_URL"]
    addon = everything["PUBLIC_URL"]
    simulate = ["simulate", "--quiet", "--manifest", str(PROJECT / "addon-manifest.json")]
    simulate += ["--port", simulator.rpartition(":")[2], "--state", str(folder / "simulator.json")]
    simulate += ["--base-url", f"{addon}/heroku/resources", "--sso-url", f"{addon}/sso/login"]
    for name, plan in plans(read_settings(everything)).items():
        if not plan.is_withdrawn:
            simulate += ["--plan", f"{name}={plan.price_cents}"]
    return [
        Program(
            name="simulator",
            command=_command(*simulate),
            environment=everything,
            health_url=f"{simulator}/marketplace",
            stage=1,
            patience_seconds=3,
        ),
        Program(
            name="web",
            command=_command("web", "--host", "127.0.0.1"),
            environment=everything,
            health_url=f"{addon}/health/ready",
        ),
        Program(name="worker", command=_command("worker"), environment=everything),
    ]


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "app.dev.child", *words]


async def _serve(
    what: list[Program], console: DevConsole, lock: int, links: list[tuple[str, str]], heeded: list[signal.Signals]
) -> int:
    async with httpx2.AsyncClient(
        timeout=_HEALTH_SECONDS, trust_env=False
    ) as client:  # no proxy on the way to ourselves

        async def is_up(url: str) -> bool:
            try:
                answer = await client.get(url)
            except httpx2.HTTPError:
                return False
            return answer.status_code < 400

        supervisor = Supervisor(what, say=console.line, is_up=is_up, held_files=[lock])

        def stop() -> None:
            console.say("stopping; once more kills")
            supervisor.stop()

        loop = asyncio.get_running_loop()
        for number in heeded:
            loop.add_signal_handler(number, stop)
        await supervisor.run(on_up=lambda: console.box("The add-on and its Heroku are running", links))
        for number in heeded:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)  # Postgres stops now, in a fraction of a second, and must get there
    return 130 if supervisor.was_killed else 0


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _cleared(folder: Path, console: DevConsole) -> bool:
    if not sys.stdin.isatty():
        console.say(f"--reset asks first, and there is nobody to ask: remove {folder} yourself.")
        return False
    answer = input(f"Remove the database, the simulator's world and the secrets in {folder}? [y/N] ")
    if answer.strip().lower() not in {"y", "yes"}:
        console.say("nothing was removed")
        return False
    clear(folder)
    return True


@contextmanager
def _own_postgres(folder: Path, console: DevConsole) -> Iterator[str]:
    """The URL of the app's database on a server that runs until the end of the block."""
    with DevPostgres(folder / "postgres", say=console.say) as server:
        with psycopg.connect(_plain(server.url), autocommit=True, connect_timeout=10) as connection:
            known = connection.execute("SELECT FROM pg_database WHERE datname = %s", [_DATABASE])
            if not known.rowcount:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_DATABASE)))
        yield server.url_for(_DATABASE)


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def _migrate(everything: Mapping[str, str], console: DevConsole) -> None:
    with _started(_command("migrate"), everything) as migration:
        for text in migration.stdout or ():
            console.line("migrate", text.rstrip())
    if migration.returncode:
        raise DevError(f"The database could not be brought up to date (exit status {migration.returncode}).")


@contextmanager
def _started(command: list[str], everything: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process that is killed if we are interrupted in the block. Its standard input is open as long as we live."""
    with subprocess.Popen(  # noqa: S603 - our own words
        command,
        env=everything,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            yield process
            process.wait()
        except BaseException:
            process.kill()
            raise


def _links(folder: Path, ours: Mapping[str, str], who: str) -> list[tuple[str, str]]:
    where = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    return [
        ("Marketplace", f"{ours['HEROKU_API_URL']}/marketplace"),
        ("Add-on", f"{ours['PUBLIC_URL']}/health/ready"),
        ("Panel", f"{ours['PUBLIC_URL']}/admin"),
        ("Operator", who),
        ("Heroku CLI", f'eval "$(curl -fsS {ours["HEROKU_API_URL"]}/simulator/env)"'),
        ("Database", "./run psql"),
        ("Kept in", f"{where} (./run --reset begins anew)"),
        ("Stop", "Ctrl-C"),
    ]

"""As checking.py, with real sockets and a process of its own for the add-on, which can be killed and started."""

import asyncio
import shlex
import socket
import sys
from collections.abc import Collection, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from addon import CLIENT_SECRET, MANIFEST, PLANS, PREVIOUS_PASSWORD, PREVIOUS_SALT

from app.conformance.bench import Bench
from app.conformance.journal import Journal
from app.conformance.requirement import Requirement
from app.conformance.run import Result, run
from app.conformance.serving import require_answer, served
from app.conformance.target import Target
from app.simulator import Simulator
from app.simulator.starting import Started

# Kills what runs, starts it anew and returns when its port listens; the port is the same, for others know it.
_RESTART = """
cd {folder} || exit 1
[ -e pid ] && kill -9 $(cat pid)
rm -f up
{command} >up 2>errors </dev/null &
echo $! >pid
until [ -s up ]; do kill -0 $(cat pid) || exit 1; sleep 0.02; done
"""


@asynccontextmanager
async def bench_on_sockets(folder: Path, faults: Collection[str] = ()):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    listener = socket.create_server(("127.0.0.1", 0))
    heroku_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    base_url, sso_url = f"{url}/heroku/resources", f"{url}/sso/login"
    command = [sys.executable, str(Path(__file__).parent / "addon.py"), "--port", url.rpartition(":")[2]]
    command += ["--heroku-url", heroku_url, "--state", str(folder / "state.json"), "--log", str(folder / "addon.log")]
    command += ["--work-seconds", "0.3"]  # long enough to be killed in
    command += [part for fault in faults for part in ("--fault", fault)]
    script = folder / "restart.sh"
    script.write_text(_RESTART.format(folder=shlex.quote(str(folder)), command=shlex.join(command)))
    restart = f"sh {shlex.quote(str(script))}"
    simulator = Simulator(MANIFEST, heroku_url, base_url, sso_url, CLIENT_SECRET, plans=PLANS)
    target = Target(
        base_url,
        sso_url,
        patience=10,
        restart_command=restart,
        log_file=str(folder / "addon.log"),
        previous_password=PREVIOUS_PASSWORD,
        previous_salt=PREVIOUS_SALT,
    )
    try:
        await _run(restart)
        ready = Started(simulator, listener, heroku_url, MANIFEST, base_url, sso_url)
        async with served(ready), Bench(simulator, target, Journal(None)) as bench:
            await require_answer(base_url, within=10)
            yield bench
    finally:
        await _run(f"kill -9 $(cat {shlex.quote(str(folder / 'pid'))})")


async def _run(command: str) -> None:
    process = await asyncio.create_subprocess_shell(command)
    async with asyncio.timeout(20):
        status = await process.wait()
    if status != 0:
        raise RuntimeError(f"The add-on's process could not be started or ended: {command}")


async def check_on_sockets(requirements: Iterable[Requirement], folder: Path, faults: Collection[str]) -> list[Result]:
    async with bench_on_sockets(folder, faults) as bench:
        return await run(bench, requirements)

"""Programs of this machine: started, waited for, stopped, and what they use of it."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx2

PROJECT: Final = Path(__file__).parent.parent
_PATIENCE_SECONDS: Final = 120
# What programs need of the caller's environment; everything else is said to them on purpose.
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "TMPDIR")


@contextmanager
def started(
    command: Sequence[str | Path], environment: Mapping[str, str], *, folder: Path = PROJECT, log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program between `with` and its end.

    Args:
        command: starts it.
        environment: of it, beside what every program needs.
        folder: where it is started.
        log: where what it says goes; default: nowhere but for errors.
    """
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    with (log or Path(os.devnull)).open("wb") as said:
        process = subprocess.Popen(  # noqa: S603 - our own words and paths
            command, cwd=folder, env={**passed_on, **environment}, stdout=said, stderr=said if log else None
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def served(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    url: str,
    *,
    folder: Path = PROJECT,
    log: Path | None = None,
) -> Iterator[int]:
    """A server between `with` and its end, which answers 200 at `url` when the block begins; its process id.

    Raises:
        SystemExit: it does not answer within two minutes.
    """
    with started(command, environment, folder=folder, log=log) as server:
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        with httpx2.Client(timeout=_PATIENCE_SECONDS, trust_env=False) as http:
            while not _answers(http, url):
                if server.poll() is not None or time.monotonic() > give_up_at:
                    raise SystemExit(f"{command} does not answer.{_last_lines(log)}")
                time.sleep(0.1)
        yield server.pid


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tree(pid: int) -> list[int]:
    """A process and everything that it has started and that still runs; empty where the machine does not tell."""
    children: dict[int, list[int]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = _fields(file)
        except OSError:
            continue  # it has ended meanwhile
        children.setdefault(int(fields[1]), []).append(int(file.parent.name))
    found = [pid] if Path(f"/proc/{pid}").exists() else []
    for process in found:
        found += children.get(process, [])
    return found


def processor_seconds(pid: int) -> float:
    """What a process, those it has started and those of them that have ended have used since they began."""
    ticks = 0
    for process in tree(pid):
        try:
            ticks += sum(int(field) for field in _fields(Path(f"/proc/{process}/stat"))[11:15])
        except OSError:
            continue
    return ticks / os.sysconf("SC_CLK_TCK")


def megabytes(pid: int) -> float:
    """The memory of a process and those it has started; what several share counts once in all (`Pss`)."""
    kilobytes = 0
    for process in tree(pid):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes / 1000


def _fields(file: Path) -> list[str]:
    """What stands after the name in a process's `stat`, the state first; the name itself may hold anything."""
    return file.read_text().rpartition(")")[2].split()


def _answers(http: httpx2.Client, url: str) -> bool:
    try:
        return http.get(url).status_code == 200
    except httpx2.TransportError:
        return False


def _last_lines(log: Path | None) -> str:
    return "" if log is None else "\n" + "\n".join(log.read_text(errors="replace").splitlines()[-20:])

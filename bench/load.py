"""Load: many clients at once, each of which sends its next request when it has the answer to its last one.

The program is wrk (Debian's package of that name), which hardly uses any processor time; without it a client of our own
does the same and takes more of the machine from whoever is measured.
"""

import json
import math
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import own_client
from bench.processes import processor_seconds

_SCRIPT: Final = Path(__file__).parent / "load.lua"


@dataclass(frozen=True, slots=True)
class Run:
    """What came of some seconds of load.

    Attributes:
        answered: how many requests have an answer, whatever it says.
        refused: how many of them were neither 2xx nor 3xx.
        broken: connections that could not be made or that ended early, and answers that did not come in time.
        seconds: how long it was.
        p50_ms: the median of how long an answer took.
        p99_ms: what one in a hundred took at least.
        used_us: processor time for each answer in microseconds, by who used it.
    """

    answered: int
    refused: int
    broken: int
    seconds: float
    p50_ms: float
    p99_ms: float
    used_us: Mapping[str, float]

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return (self.answered - self.refused) / self.seconds


def program() -> str:
    """What sends the requests, in words."""
    return "wrk" if shutil.which("wrk") else "the bench's own client (wrk is not installed)"


def request(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {text}" for name, text in headers.items())]
    if body or method in {"POST", "PUT"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def put_under_load(
    port: int,
    requests: Sequence[bytes],
    *,
    clients: int,
    seconds: float,
    again: bool = False,
    users: Mapping[str, int] | None = None,
) -> Run:
    """Send the requests in order, each once.

    Args:
        port: of this machine, where it is answered.
        requests: when they have all been answered, it is over.
        clients: how many there are.
        seconds: how long at most.
        again: begin again with the first request after the last.
        users: the processes whose use of the processor is of interest, by name; theirs are counted with their own.
    """
    before = {name: processor_seconds(pid) for name, pid in (users or {}).items()}
    if shutil.which("wrk"):
        said = _wrk(port, requests, clients, seconds, again=again)
    else:
        said = own_client.send(port, requests, clients, seconds, again=again)
    answers = max(said["answered"], 1)
    used = {name: (processor_seconds(pid) - before[name]) / answers * 1_000_000 for name, pid in (users or {}).items()}
    return Run(
        answered=int(said["answered"]),
        refused=int(said["refused"]),
        broken=int(said["broken"]),
        seconds=said["seconds"],
        p50_ms=said["p50_ms"],
        p99_ms=said["p99_ms"],
        used_us=used,
    )


def _wrk(port: int, requests: Sequence[bytes], clients: int, seconds: float, *, again: bool) -> dict[str, float]:
    with tempfile.NamedTemporaryFile() as file:
        for one in requests:
            file.write(b"%d\n" % len(one) + one)
        file.flush()
        options = ["--threads=1", f"--connections={clients}", f"--duration={math.ceil(seconds)}s", "--timeout=10s"]
        command = ["wrk", *options, f"--script={_SCRIPT}", f"http://127.0.0.1:{port}", "--", file.name]
        done = subprocess.run(  # noqa: S603 - our own words and paths
            [*command, "again" if again else "once", str(clients)], capture_output=True, text=True, check=False
        )
    if done.returncode or "JSON " not in done.stdout:
        raise SystemExit(f"wrk failed: {done.stderr.strip() or done.stdout.strip()}")
    said: dict[str, float] = json.loads(done.stdout.rpartition("JSON ")[2])
    return said

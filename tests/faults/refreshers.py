"""Many processes that want the same token at once: `python refreshers.py NUMBER UUID GATE CLOCK`.

Forked from one that has imported everything, each opens what a worker opens, says that it is ready, waits until
somebody lets go of the file GATE, and prints a digest of its token.
"""

import asyncio
import fcntl
import hashlib
import os
import sys
from pathlib import Path
from uuid import UUID

import structlog
from acme import acme_manifest
from town_process import MovableClock

from app.context import open_context
from app.resources.tokens import fresh_access_token
from app.settings import read_settings


async def refresh(uuid: UUID, gate: Path, clock: Path) -> None:
    async with open_context(
        read_settings(), clock=MovableClock(clock), manifest=acme_manifest(), price_list={}
    ) as context:
        with gate.open() as opened:
            say("ready")
            fcntl.flock(opened, fcntl.LOCK_SH)
        token = await fresh_access_token(context, uuid)
    say(hashlib.sha256(token.encode()).hexdigest())


def say(word: str) -> None:
    """At once and whole, between the lines of the others."""
    os.write(sys.stdout.fileno(), f"{word}\n".encode())


def run(number: int, uuid: UUID, gate: Path, clock: Path) -> bool:
    """Whether all went well."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    children = []
    for _ in range(number):
        pid = os.fork()
        if pid == 0:
            asyncio.run(refresh(uuid, gate, clock))
            sys.exit()
        children.append(pid)
    ends = [os.waitpid(pid, 0)[1] for pid in children]
    return set(ends) == {0}


if __name__ == "__main__":
    sys.exit(0 if run(int(sys.argv[1]), UUID(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])) else 1)

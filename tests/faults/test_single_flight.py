"""Fifty processes find the same token expired in the same moment: Heroku is asked once, and all get its answer."""

import asyncio
import fcntl
import hashlib
import sys
from datetime import timedelta
from pathlib import Path

from town import PROJECT, Town, until

PROCESSES = 50
PATIENCE_SECONDS = 240


async def test_fifty_processes_with_one_expired_token_make_one_refresh(town: Town, tmp_path: Path):
    world = town.simulator.world
    app = world.create_app("shop")
    addon = await town.simulator.calls.provision(app.name, "key")
    await until(town.is_idle, "its grant is exchanged")
    for program in ("web", "worker"):
        await town.kill(program)
    world.rotates_refresh_tokens = True
    town.clock.forward(timedelta(hours=9))
    before = len(token_calls(town))
    town.simulator.faults.add("slow", direction="tokens", seconds=0.5)
    with (gate := tmp_path / "gate").open("w") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        refreshers = await asyncio.create_subprocess_exec(
            sys.executable,
            Path(__file__).with_name("refreshers.py"),
            *(str(PROCESSES), addon.id, str(gate), str(town.log.with_name("clock"))),
            cwd=PROJECT,
            env=town.environment,
            stdout=asyncio.subprocess.PIPE,
        )
        assert refreshers.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert [await refreshers.stdout.readline() for _ in range(PROCESSES)] == [b"ready\n"] * PROCESSES
    async with asyncio.timeout(PATIENCE_SECONDS):  # the gate is open
        said, _ = await refreshers.communicate()
    assert refreshers.returncode == 0
    (access,) = [one.token for one in world.access_tokens.values() if one.expires_at > world.now()]
    assert said.decode().split() == [hashlib.sha256(access.encode()).hexdigest()] * PROCESSES
    assert token_calls(town)[before:] == [200]


def token_calls(town: Town) -> list[int | None]:
    return [one.status for one in town.simulator.world.exchanges if one.direction == "tokens"]

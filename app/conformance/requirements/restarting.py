"""Killing the add-on and starting it again, by the command that was given for it."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL
from contextlib import suppress

from app.conformance.bench import Bench
from app.conformance.requirement import NotApplicable

_WITHIN_SECONDS = 60
_ASKS_EVERY_SECONDS = 0.1


async def restart(bench: Bench) -> None:
    """Run the target's `restart_command` and wait until the add-on answers; NotApplicable when that fails."""
    process = await asyncio.create_subprocess_shell(
        bench.target.restart_command or "", stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True
    )
    try:
        async with asyncio.timeout(_WITHIN_SECONDS):
            code = await process.wait()
    except TimeoutError:
        raise NotApplicable(f"The restart command did not end within {_WITHIN_SECONDS} s.") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if code != 0:
        raise NotApplicable(f"The restart command ended with {code}.")
    for _ in range(int(_WITHIN_SECONDS / _ASKS_EVERY_SECONDS)):
        if (await bench.ask("GET", bench.base_url)).status is not None:
            return
        await asyncio.sleep(_ASKS_EVERY_SECONDS)
    raise NotApplicable(f"The add-on did not answer within {_WITHIN_SECONDS} s of its restart.")

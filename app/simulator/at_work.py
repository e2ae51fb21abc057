"""Background work on many receivers at once, one task for each: a slow one holds up nobody else."""

import asyncio
from collections.abc import Coroutine, KeysView


class AtWork:
    """Tasks by whom they are for; close with `aclose`."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def under_way(self) -> KeysView[str]:
        """Return for whom there is a task that has not ended."""
        self._tasks = {key: task for key, task in self._tasks.items() if not task.done()}
        return self._tasks.keys()

    def start(self, key: str, work: Coroutine[None, None, None]) -> None:
        self._tasks[key] = asyncio.create_task(work)

    async def wait(self, seconds: float) -> None:
        """Wait for all of it, at most so long; the rest goes on. Raises what went wrong in a task that has ended."""
        if self._tasks:
            done, _ = await asyncio.wait(self._tasks.values(), timeout=seconds)
            for task in done:
                task.result()

    async def aclose(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

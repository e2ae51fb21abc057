"""An event loop whose clock goes on only when nothing is left to do: waits take no time, and no machine is too slow.

It is for programs that live in one process. What waits for a real socket finds that hours have passed meanwhile.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class HurryingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._seconds = 0.0
        super().__init__(_NeverWaits(self))

    def time(self) -> float:
        return self._seconds

    def skip(self, seconds: float) -> None:
        self._seconds += seconds


class _NeverWaits(selectors.DefaultSelector):
    """Skips what asyncio would wait; without anything to wait for it does wait, for another thread."""

    def __init__(self, loop: HurryingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select()
        ready = super().select(0)
        if not ready:
            self._loop.skip(timeout)
        return ready


def hurried(work: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine to its end."""
    with asyncio.Runner(loop_factory=HurryingLoop) as runner:
        return runner.run(work)

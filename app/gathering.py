"""Work that costs about as much for many as for one: whoever asks while it is being done is served together next.

A transaction has to reach the disk before anybody is told of it. Where many wait for one each, they share one: a
request that comes alone is served at once, and the more there are, the less each one costs.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from typing import Final, Generic, TypeVar, cast

from app.errors import Retry

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Sequence[Item]], Awaitable[Sequence[Result]]]
_Asked = tuple[Hashable, Item, "asyncio.Future[Result]"]

_MOST_AT_ONCE: Final = 64
# More than a process answers in the time that Heroku waits: whoever would come after them is told at once.
_MOST_WAITING: Final = 5_000


class Gathering(Generic[Item, Result]):
    """Those of one process who wait for the same kind of work."""

    def __init__(self, *, most_at_once: int = _MOST_AT_ONCE, most_waiting: int = _MOST_WAITING) -> None:
        self._most_at_once = most_at_once
        self._most_waiting = most_waiting
        self._waiting: deque[_Asked[Item, Result]] = deque()
        self._serving: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    async def ask(self, item: Item, work: Work[Item, Result], *, key: Hashable) -> Result:
        """Have `work` done for the item and whatever else is there by then; in the order in which it was asked for.

        A caller who is cancelled before the work begins is left out of it.

        Args:
            item: what this caller wants.
            key: items of one key are never done together, but one after the other.
            work: does it for all or for none, and returns a result for each. It must be the same for all who ask, and
                may be repeated for fewer of them: if it fails, each one is tried alone, so that a bad item fails alone.

        Raises:
            Retry: too many wait already.
        """
        if len(self._waiting) >= self._most_waiting:
            raise Retry("too many requests wait for the same work")
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, item, answer))
        if self._serving is None or self._serving.done():
            # Of nobody's context: what it logs belongs to no single request.
            self._serving = asyncio.create_task(self._serve(work), context=Context())
        return await answer

    async def _serve(self, work: Work[Item, Result]) -> None:
        while self._waiting:
            together = self._next()
            try:
                await _do(together, work)
            except asyncio.CancelledError:
                for _, _, answer in together:
                    answer.cancel()
                raise

    def _next(self) -> "list[_Asked[Item, Result]]":
        together: dict[Hashable, _Asked[Item, Result]] = {}
        later: list[_Asked[Item, Result]] = []
        while self._waiting and len(together) < self._most_at_once:
            asked = self._waiting.popleft()
            if together.setdefault(asked[0], asked) is not asked:
                later.append(asked)
        self._waiting.extendleft(reversed(later))
        return list(together.values())


async def _do(together: "Sequence[_Asked[Item, Result]]", work: Work[Item, Result]) -> None:
    there = [asked for asked in together if not asked[2].done()]
    if not there:
        return
    try:
        results = await work([item for _, item, _ in there])
    except Exception as error:  # noqa: BLE001 - whoever asked decides what it means
        # What all of them need is not there: to ask for each would only take longer.
        if len(there) == 1 or isinstance(error, Retry):
            for _, _, answer in there:
                _end(answer, error=error)
            return
        for one in there:
            await _do([one], work)
    else:
        for (_, _, answer), result in zip(there, results, strict=True):
            _end(answer, result)


def _end(answer: "asyncio.Future[Result]", result: Result | None = None, *, error: Exception | None = None) -> None:
    if answer.done():  # its caller has left
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(cast("Result", result))

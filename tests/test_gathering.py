"""Work that is done for all who wait for it at once."""

import asyncio
from collections.abc import Sequence

import pytest

from app.errors import Retry
from app.gathering import Gathering


class Work:
    """Doubles numbers, and notes who came together; waits where a test says so; `bad` numbers and `away` break it."""

    def __init__(self) -> None:
        self.rounds: list[list[int]] = []
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.bad: set[int] = set()
        self.is_away = False

    async def __call__(self, numbers: Sequence[int]) -> Sequence[int]:
        self.rounds.append(list(numbers))
        await self.may_go_on.wait()
        if self.is_away:
            raise Retry("away")
        if self.bad & set(numbers):
            raise ValueError(self.bad & set(numbers))
        return [number * 2 for number in numbers]


async def begun(gathering: Gathering[int, int], work: Work, number: int) -> "asyncio.Task[int]":
    """Somebody who asks, and waits."""
    task = asyncio.create_task(gathering.ask(number, work, key=number))
    await asyncio.sleep(0)
    return task


async def held(work: Work, gathering: Gathering[int, int], *numbers: int) -> list["asyncio.Task[int]"]:
    """The first is being served and does not come to an end; the others wait behind it."""
    work.may_go_on.clear()
    first = await begun(gathering, work, 0)
    await asyncio.sleep(0)
    assert work.rounds == [[0]]
    return [first, *[await begun(gathering, work, number) for number in numbers]]


async def test_who_waits_at_the_same_time_is_served_together_in_order_and_gets_their_own_answer():
    work, gathering = Work(), Gathering[int, int]()
    tasks = await held(work, gathering, 5, 3, 4)
    work.may_go_on.set()
    assert await asyncio.gather(*tasks) == [0, 10, 6, 8]
    assert work.rounds == [[0], [5, 3, 4]]


async def test_who_comes_after_it_was_quiet_is_served_at_once():
    work, gathering = Work(), Gathering[int, int]()
    assert [await gathering.ask(number, work, key=number) for number in (1, 2)] == [2, 4]
    assert work.rounds == [[1], [2]]


async def test_no_more_than_so_many_are_served_together():
    work, gathering = Work(), Gathering[int, int](most_at_once=2)
    tasks = await held(work, gathering, 1, 2, 3)
    work.may_go_on.set()
    await asyncio.gather(*tasks)
    assert work.rounds == [[0], [1, 2], [3]]


async def test_a_bad_one_fails_alone():
    work, gathering = Work(), Gathering[int, int]()
    work.bad = {2}
    tasks = await held(work, gathering, 1, 2, 3)
    work.may_go_on.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert (found[0], found[1], found[3]) == (0, 2, 6)
    assert isinstance(found[2], ValueError)
    assert work.rounds == [[0], [1, 2, 3], [1], [2], [3]]


async def test_what_all_of_them_need_is_asked_for_once_and_everybody_is_told():
    work, gathering = Work(), Gathering[int, int]()
    tasks = await held(work, gathering, 1, 2)
    work.is_away = True
    work.may_go_on.set()
    assert [type(found) for found in await asyncio.gather(*tasks, return_exceptions=True)] == [Retry] * 3
    assert work.rounds == [[0], [1, 2]]
    work.is_away = False
    assert await gathering.ask(7, work, key=7) == 14


async def test_who_leaves_before_it_begins_is_left_out_and_who_leaves_later_harms_nobody():
    work, gathering = Work(), Gathering[int, int]()
    first, leaves, stays = await held(work, gathering, 1, 2)
    leaves.cancel()
    first.cancel()
    await asyncio.sleep(0)
    work.may_go_on.set()
    assert await stays == 4
    assert work.rounds == [[0], [2]]


async def test_when_too_many_wait_the_next_one_is_told_at_once():
    work, gathering = Work(), Gathering[int, int](most_waiting=2)
    tasks = await held(work, gathering, 1, 2)
    with pytest.raises(Retry, match="too many"):
        await gathering.ask(3, work, key=3)
    work.may_go_on.set()
    assert await asyncio.gather(*tasks) == [0, 2, 4]


async def test_those_of_one_key_are_served_one_after_the_other_in_order():
    work, gathering = Work(), Gathering[int, int]()
    tasks = await held(work, gathering)
    for number, key in ((1, "a"), (2, "b"), (3, "a"), (4, "a"), (5, "c")):
        tasks.append(asyncio.create_task(gathering.ask(number, work, key=key)))
        await asyncio.sleep(0)
    work.may_go_on.set()
    assert await asyncio.gather(*tasks) == [0, 2, 4, 6, 8, 10]
    assert work.rounds == [[0], [1, 2, 5], [3], [4]]

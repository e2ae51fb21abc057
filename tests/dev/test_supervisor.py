import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable

import pytest

from app.dev.supervisor import DidNotStartError, Program, Supervisor

STOPS = r"""
import os, signal, sys
def stop(*_):
    os.write(1, b"stopped\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("up", os.getpid(), flush=True)
while True:
    signal.pause()
"""
IGNORES_TERM = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", os.getpid(), flush=True)
while True:
    signal.pause()
"""
FAILS = "print('no such table'); raise SystemExit(3)"


def program(name: str, code: str = STOPS, **more: object) -> Program:
    return Program(name=name, command=[sys.executable, "-c", code], environment={}, **more)


class Log:
    """What was said, and a way to wait for it."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._new = asyncio.Event()
        self._seen = 0

    def say(self, name: str, text: str) -> None:
        self.lines.append((name, text))
        self._new.set()

    async def next(self, name: str, beginning: str) -> str:
        """The next line of `name` that begins so, after the last one that was asked for."""
        async with asyncio.timeout(20):
            while True:
                while self._seen < len(self.lines):
                    who, text = self.lines[self._seen]
                    self._seen += 1
                    if who == name and text.startswith(beginning):
                        return text
                self._new.clear()
                await self._new.wait()

    async def all_up(self, *names: str) -> None:
        for name in names:
            self._seen = 0
            await self.next(name, "up")


@pytest.fixture
def log() -> Log:
    return Log()


class Clock:
    """Time that passes only in pauses, and only as much as a test says."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.stands_still = False
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if not self.stands_still:
            self.seconds += seconds
        await asyncio.sleep(0)

    def now(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def supervise(log: Log, clock: Clock) -> Callable[..., Supervisor]:
    async def yes(_url: str) -> bool:
        return True

    def make(*programs: Program, is_up: Callable[[str], Awaitable[bool]] = yes) -> Supervisor:
        return Supervisor(programs, say=log.say, is_up=is_up, sleep=clock.sleep, now=clock.now)

    return make


async def never(_url: str) -> bool:
    return False


async def start(supervisor: Supervisor) -> asyncio.Task[None]:
    """The running supervisor, once it has said that all is up."""
    is_up = asyncio.Event()
    running = asyncio.create_task(supervisor.run(on_up=is_up.set))
    waiting = asyncio.create_task(is_up.wait())
    await asyncio.wait([running, waiting], timeout=20, return_when=asyncio.FIRST_COMPLETED)
    assert waiting.done()
    return running


async def test_what_programs_say_is_passed_on_under_their_names(supervise, log):
    supervisor = supervise(program("web"), program("worker"))
    running = await start(supervisor)
    await log.all_up("web", "worker")
    supervisor.stop()
    await running
    assert sorted(name for name, text in log.lines if text.startswith("up")) == ["web", "worker"]


async def test_a_later_stage_is_told_to_stop_when_the_earlier_ones_have_ended(supervise, log):
    supervisor = supervise(program("simulator", stage=1), program("web"), program("worker"))
    running = await start(supervisor)
    await log.all_up("simulator", "web", "worker")
    supervisor.stop()
    await running
    stopped = [name for name, text in log.lines if text == "stopped"]
    assert stopped[2] == "simulator"
    assert sorted(stopped[:2]) == ["web", "worker"]
    assert not supervisor.was_killed


async def test_a_program_that_does_not_stop_in_time_is_killed_and_the_rest_goes_on(supervise, log):
    supervisor = supervise(program("web", IGNORES_TERM, patience_seconds=0.05), program("simulator", stage=1))
    running = await start(supervisor)
    await log.all_up("web", "simulator")
    supervisor.stop()
    await running
    assert ("web", "killed: it did not stop within 0.05 s") in log.lines
    assert log.lines[-1] == ("simulator", "stopped")


async def test_to_stop_twice_kills_at_once(supervise, log):
    supervisor = supervise(program("web", IGNORES_TERM, patience_seconds=600))
    running = await start(supervisor)
    await log.next("web", "up")
    supervisor.stop()
    supervisor.stop()
    await asyncio.wait_for(running, 20)
    assert supervisor.was_killed


async def test_a_program_that_ends_is_started_again_after_pauses_that_grow(supervise, log, clock):
    supervisor = supervise(program("worker"))
    running = await start(supervisor)
    for _ in range(7):
        pid = int((await log.next("worker", "up")).split()[1])
        os.kill(pid, signal.SIGKILL)
        await log.next("worker", "ended (SIGKILL); starting it again")
    await log.next("worker", "up")
    supervisor.stop()
    await running
    assert clock.pauses == [1, 2, 4, 8, 16, 30, 30]


async def test_a_program_that_has_run_for_a_minute_is_brought_back_soon_again(supervise, log, clock):
    supervisor = supervise(program("worker"))
    running = await start(supervisor)
    for steady_seconds in (0, 0, 60):
        pid = int((await log.next("worker", "up")).split()[1])
        clock.seconds += steady_seconds
        os.kill(pid, signal.SIGKILL)
        await log.next("worker", "ended (SIGKILL); starting it again")
    await log.next("worker", "up")
    supervisor.stop()
    await running
    assert clock.pauses == [1, 2, 1]


async def test_a_program_that_fails_at_the_start_stops_everything_and_shows_its_last_lines(supervise, log, clock):
    clock.stands_still = True
    supervisor = supervise(program("web", health_url="http://web/"), program("worker", FAILS), is_up=never)
    with pytest.raises(DidNotStartError, match=r"The worker ended at its start \(exit status 3\)") as failure:
        await supervisor.run(on_up=lambda: pytest.fail("it is not up"))
    assert str(failure.value).endswith("  no such table")


async def test_a_program_that_never_answers_is_named_with_its_address(supervise, clock):
    async def no(_url: str) -> bool:
        clock.seconds += 20
        return False

    supervisor = supervise(program("web", health_url="http://web/health"), is_up=no)
    with pytest.raises(DidNotStartError, match="The web did not answer at http://web/health"):
        await supervisor.run(on_up=lambda: pytest.fail("it is not up"))


async def test_all_counts_as_up_only_when_every_address_has_answered(supervise):
    asked: list[str] = []

    async def at_the_second_time(url: str) -> bool:
        asked.append(url)
        return asked.count(url) == 2

    supervisor = supervise(
        program("web", health_url="http://web/"),
        program("simulator", health_url="http://simulator/"),
        is_up=at_the_second_time,
    )
    running = await start(supervisor)
    supervisor.stop()
    await running
    assert asked == ["http://web/", "http://simulator/"] * 2


async def test_to_stop_during_the_start_stops_without_calling_it_up(supervise):
    async def stops_meanwhile(_url: str) -> bool:
        supervisor.stop()
        return False

    supervisor = supervise(program("web", health_url="http://web/"), is_up=stops_meanwhile)
    await supervisor.run(on_up=lambda: pytest.fail("it is not up"))
    assert not supervisor.was_killed


async def test_what_a_program_left_behind_ends_with_it(supervise, log):
    leaves_one_behind = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {STOPS!r}])
sys.stdin.read()
"""
    supervisor = supervise(program("web", leaves_one_behind))
    running = await start(supervisor)
    left = int((await log.next("web", "up")).split()[1])
    watch = os.pidfd_open(left) if hasattr(os, "pidfd_open") else None
    supervisor.stop()
    await running
    if watch is None:
        pytest.skip("only Linux tells of the end of a process that is not a child")
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(watch, ended.set)
    await asyncio.wait_for(ended.wait(), 20)
    asyncio.get_running_loop().remove_reader(watch)
    os.close(watch)
    assert ended.is_set()


async def test_a_very_long_line_is_shown_in_pieces_and_what_follows_stands_alone(supervise, log):
    shouts = "print('x' * 3_000_000); print('after', flush=True); import signal; signal.pause()"
    supervisor = supervise(program("web", shouts))
    running = await start(supervisor)
    await log.next("web", "after")
    supervisor.stop()
    await running
    assert "".join(text for _, text in log.lines) == "x" * 3_000_000 + "after"
    assert log.lines[-1] == ("web", "after")


async def test_a_last_line_without_an_end_is_shown_too(supervise, log, clock):
    clock.stands_still = True
    half = program("web", "import sys; sys.stdout.write('half')", health_url="http://web/")
    supervisor = supervise(half, is_up=never)
    with pytest.raises(DidNotStartError, match="exit status 0"):
        await supervisor.run(on_up=lambda: pytest.fail("it is not up"))
    assert ("web", "half") in log.lines


def test_a_program_shows_its_name_but_not_its_environment():
    shown = repr(Program(name="web", command=["x"], environment={"ADDON_PASSWORD": "swordfish"}))
    assert "web" in shown
    assert "swordfish" not in shown

"""Several programs as one: start them, pass on what they say, bring back what ends, stop them in order."""

import asyncio
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from app.dev.folder import DevError

_LONGEST_LINE_BYTES = 2**16  # a longer one is shown in pieces
_KEPT_LINES = 20
_SECONDS_TO_COME_UP = 60.0
_SECONDS_TO_READ_THE_REST = 2.0
_SECONDS_BETWEEN_LOOKS = 0.1
_LONGEST_PAUSE_SECONDS = 30.0
_STEADY_SECONDS = 60.0  # who ran this long has earned a first pause again

Say = Callable[[str, str], None]  # the program's name, a line


class DidNotStartError(DevError):
    """A program ended, or never answered, before all were up; the message ends with its last lines."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run.

    Attributes:
        name: as it stands in the log.
        command: the words of it; the first is a path.
        environment: all of it; nothing is inherited.
        health_url: answers below 400 once the program is up; None for one that is up when it has started.
        stage: programs stop in the order of their stages, those of one stage at once.
        patience_seconds: how long it may take to stop before it is killed.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    health_url: str | None = None
    stage: int = 0
    patience_seconds: float = 6.0


class Child:
    """One program, in the process that runs it at the moment.

    It leads a session of its own, so that Ctrl-C reaches us alone and we choose the order of the end; its standard
    input stays open as long as we live (see `child.py`).
    """

    def __init__(self, program: Program, say: Say, held_files: Sequence[int]) -> None:
        self.program = program
        self.last_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._say = say
        self._held_files = held_files
        self._process: asyncio.SubprocessTransport | None = None
        self._starting: asyncio.Task[None] | None = None
        self._ended: asyncio.Task[int] | None = None

    async def start(self) -> None:
        """Start it. Who is cancelled meanwhile leaves no process behind that nobody knows of: `stop` waits for it."""
        self._starting = asyncio.create_task(self._start())
        await asyncio.shield(self._starting)

    async def _start(self) -> None:
        self.last_lines.clear()
        loop = asyncio.get_running_loop()
        process, output = await loop.subprocess_exec(
            lambda: _Output(self._hear),
            *self.program.command,
            env=self.program.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=self._held_files,
        )
        self._process = process
        self._ended = asyncio.create_task(self._follow(process, output))

    async def _follow(self, process: asyncio.SubprocessTransport, output: "_Output") -> int:
        await output.has_exited.wait()
        self.kill()  # what it started and left behind, which may hold its output open
        with suppress(TimeoutError):
            await asyncio.wait_for(output.is_read.wait(), _SECONDS_TO_READ_THE_REST)
        process.close()
        status = process.get_returncode()
        return 0 if status is None else status

    def _hear(self, line: str) -> None:
        self.last_lines.append(line)
        self._say(self.program.name, line)

    @property
    def has_ended(self) -> bool:
        return self._ended is None or self._ended.done()

    async def ended(self) -> int:
        """Wait for the end and for the last line; the exit status, negative for the signal that ended it."""
        return await asyncio.shield(self._ended) if self._ended else 0

    async def stop(self) -> None:
        """Ask it to stop, wait, and kill it when it takes too long."""
        if self._starting:
            await asyncio.wait([self._starting])
        if not self._process or not self._ended:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self.ended(), self.program.patience_seconds)
        except TimeoutError:
            self._say(self.program.name, f"killed: it did not stop within {self.program.patience_seconds:g} s")
            self.kill()
            await self.ended()

    def kill(self) -> None:
        """End it and what it started, at once."""
        if self._process:
            with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
                os.killpg(self._process.get_pid(), signal.SIGKILL)


class _Output(asyncio.SubprocessProtocol):
    """Cuts what a process says into lines, and tells of its end at once: asyncio's own `Process.wait` would wait for
    everybody who holds the output open.
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self.has_exited = asyncio.Event()
        self.is_read = asyncio.Event()
        self._on_line = on_line
        self._rest = b""

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002 - one pipe only
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE_BYTES:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._on_line(line.decode(errors="replace").rstrip("\r"))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002 - the end is the end
        if fd != 1:
            return
        if self._rest:
            self.pipe_data_received(fd, b"\n")
        self.is_read.set()

    def process_exited(self) -> None:
        self.has_exited.set()


class Supervisor:
    """Runs `programs` until `stop` is called.

    Args:
        programs: started in this order.
        say: gets each line with its program's name.
        is_up: whether an address answers as it should.
        held_files: file descriptors that every program keeps open.
        sleep: waits for seconds; the tests bring their own.
        now: seconds that only go forward.
    """

    def __init__(
        self,
        programs: Iterable[Program],
        *,
        say: Say,
        is_up: Callable[[str], Awaitable[bool]],
        held_files: Sequence[int] = (),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._children = [Child(program, say, held_files) for program in programs]
        self._say = say
        self._is_up = is_up
        self._sleep = sleep
        self._now = now
        self._stopping = asyncio.Event()
        self.was_killed = False

    def stop(self) -> None:
        """Begin to stop; when called again, kill what has not stopped yet."""
        if self._stopping.is_set():
            self.was_killed = True
            for child in self._children:
                child.kill()
        self._stopping.set()

    async def run(self, on_up: Callable[[], None]) -> None:
        """Start everything, call `on_up` once all is healthy, and bring back what ends, until `stop` is called.

        Raises:
            DidNotStartError: a program failed before all were up; the others have been stopped.
        """
        keepers: list[asyncio.Task[None]] = []
        try:
            for child in self._children:
                await child.start()
            await self._come_up()
            if not self._stopping.is_set():
                on_up()
                keepers = [asyncio.create_task(self._keep(child)) for child in self._children]
                await self._stopping.wait()
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            await self._stop_in_order()

    async def _come_up(self) -> None:
        waiting = [child for child in self._children if child.program.health_url]
        give_up_at = self._now() + _SECONDS_TO_COME_UP
        while not self._stopping.is_set():
            waiting = [child for child in waiting if not await self._is_up(child.program.health_url or "")]
            for child in self._children:
                if child.has_ended:
                    raise DidNotStartError(_failure(child, f"ended at its start ({_reason(await child.ended())})"))
            if not waiting:
                return
            if self._now() > give_up_at:
                raise DidNotStartError(_failure(waiting[0], f"did not answer at {waiting[0].program.health_url}"))
            await self._sleep(_SECONDS_BETWEEN_LOOKS)

    async def _keep(self, child: Child) -> None:
        pause = 0.5
        while True:
            started_at = self._now()
            reason = _reason(await child.ended())
            pause = 1.0 if self._now() - started_at >= _STEADY_SECONDS else min(2 * pause, _LONGEST_PAUSE_SECONDS)
            self._say(child.program.name, f"ended ({reason}); starting it again in {pause:g} s")
            await self._sleep(pause)
            try:
                await child.start()
            except OSError as error:
                self._say(child.program.name, f"cannot be started: {error.strerror}")

    async def _stop_in_order(self) -> None:
        for stage in sorted({child.program.stage for child in self._children}):
            await asyncio.gather(*(child.stop() for child in self._children if child.program.stage == stage))


def _reason(status: int) -> str:
    return f"exit status {status}" if status >= 0 else signal.Signals(-status).name


def _failure(child: Child, what: str) -> str:
    lines = "\n".join(f"  {line}" for line in child.last_lines) or "  (it said nothing)"
    return f"The {child.program.name} {what}. Its last lines were:\n{lines}"

"""What apps print: the latest lines of each, for readers and for whoever follows.

https://devcenter.heroku.com/articles/logging: Heroku keeps the latest 1,500 lines of an app. Here they are gone after a
restart, as nothing depends on them.
"""

import asyncio
import re
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from app.simulator.errors import not_found
from app.simulator.records import App
from app.simulator.world import World

KEPT_LINES = 1500
_SESSION_OPENS_WITHIN = timedelta(minutes=5)
# Below the five minutes after which Node's fetch, and so the Heroku CLI, gives up a silent stream.
_SILENT_FOR_SECONDS = 15
_LINE_ENDS = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Line:
    """One line; `number` counts through all apps. `priority` is syslog's: eight times the facility, plus severity."""

    number: int
    app_id: str
    at: datetime
    source: str
    process: str
    text: str
    priority: int

    def __str__(self) -> str:
        return f"{self.at.isoformat(timespec='microseconds')} {self.source}[{self.process}]: {self.text}"


@dataclass(frozen=True)
class LogSession:
    """A customer's permission to read one app's log once; `dyno` is a dyno's name or a process type."""

    id: str
    app_id: str
    created_at: datetime
    lines: int
    is_tail: bool
    source: str | None
    dyno: str | None

    def shows(self, line: Line) -> bool:
        if self.source and line.source != self.source:
            return False
        return not self.dyno or line.process == self.dyno or line.process.startswith(f"{self.dyno}.")


class Logs:
    """All apps' lines. `followers` are called with every new line."""

    def __init__(self, world: World) -> None:
        self.followers: list[Callable[[Line], None]] = []
        self._world = world
        self._lines: dict[str, deque[Line]] = defaultdict(lambda: deque(maxlen=KEPT_LINES))
        self._sessions: dict[str, LogSession] = {}
        self._readers: set[asyncio.Event] = set()
        self._last_number = 0

    def write(
        self, app: App, source: str, process: str, text: str, *, priority: int = 190, at: datetime | None = None
    ) -> None:
        """Print a text, each of its lines as a line of its own. Without a priority it is the app that speaks."""
        for part in _LINE_ENDS.split(text.rstrip("\r\n")):
            self._last_number += 1
            line = Line(self._last_number, app.id, at or self._world.now(), source, process, part, priority)
            self._lines[app.id].append(line)
            for follower in self.followers:
                follower(line)
        for reader in self._readers:
            reader.set()
        self._world.changed()

    def of(self, app: App) -> list[Line]:
        return list(self._lines[app.id]) if app.id in self._lines else []

    def forget(self, app: App) -> None:
        self._lines.pop(app.id, None)

    # Reading

    def open_session(
        self, app: App, *, lines: int, is_tail: bool, source: str | None, dyno: str | None
    ) -> LogSession:  # fmt: skip
        now = self._world.now()
        for old in [one for one in self._sessions.values() if not self._is_open(one)]:
            del self._sessions[old.id]
        session = LogSession(str(uuid4()), app.id, now, lines, is_tail, source, dyno)
        self._sessions[session.id] = session
        return session

    def session(self, session_id: str) -> LogSession:
        found = self._sessions.get(session_id)
        if found is None or not self._is_open(found):
            raise not_found("log-session")
        return found

    def _is_open(self, session: LogSession) -> bool:
        is_young = self._world.now() - session.created_at < _SESSION_OPENS_WITHIN
        return is_young and session.app_id in self._world.apps

    async def read(self, session: LogSession, *, after: int | None = None) -> AsyncIterator[Line | None]:
        """Yield the session's latest lines, or all that came after line number `after`; a tail then goes on.

        None is yielded when nothing happened for a while. The deletion of the app ends it.
        """
        if after is not None and after <= self._last_number:  # a higher number is from before a restart
            shown = self._shown(session, after=after)
        else:
            shown = self._shown(session)[-session.lines :]
        latest, news = self._last_number, asyncio.Event()
        self._readers.add(news)
        try:
            while True:
                for line in shown:
                    yield line
                if not session.is_tail or session.app_id not in self._world.apps:
                    return
                try:
                    async with asyncio.timeout(_SILENT_FOR_SECONDS):
                        await news.wait()
                except TimeoutError:
                    yield None
                news.clear()
                shown, latest = self._shown(session, after=latest), self._last_number
        finally:
            self._readers.discard(news)

    def _shown(self, session: LogSession, *, after: int = 0) -> list[Line]:
        lines = self._lines.get(session.app_id, ())
        return [line for line in lines if line.number > after and session.shows(line)]

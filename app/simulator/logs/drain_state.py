"""What waits for one drain: its lines in order, the batch that is being tried, and what was lost on the way.

https://devcenter.heroku.com/articles/log-drains. A batch that is not taken is tried three times in all, under one frame
id. When too much waits, the oldest lines give way; a drain long in trouble is kept little. What was lost is told to the
drain by a line before the next batch: error L10 of https://devcenter.heroku.com/articles/error-codes.

Not documented, and chosen here: a second's pause before a repetition.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

from .frames import http_frame
from .lines import Line

MOST_WAITING = 1024
TRIES = 3
_MOST_WAITING_IN_TROUBLE = 10
_IN_TROUBLE_AFTER = timedelta(minutes=5)
_BATCH_BYTES = 100 * 1024
_PAUSE = timedelta(seconds=1)
_LOST_LINE_PRIORITY = 172


def _new_frame_id() -> str:
    return uuid4().hex.upper()


@dataclass
class Batch:
    """Lines that are sent together, again and again under one id. `lost` is what the line before them tells of."""

    lines: list[Line]
    frame_id: str = field(default_factory=_new_frame_id)
    tries: int = 0
    lost: int = 0


@dataclass
class DrainState:
    """How a drain fares. It has not been told of `lost` yet; `trouble` says in words why the latest try failed."""

    waiting: deque[Line] = field(default_factory=deque)
    batch: Batch | None = None
    next_at: datetime | None = None
    delivered: int = 0
    lost_ever: int = 0
    lost: int = 0
    lost_since: datetime | None = None
    failing_since: datetime | None = None
    trouble: str | None = None

    @property
    def waiting_count(self) -> int:
        return len(self.waiting) + (len(self.batch.lines) if self.batch else 0)

    def push(self, line: Line, now: datetime) -> None:
        is_in_trouble = self.failing_since is not None and now - self.failing_since > _IN_TROUBLE_AFTER
        self.waiting.append(line)
        excess = max(0, len(self.waiting) - (_MOST_WAITING_IN_TROUBLE if is_in_trouble else MOST_WAITING))
        for _ in range(excess):
            self.waiting.popleft()
        self._lose(excess, now)

    def due(self, now: datetime) -> Batch | None:
        """Return the batch whose turn it is, None when nothing waits or a pause is not over."""
        if self.next_at is not None and self.next_at > now:
            return None
        if self.batch is None and self.waiting:
            self.batch = Batch([self.waiting.popleft()])
            size = len(http_frame(self.batch.lines[0]))
            while self.waiting and (size := size + len(http_frame(self.waiting[0]))) < _BATCH_BYTES:
                self.batch.lines.append(self.waiting.popleft())
        return self.batch

    def begin(self, batch: Batch, now: datetime) -> list[Line]:
        """Begin a try and return what is to be sent: the batch's lines, after one about what was lost."""
        batch.tries, batch.lost = batch.tries + 1, self.lost
        if not self.lost:
            return batch.lines
        since = (self.lost_since or now).isoformat(timespec="seconds")
        text = f"Error L10 (output buffer overflow): {self.lost} messages dropped since {since}."
        return [Line(0, batch.lines[0].app_id, now, "heroku", "logplex", text, _LOST_LINE_PRIORITY), *batch.lines]

    def end(self, batch: Batch, now: datetime, *, trouble: str | None, is_final: bool) -> None:
        """End a try; `trouble` says why it failed, `is_final` that another makes no sense."""
        self.next_at, self.trouble = None, trouble
        if trouble is None:
            self.batch, self.failing_since = None, None
            self.delivered += len(batch.lines)
            self.lost -= batch.lost
            self.lost_since = self.lost_since if self.lost else None
            return
        self.failing_since = self.failing_since or now
        if is_final or batch.tries == TRIES:
            self.batch = None
            self._lose(len(batch.lines), now)
        else:
            self.next_at = now + _PAUSE

    def _lose(self, count: int, now: datetime) -> None:
        if count:
            self.lost += count
            self.lost_ever += count
            self.lost_since = self.lost_since or now

"""What every connection passes before there is a request, and after it: nobody holds one, or its memory, for nothing.

The server program bounds none of this; a body is the business of `middleware.py`.

    a head      64 KB and 100 lines in 20 seconds, its address 8 KB
    an answer   what is left of it is read within 30 seconds, or the connection is cut
    many        at 800 in a process the one that has been idle for longest makes room for each new one

So a crowd that connects and says nothing puts out itself, and Heroku's next request is answered all the same. A limit
that answered 503 to whoever comes last would do the crowd's work.
"""

import asyncio
from typing import Any, Final

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_log = structlog.get_logger(__name__)

LARGEST_HEAD: Final = 64 * 1024
LONGEST_ADDRESS: Final = 8 * 1024
MOST_HEADERS: Final = 100
# From the first byte, or from the opening of a connection that sends none.
_SLOWEST_HEAD_SECONDS: Final = 20.0
_SLOWEST_READING_SECONDS: Final = 30.0
# With the files that a process has open besides, less than the 1,024 that most systems allow it.
MOST_CONNECTIONS: Final = 800


class _TooMuch(Exception):
    """What the parser is told so that it gives up, and the server answers 400."""


class BoundedConnection(HttpToolsProtocol):
    """One connection; its requests come one after the other."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_in_head = False
        self._head_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._reading_deadline: asyncio.TimerHandle | None = None
        # When it was last told something, by the loop's clock, in seconds.
        self._heard_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the server's own
        """A caller is there."""
        super().connection_made(transport)
        self._heard_at = self.loop.time()
        self._begin_head()
        if len(self.connections) > MOST_CONNECTIONS:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller is gone."""
        self._end_head()
        self._is_read()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have come. Those in which a later request begins are not counted: they are one read at most."""
        was_in_head = self._is_in_head
        self._heard_at = self.loop.time()
        super().data_received(data)
        if self.transport.is_closing():
            self._must_be_read()
        elif was_in_head and self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > LARGEST_HEAD:
                self.send_400_response("The request has too large a head.")
                self._must_be_read()

    def on_message_begin(self) -> None:
        """The first bytes of a request."""
        self._begin_head()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the address."""
        super().on_url(url)
        if len(self.url) > LONGEST_ADDRESS:
            raise _TooMuch

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of the head."""
        super().on_header(name, value)
        if len(self.headers) > MOST_HEADERS:
            raise _TooMuch

    def on_headers_complete(self) -> None:
        """The last byte of its head."""
        self._end_head()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """All of an answer has been said."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._must_be_read()

    def pause_writing(self) -> None:
        """The caller reads more slowly than we write."""
        super().pause_writing()
        self._must_be_read()

    def resume_writing(self) -> None:
        """It has read enough of it."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._is_read()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing came for long after an answer."""
        super().timeout_keep_alive_handler()
        self._must_be_read()

    def _begin_head(self) -> None:
        if not self._is_in_head:
            self._is_in_head = True
            self._head_bytes = 0
            self._deadline = self.loop.call_later(_SLOWEST_HEAD_SECONDS, self.transport.close)

    def _end_head(self) -> None:
        self._is_in_head = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _must_be_read(self) -> None:
        """Closing waits until all is sent, and a caller who does not read would keep that from ever happening."""
        if self._reading_deadline is None:
            self._reading_deadline = self.loop.call_later(_SLOWEST_READING_SECONDS, self.transport.abort)

    def _is_read(self) -> None:
        if self._reading_deadline is not None:
            self._reading_deadline.cancel()
            self._reading_deadline = None

    @property
    def _is_idle(self) -> bool:
        """Whether nobody waits for an answer here."""
        return bool(getattr(self.cycle, "response_complete", True))  # None before the first request

    def _make_room(self) -> None:
        """End what has been idle for longest: perhaps this one, if there is work on all others."""
        others = (one for one in self.connections if isinstance(one, BoundedConnection))
        idle = [one for one in others if one._is_idle and not one.transport.is_closing()]  # noqa: SLF001 - its own class
        if idle:
            longest = min(idle, key=lambda one: one._heard_at)  # noqa: SLF001 - as above
            _log.debug("a connection makes room for another", connections=len(self.connections))
            longest.transport.abort()

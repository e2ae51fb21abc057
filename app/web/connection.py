"""What every connection passes before there is a request: a head of bounded size in bounded time.

The server program bounds neither; a body is the business of `middleware.py`.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD: Final = 64 * 1024
# From the first byte, or from the opening of a connection that sends none.
_SLOWEST_HEAD_SECONDS: Final = 20.0


class BoundedConnection(HttpToolsProtocol):
    """One connection; its requests come one after the other."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_in_head = False
        self._head_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the server's own
        """A caller is there."""
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller is gone."""
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have come. Those in which a later request begins are not counted: they are one read at most."""
        was_in_head = self._is_in_head
        super().data_received(data)
        if was_in_head and self._is_in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > LARGEST_HEAD:
                self.send_400_response("The request has too large a head.")

    def on_message_begin(self) -> None:
        """The first bytes of a request."""
        self._begin_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The last byte of its head."""
        self._end_head()
        super().on_headers_complete()

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

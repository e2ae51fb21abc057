"""A browser that comes through SSO."""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from .bench import Answer, Bench


class Visit:
    """A browser that came through SSO: its cookies, and the pages it was shown."""

    def __init__(self, bench: "Bench") -> None:
        self._bench = bench
        self.cookies: dict[str, str] = {}
        self.answer: Answer | None = None

    async def post(self, fields: Mapping[str, str] | list[tuple[str, str]]) -> "Answer":
        content = urlencode(list(fields.items()) if isinstance(fields, Mapping) else fields).encode()
        return await self._send(
            "POST", self._bench.target.sso_url, content, {"Content-Type": "application/x-www-form-urlencoded"}
        )

    async def get(self, url: str) -> "Answer":
        return await self._send("GET", url, None, {})

    async def _send(self, method: str, url: str, content: bytes | None, headers: dict[str, str]) -> "Answer":
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items()) or None
        self.answer = await self._bench.ask(
            method, url, content=content, auth=None, headers={"Accept": "text/html", "Cookie": cookies, **headers}
        )
        for cookie in self.answer.headers.get_list("set-cookie"):
            name, _, rest = cookie.partition("=")
            self.cookies[name.strip()] = rest.partition(";")[0].strip()
        return self.answer

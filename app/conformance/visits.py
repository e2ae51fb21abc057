"""A browser that comes through SSO: it keeps cookies as browsers do, and follows redirects."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin, urlsplit

if TYPE_CHECKING:
    from .bench import Bench
    from .wire import Answer

_MOST_REDIRECTS = 10
Fields = Mapping[str, str] | list[tuple[str, str]]


@dataclass(frozen=True)
class Cookie:
    """A cookie as it was set; `attributes` by name in lower case. It is sent to `host` and, with a Domain, below it."""

    name: str
    value: str = field(repr=False)
    host: str
    path: str
    attributes: Mapping[str, str]

    def goes_to(self, url: str) -> bool:
        parts = urlsplit(url)
        host, path = parts.hostname or "", parts.path or "/"
        is_below = "domain" in self.attributes and host.endswith(f".{self.host}")
        is_inside = path == self.path or path.startswith(self.path.rstrip("/") + "/")
        return (host == self.host or is_below) and is_inside


class Visit:
    """A browser with cookies of its own. `url` is where it is, `answers` is all it was shown, the latest last.

    It does not leave the add-on's own hosts: `is_sent_away` says that a redirect led elsewhere. Secure cookies go over
    plain HTTP too: browsers do that for an add-on on this machine.
    """

    def __init__(self, bench: "Bench") -> None:
        self._bench = bench
        self.cookies: dict[str, Cookie] = {}
        self.answers: list[Answer] = []
        self.url = ""
        self.is_sent_away = False
        self._hosts = {urlsplit(url).hostname for url in (bench.target.sso_url, bench.target.base_url)}

    @property
    def has_arrived(self) -> bool:
        """Tell whether it was let in: it is on a page, or was sent on to a host that is not visited."""
        return self.answer.is_success or self.is_sent_away

    @property
    def answer(self) -> "Answer":
        """Return the latest answer; IndexError before the first."""
        return self.answers[-1]

    async def post(self, fields: Fields) -> "Answer":
        """Send an SSO form; redirects are not followed."""
        return await self.post_raw(_encoded(fields))

    async def post_raw(self, content: bytes, content_type: str = "application/x-www-form-urlencoded") -> "Answer":
        return await self._send("POST", self._bench.target.sso_url, content, content_type)

    async def get(self, url: str) -> "Answer":
        return await self._send("GET", url)

    async def arrive(self, fields: Fields) -> "Answer":
        """Send an SSO form and follow where it leads."""
        await self.post(fields)
        return await self._follow(_encoded(fields))

    async def open(self, url: str) -> "Answer":
        """Open a page and follow where it leads."""
        await self.get(url)
        return await self._follow(b"")

    async def _follow(self, content: bytes) -> "Answer":
        self.is_sent_away = False
        for _ in range(_MOST_REDIRECTS):
            place, status = self.answer.headers.get("location"), self.answer.status
            if status not in {301, 302, 303, 307, 308} or not place:
                break
            url = urljoin(self.url, place)
            if urlsplit(url).hostname not in self._hosts:
                self.is_sent_away = True
                break
            if status in {307, 308} and content:
                await self._send("POST", url, content, "application/x-www-form-urlencoded")
            else:
                content = b""
                await self._send("GET", url)
        return self.answer

    async def _send(self, method: str, url: str, content: bytes | None = None, content_type: str = "") -> "Answer":
        sent = "; ".join(f"{one.name}={one.value}" for one in self.cookies.values() if one.goes_to(url))
        headers = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Cookie": sent or None}
        if content is not None:
            # The form comes from a page of Heroku's, and browsers say so.
            headers |= {"Content-Type": content_type, "Origin": "https://addons-sso.heroku.com"}
        answer = await self._bench.ask(method, url, content=content, auth=None, headers=headers)
        self.url = url
        self.answers.append(answer)
        for header in answer.headers.get_list("set-cookie"):
            self._keep(_read_cookie(header, url))
        return answer

    def _keep(self, cookie: Cookie) -> None:
        if cookie.attributes.get("max-age") == "0" or not cookie.value:
            self.cookies.pop(cookie.name, None)
        else:
            self.cookies[cookie.name] = cookie


def _read_cookie(header: str, url: str) -> Cookie:
    """Read a Set-Cookie header that came from that URL, as RFC 6265 says."""
    pair, *rest = header.split(";")
    name, _, value = pair.partition("=")
    attributes = {key.strip().lower(): text.strip() for key, _, text in (one.partition("=") for one in rest)}
    parts = urlsplit(url)
    host = attributes.get("domain", "").lstrip(".") or parts.hostname or ""
    path = attributes.get("path", "")
    if not path.startswith("/"):
        path = parts.path.rpartition("/")[0] or "/"
    return Cookie(name.strip(), value.strip(), host, path, attributes)


def _encoded(fields: Fields) -> bytes:
    return urlencode(list(fields.items()) if isinstance(fields, Mapping) else fields).encode()

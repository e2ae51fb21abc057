"""An operator at the panel, without a browser."""

import re
from html import unescape

import httpx2
from rig import URL, Rig

from app.operators.roles import Actor, Role

PASSWORD = "correct horse battery staple"
MACHINE = Actor(name="root@machine", role=Role.OWNER)


class Panel:
    """One operator's browser."""

    def __init__(self, rig: Rig, email: str) -> None:
        self.rig = rig
        self.email = email
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(rig.app, raise_app_exceptions=False), base_url=URL, follow_redirects=True
        )

    async def sign_in(self, password: str = PASSWORD) -> httpx2.Response:
        return await self.http.post("/admin/sign-in", data={"email": self.email, "password": password})

    async def form_token(self, page: str) -> str:
        found = re.search(r'name="form_token" value="([^"]+)"', (await self.http.get(page)).text)
        assert found, f"{page} has no form"
        return found[1]

    async def post(self, page: str, to: str | None = None, **fields: str) -> httpx2.Response:
        """Send the form of a page."""
        return await self.http.post(to or page, data={"form_token": await self.form_token(page), **fields})


def link(page: str, words: str) -> str:
    """Where the link with these words leads."""
    found = re.search(rf'href="([^"]+)"[^>]*>{re.escape(words)}</a>', page)
    assert found, f"no link says {words}"
    return unescape(found[1])

"""What tests of one resource's pages share: an add-on to look at, its customer's browser, and the words of a page."""

import hashlib
import html
import re

import httpx2
from rig import SALT, URL, Rig

from app.operations import exchanges

ADA = "ada@example.com"


async def install(rig: Rig, plan: str = "test") -> str:
    """An add-on on the app `shop`, ready; what was said on the way is written down."""
    rig.simulator.world.create_app("shop")
    addon = await rig.simulator.calls.provision("shop", plan)
    await rig.work()
    await exchanges.write(rig.context)
    return addon.id


def words(page: httpx2.Response) -> str:
    """What a person reads."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


async def arrive(
    rig: Rig, http: httpx2.AsyncClient, uuid: str, *, minutes_old: int = 0, **changes: str
) -> httpx2.Response:
    """A customer comes from Heroku, with a form as old as that; the page at the end of it."""
    rig.clock.forward(seconds=1)
    at = str(int(rig.clock().timestamp()) - minutes_old * 60)
    form = {"resource_id": uuid, "timestamp": at, "user_id": "u1", "email": ADA}
    form["user_scoped_resource_token"] = hashlib.sha256(f"{uuid}:{SALT}:{at}:u1:{ADA}".encode()).hexdigest()
    form["resource_token"] = hashlib.sha1(f"{uuid}:{SALT}:{at}".encode()).hexdigest()
    return await http.post("/sso/login", data=form | changes, follow_redirects=True)


def new_browser(rig: Rig) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(rig.app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url=URL)


def form_token(page: httpx2.Response, action: str = "") -> str:
    """The token of the page's form that goes to `action`, or of its first."""
    found = re.search(rf'action="[^"]*{action}".*?name="form_token" value="([^"]+)"', page.text, re.DOTALL)
    assert found, page.text
    return found[1]

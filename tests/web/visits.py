"""A customer's browser, and what there is to visit."""

import hashlib
import html
import re

import httpx2
from rig import SALT, URL, Rig, provision_body
from sqlalchemy import select

from app.resources.traces import SignIn

ADA = "ada@example.com"


class Browser:
    """A browser with its own cookies; it fills in forms from the pages that it has seen."""

    def __init__(self, rig: Rig, url: str = URL) -> None:
        self.rig = rig
        transport = httpx2.ASGITransport(rig.app, raise_app_exceptions=False)
        self.http = httpx2.AsyncClient(transport=transport, base_url=url)

    async def arrive(self, uuid: str, email: str = ADA, *, query: str = "", is_proven: bool = True) -> httpx2.Response:
        """Come from Heroku with a form that was never used before; the page at the end of it."""
        self.rig.clock.forward(seconds=1)
        at = str(int(self.rig.clock().timestamp()))
        form = {"resource_id": uuid, "timestamp": at, "user_id": "u1", "email": email}
        form["resource_token"] = hashlib.sha1(f"{uuid}:{SALT}:{at}".encode()).hexdigest()
        if is_proven:
            signed = f"{uuid}:{SALT}:{at}:u1:{email}".encode()
            form["user_scoped_resource_token"] = hashlib.sha256(signed).hexdigest()
        return await self.http.post(f"/sso/login{query}", data=form, follow_redirects=True)

    async def see(self, uuid: str) -> httpx2.Response:
        return await self.http.get(f"/dashboard/{uuid}")

    async def token(self, uuid: str) -> str:
        return form_token(await self.see(uuid))

    async def send(self, uuid: str, form: str, token: str | None = None, **headers: str) -> httpx2.Response:
        """Press a button on the page, as it is now unless `token` is given; the answer, before any redirect."""
        token = await self.token(uuid) if token is None else token
        content = {"form_token": token} if token else {}
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(f"/dashboard/{uuid}/{form}", data=content, headers=headers)

    def cookie_header(self) -> str:
        """What a thief would copy."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.http.cookies.jar)


async def install(rig: Rig, **changes) -> str:
    body = provision_body(**changes)
    answer = await rig.heroku.post("", json=body)
    assert answer.status_code in {200, 202}
    return body["uuid"]


async def install_at_heroku(rig: Rig) -> str:
    """Installed so that the simulator knows it too, and takes config vars."""
    rig.simulator.world.create_app("shop")
    addon = await rig.simulator.calls.provision("shop", "test")
    await rig.work()
    return addon.id


def form_token(page: httpx2.Response) -> str:
    return re.search(r'name="form_token" value="([^"]+)"', page.text)[1]


def words(page: httpx2.Response) -> str:
    """What a person reads."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


async def traces(rig: Rig, uuid: str) -> tuple:
    """All that a form could change."""
    resource = await rig.resource(uuid)
    async with rig.context.database.transaction() as session:
        sign_ins = list(await session.scalars(select(SignIn.signed_out_at).order_by(SignIn.id)))
    rotation = (resource.rotation_requested_at, resource.rotated_at, resource.retire_at)
    return await rig.events(uuid), rotation, sign_ins, await rig.jobs()

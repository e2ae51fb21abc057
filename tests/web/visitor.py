"""Heroku's single sign-on form, made by hand, and a browser that posts it."""

import hashlib
from datetime import timedelta
from urllib.parse import urlencode

import httpx2
from rig import SALT, Rig, provision_body
from sqlalchemy import select

from app.resources.traces import SignIn

ANN = "89abcdef-0123-4567-89ab-cdef01234567"
BEN = "99abcdef-0123-4567-89ab-cdef01234567"
STRONG = "user_scoped_resource_token"
GENERATIONS = [STRONG, "resource_token", "token"]


def sha1(*parts: str) -> str:
    return hashlib.sha1(":".join(parts).encode()).hexdigest()


def sha256(*parts: str) -> str:
    return hashlib.sha256(":".join(parts).encode()).hexdigest()


def form_at(  # each argument is one field of Heroku's form
    timestamp, uuid, *tokens, user=ANN, email="ann@example.com", salt=SALT, **changes: str | None
) -> dict[str, str]:
    """Heroku's form with the tokens named (by default all three); a change to None leaves a field out."""
    proofs = {
        STRONG: sha256(uuid, salt, timestamp, user, email),
        "resource_token": sha1(uuid, salt, timestamp),
        "token": sha1(uuid, salt, timestamp),
    }
    fields = {
        "resource_id": uuid,
        "timestamp": timestamp,
        **{name: proofs[name] for name in tokens or GENERATIONS},
        "user_id": user,
        "email": email,
        "app": "shop",
        "context_app": "shop",
        "nav-data": "eyJhZGRvbiI6IngifQ==",
        "id": uuid,
    } | changes
    return {name: value for name, value in fields.items() if value is not None}


class Visitor:
    """A browser in front of one provisioned resource."""

    def __init__(self, rig: Rig, uuid: str) -> None:
        self.rig = rig
        self.uuid = uuid

    def form(self, *tokens: str, age: float = 0, **changes: str | None) -> dict[str, str]:
        at = self.rig.clock() - timedelta(seconds=age)
        return form_at(str(int(at.timestamp())), changes.pop("uuid", self.uuid), *tokens, **changes)

    async def post(self, form: dict[str, str] | bytes, query: str = "") -> httpx2.Response:
        content = form if isinstance(form, bytes) else urlencode(form).encode()
        self.rig.http.cookies.clear()
        return await self.rig.http.post(
            "/sso/login" + query,
            content=content,
            headers={"Content-Type": "application/x-www-form-urlencoded", "Request-Id": "the-same"},
        )

    async def status(self, *tokens: str, **changes) -> int:
        return (await self.post(self.form(*tokens, **changes))).status_code

    async def sign_ins(self) -> list[SignIn]:
        async with self.rig.context.database.transaction() as session:
            return list(await session.scalars(select(SignIn).order_by(SignIn.at)))


async def visitor_of(rig: Rig) -> Visitor:
    # Timestamps are whole seconds: on a whole second, an age in a test is exact.
    rig.clock.now = rig.clock.now.replace(microsecond=0)
    body = provision_body()
    assert (await rig.heroku.post("", json=body)).status_code == 200
    return Visitor(rig, body["uuid"])

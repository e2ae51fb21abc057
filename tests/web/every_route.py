"""All routes that the app has, now and later, each with an address of something that exists, and who may send there."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2
from fastapi import FastAPI
from fastapi.routing import RouteContext, iter_route_contexts
from rig import URL, Rig, new_settings
from sqlalchemy import select
from visits import ADA, Browser, form_token, install_at_heroku

from app.main import create_app
from app.operations import batches, reconciliation
from app.operations.actions import ACTIONS
from app.operators import accounts, sessions
from app.operators.attempts import Browser as KnownBrowser
from app.operators.models import Operator, OperatorSession
from app.operators.roles import Actor, Role
from app.operators.sessions import Method

MACHINE = Actor(name="root@machine", role=Role.OWNER)
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    context: RouteContext

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_customers(self) -> bool:
        return self.path.startswith("/dashboard/")

    @property
    def is_operators(self) -> bool:
        return self.path.startswith("/admin") and not self.path.startswith("/admin/sign-in")

    @property
    def is_behind_a_session(self) -> bool:
        return self.is_customers or self.is_operators

    @property
    def is_form(self) -> bool:
        return self.method == "POST" and self.is_behind_a_session

    @property
    def parameters(self) -> list[str]:
        return [field.alias for field in self.context.dependant.query_params]


def routes(app: FastAPI | None = None) -> list[Route]:
    """Every route but the static files, in the order of the app."""
    app = app or create_app(new_settings("postgresql+psycopg://nobody@127.0.0.1:1/nothing"))
    found = (context for context in iter_route_contexts(app.routes) if context.methods)
    return [Route(method, context.path, context) for context in found for method in sorted(context.methods)]


class Scene:
    """An add-on with a customer, an owner of the panel, and one of everything that has an address."""

    def __init__(self, rig: Rig, uuid: str, operator: Operator) -> None:
        self.rig = rig
        self.uuid = uuid
        self.operator = operator
        # By the names in paths' braces.
        self.ids: dict[str, str] = {}
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(rig.app, raise_app_exceptions=False), base_url=URL
        )

    def address(self, route: Route, **ids: str) -> str:
        """The route's path with what exists in it, or with `ids` by the names in braces."""
        names = {"name": "test" if "/plans/" in route.path else "installs"} | self.ids | ids
        return re.sub(r"\{(\w+)(:\w+)?\}", lambda found: quote(names[found[1]], safe=""), route.path)

    async def customer(self, uuid: str | None = None, email: str = ADA) -> dict[str, str]:
        """A new session on a resource's pages, as the `Cookie` of its browser, and its forms' token."""
        uuid = uuid or self.uuid
        browser = Browser(self.rig, self.rig.settings.public_url)
        page = await browser.arrive(uuid, email)
        token, cookie = form_token(page), browser.cookie_header()
        await browser.http.aclose()
        return {"cookie": cookie, "form_token": token}

    async def owner(self, operator: Operator | None = None) -> dict[str, str]:
        """A new session at the panel, likewise."""
        browser = KnownBrowser(address="127.0.0.1", name="a test")
        token = await sessions.begin(self.rig.context, operator or self.operator, browser, Method.PASSWORD)
        session = (await sessions.resume(self.rig.context, token)).session
        return {
            "cookie": f"operator={token}",
            "form_token": self.rig.app.state.operator_form_signer.sign(str(session.id)),
        }

    async def signed_in(self, route: Route) -> dict[str, str]:
        """A new session of who the route is for; of nobody where it is for everybody."""
        if route.is_customers:
            return await self.customer()
        return await self.owner() if route.is_operators else {}

    async def ask(
        self,
        route: Route,
        session: dict[str, str],
        *,
        query: str = "",
        fields: dict[str, str] | None = None,
        headers: dict[str, Any] | None = None,
        **ids: str,
    ) -> httpx2.Response:
        """Send what the session's own page would send; the answer, before any redirect."""
        self.http.cookies.clear()
        token = {"form_token": session["form_token"]} if session.get("form_token") and route.method == "POST" else {}
        return await self.http.request(
            route.method,
            self.address(route, **ids) + query,
            headers=({"Cookie": session["cookie"]} if session.get("cookie") else {}) | (headers or {}),
            data=token | (fields or {}) if route.method == "POST" else None,
        )


async def scene_of(rig: Rig) -> Scene:
    uuid = await install_at_heroku(rig)
    operator, other = [
        await accounts.add(rig.context, MACHINE, email=email, name="", role=Role.OWNER, password=PASSWORD)
        for email in ("owner@acme.example", "second@acme.example")
    ]
    actor = Actor(name=operator.email, role=Role.OWNER, operator_id=operator.id)
    run = await reconciliation.ask(rig.context, actor)
    batch = await batches.order(
        rig.context,
        actor,
        action=ACTIONS["rotate"],
        query="plan:test",
        parameters={},
        reason="They leaked",
        number=1,
    )
    scene = Scene(rig, uuid, operator)
    await scene.owner(other)
    async with rig.context.database.transaction() as session:
        theirs = select(OperatorSession.id).where(OperatorSession.operator_id == other.id)
        session_id = await session.scalar(theirs)
    scene.ids = {
        "uuid": uuid,
        "id_": str(run),
        "batch_id": str(batch),
        "operator_id": str(other.id),
        "session_id": str(session_id),
        "action_id": "rotate",
        "form": "csv",
        "verb": "pause",
    }
    return scene

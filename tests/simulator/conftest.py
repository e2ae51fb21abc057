"""A simulator around a tiny add-on, in one process and without sockets; time stands still until a test moves it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.simulator import Simulator

MANIFEST = {
    "id": "acme-postgres",
    "name": "Acme Postgres",
    "api": {
        "config_vars": ["ACME_POSTGRES_URL", "ACME_POSTGRES_POOL"],
        "config_vars_prefix": "ACME_POSTGRES",
        "password": "manifest-password",
        "sso_salt": "manifest-salt",
        "regions": ["us", "eu"],
        "requires": ["attachable", "many_per_app"],
    },
}
HEROKU = "http://heroku.test"
CLIENT_SECRET = "oauth-client-secret"
DATABASE_URL = "postgres://user:hunter2hunter2@db.example.com/one"


@dataclass
class TinyAddOn:
    """Answers every verb as told and remembers what it was asked."""

    requests: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    before_answer: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    async def answer(self, request: Request) -> Response:
        body = await request.json() if await request.body() else None
        self.requests.append((request.method, request.url.path, dict(request.headers), body))
        if self.before_answer is not None:
            await self.before_answer(body)
        usual = {
            "POST": (200, {"id": (body or {}).get("uuid"), "config": {"ACME_POSTGRES_URL": DATABASE_URL}}),
            "PUT": (200, {}),
            "DELETE": (204, None),
        }
        status, answer = self.answers.get(request.method) or usual[request.method]
        if answer is None:
            return Response(status_code=status, headers=self.headers)
        return JSONResponse(answer, status, self.headers)

    def bodies(self, method: str) -> list[Any]:
        return [body for verb, _, _, body in self.requests if verb == method]

    @property
    def asgi(self) -> Starlette:
        verbs = ["POST", "PUT", "DELETE"]
        return Starlette(routes=[Route(path, self.answer, methods=verbs) for path in ("/base", "/base/{uuid}")])


@dataclass
class Clock:
    at: datetime = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass
class Sleep:
    """Sleeps no time at all and remembers how long it was asked to."""

    slept: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def addon() -> TinyAddOn:
    return TinyAddOn()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sleep() -> Sleep:
    return Sleep()


@pytest.fixture
def make(addon, clock, sleep):
    """Build a simulator; keyword arguments replace the usual ones, `api` changes the manifest's api part."""

    def build(api: dict[str, Any] | None = None, **arguments: Any) -> Simulator:
        usual = {
            "manifest": {**MANIFEST, "api": {**MANIFEST["api"], **(api or {})}},
            "url": HEROKU,
            "addon_base_url": "http://addon.test/base",
            "addon_sso_url": "http://addon.test/sso/login",
            "client_secret": CLIENT_SECRET,
            "transport": httpx2.ASGITransport(addon.asgi),
            "clock": clock,
            "sleep": sleep,
        }
        simulator = Simulator(**{**usual, **arguments})
        if not any(app.name == "shop" for app in simulator.world.apps.values()):
            simulator.world.create_app("shop")
        return simulator

    return build


@pytest.fixture
def sim(make) -> Simulator:
    return make()


@pytest.fixture
async def http(sim):
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(sim.app), base_url=HEROKU) as client:
        yield client


@pytest.fixture
def token_for(sim, http):
    """Exchange an add-on's grant; returns the token endpoint's whole answer."""

    async def exchange(addon: Any) -> dict[str, Any]:
        (grant,) = [grant for grant in sim.world.grants.values() if grant.addon_id == addon.id]
        answer = await http.post(
            "/oauth/token",
            data={"grant_type": "authorization_code", "code": grant.code, "client_secret": CLIENT_SECRET},
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    return exchange


@pytest.fixture
def bearer(token_for):
    """Headers with which an add-on asks the platform API about one resource."""

    async def headers(addon: Any) -> dict[str, str]:
        token = (await token_for(addon))["access_token"]
        return {"Authorization": f"Bearer {token}", "Accept": "application/vnd.heroku+json; version=3"}

    return headers


@pytest.fixture
def ask(sim, http):
    """Ask the platform API as a person, by default the first, who owns the apps."""

    async def request(method: str, path: str, body: Any = None, *, who: str = "ada", **headers: str) -> httpx2.Response:
        (person,) = [one for one in sim.world.customers.values() if one.email.startswith(who)]
        usual = {"Authorization": f"Bearer {person.api_key}", "Accept": "application/vnd.heroku+json; version=3"}
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return await http.request(method, path, json=body, headers=usual | more)

    return request


@pytest.fixture
def findings(sim):
    """What the verdict on the latest exchange says, or on an earlier one."""

    def said(index: int = -1) -> str:
        return "\n".join(f"{one.level}: {one.text}" for one in sim.world.exchanges[index].findings)

    return said

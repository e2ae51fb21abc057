"""The bench's browser does with cookies and redirects what browsers do."""

from typing import Any

import httpx2
import pytest
from addon import CLIENT_SECRET, MANIFEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from app.conformance.bench import Bench
from app.conformance.journal import Journal
from app.conformance.target import Target
from app.conformance.visits import Visit
from app.simulator import Simulator

URL = "https://addon.test"


async def _seen(request: Request) -> Response:
    body = (await request.body()).decode()
    return PlainTextResponse(f"{request.method} {request.headers.get('cookie', '')} {body}".strip())


@pytest.fixture
async def bench():
    """A bench around a site that says what it was sent; `login` answers with whatever the test puts there."""
    site = Starlette(
        routes=[
            Route("/sso/login", lambda request: site.state.login, methods=["POST"]),
            Route("/{rest:path}", _seen, methods=["GET", "POST"]),
        ]
    )
    transport = httpx2.ASGITransport(site)
    base_url, sso_url = f"{URL}/heroku/resources", f"{URL}/sso/login"
    simulator = Simulator(MANIFEST, "http://127.0.0.1:5100", base_url, sso_url, CLIENT_SECRET, transport=transport)
    async with Bench(simulator, Target(base_url, sso_url), Journal(None), transport=transport) as bench:
        bench.site = site
        yield bench


async def arrived(bench: Any, answer: Response, *cookies: str) -> Visit:
    for cookie in cookies:
        answer.headers.append("set-cookie", cookie)
    bench.site.state.login = answer
    visit = Visit(bench)
    await visit.arrive({"a": "1"})
    return visit


@pytest.mark.parametrize(
    ("cookie", "is_sent_to"),
    [
        ("s=1; Path=/", ["/", "/sso/x", "/other"]),
        ("s=1", ["/sso/x"]),
        ("s=1; Path=/other", ["/other", "/other/x"]),
        ("s=1; Path=/oth", []),
        ("s=1; Path=/; Domain=addon.test", ["/"]),
        ("s=1; Path=/; Domain=test", ["/"]),
        ("s=1; Path=/; Domain=elsewhere.test", []),
    ],
)
async def test_a_cookie_goes_where_its_path_and_host_say(bench, cookie, is_sent_to):
    visit = await arrived(bench, PlainTextResponse(""), cookie)
    for path in ("/", "/sso/x", "/other", "/other/x"):
        got_it = b"s=1" in (await visit.get(URL + path)).content
        assert not got_it or path in is_sent_to or "/" in is_sent_to
        assert got_it or path not in is_sent_to


async def test_a_cookie_that_ends_at_once_is_forgotten(bench):
    visit = await arrived(bench, PlainTextResponse(""), "s=1; Path=/", "t=2; Path=/", "s=1; Path=/; Max-Age=0", "t=")
    assert visit.cookies == {}


@pytest.mark.parametrize(
    ("status", "seen"), [(301, b"GET"), (302, b"GET"), (303, b"GET"), (307, b"POST  a=1"), (308, b"POST  a=1")]
)
async def test_a_redirect_is_followed_as_its_status_says(bench, status, seen):
    visit = await arrived(bench, RedirectResponse("/page", status))
    assert (visit.answer.content, visit.url, visit.has_arrived) == (seen, f"{URL}/page", True)


async def test_the_browser_does_not_leave_the_add_ons_hosts(bench):
    visit = await arrived(bench, RedirectResponse("https://elsewhere.test/page", 303))
    assert (visit.is_sent_away, visit.has_arrived, visit.answer.status) == (True, True, 303)
    await visit.open(f"{URL}/page")
    assert not visit.is_sent_away


async def test_redirects_in_a_circle_end(bench):
    visit = await arrived(bench, RedirectResponse("/sso/login", 307))
    assert (visit.answer.status, visit.has_arrived, len(visit.answers)) == (307, False, 11)

"""Every route of the app, now and later, against what is done to web applications: what its answers carry and keep."""

import re
from urllib.parse import unquote

import httpx2
import pytest
from every_route import Route, Scene, routes, scene_of
from rig import Rig

EVIL = "evil.example"
# The figures of the business, without a name in them: for a minute, in the browser that asked, and in no other cache.
MAY_BE_KEPT_FOR_A_MINUTE = {"/admin/charts/{name}.svg"}
LIES = {
    "Host": EVIL,
    "X-Forwarded-Host": EVIL,
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Prefix": f"//{EVIL}",
    "X-Forwarded-Server": EVIL,
    "Forwarded": f"for=1.2.3.4;host={EVIL};proto=https",
    "X-Original-URL": f"//{EVIL}/admin",
    "X-Rewrite-URL": f"//{EVIL}/admin",
    "X-Host": EVIL,
    "Referer": f"https://{EVIL}/",
}
FILES = (
    "/static/../pages.py",
    "/static/%2e%2e/pages.py",
    "/static/..%2fpages.py",
    "/static/..%5cpages.py",
    "/static/....//pages.py",
    "/static/%252e%252e/pages.py",
    "/static/%c0%ae%c0%ae/pages.py",
    "/static//etc/passwd",
    "/static/%2fetc%2fpasswd",
    "/static/../../../../../../../../etc/passwd",
    "/static/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/static/../templates/base.html",
    "/static/pages.css/../../pages.py",
    "/static/pages.css%00.py",
    "/static/%00",
    "/static/",
    "/static/.",
    "/static/..",
    "/static/" + "a" * 5000,
    "/static/" + "a/" * 2000,
)
OF_THE_INSIDE = ("Traceback", "site-packages", "psycopg", "sqlalchemy", "StrictUndefined", "/app/web/", "starlette")


@pytest.fixture
async def scene(make_rig):
    """As in production: by https, with everything switched on."""
    async with make_rig(public_url="https://addon.test", metrics_token="m" * 40).running() as rig:
        yield await scene_of(rig)


async def answers(scene: Scene, **more) -> list[tuple[Route, httpx2.Response]]:
    """What every route says to who it is for, and to a stranger."""
    told = []
    for route in routes(scene.rig.app):
        told.append((route, await scene.ask(route, await scene.signed_in(route), **more)))
        told.append((route, await scene.ask(route, {}, **more)))
    return told


async def test_every_answer_is_safe_in_browsers_kept_by_no_cache_and_shows_nothing_of_the_inside(scene: Scene):
    """Also refusals and redirections: they tell who has been where, and the next one at the machine may be another."""
    for route, answer in await answers(scene, query="?before=x&after=%00&from=y", fields={"number": "\0"}):
        assert answer.status_code < 500, route
        headers = answer.headers
        assert headers["X-Frame-Options"] == "DENY", route
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"], route
        assert "default-src 'none'" in headers["Content-Security-Policy"], route
        assert "script-src 'unsafe" not in headers["Content-Security-Policy"], route
        assert headers["X-Content-Type-Options"] == "nosniff", route
        assert headers["Strict-Transport-Security"].startswith("max-age=31536000"), route
        assert not {"server", "x-powered-by", "access-control-allow-origin"} & set(headers), route
        may_be_kept = route.path in MAY_BE_KEPT_FOR_A_MINUTE and answer.status_code == 200
        assert headers["Cache-Control"] == ("private, max-age=60" if may_be_kept else "no-store"), route
        for word in OF_THE_INSIDE:
            assert word not in answer.text, route


async def test_every_cookie_is_for_its_pages_alone_and_out_of_reach_of_scripts_and_other_sites(scene: Scene):
    seen = []
    told = await answers(scene)
    for path in ("/dashboard/{uuid}", "/admin"):  # what a page says once is in a cookie that is taken away again
        route = next(route for route in routes(scene.rig.app) if (route.method, route.path) == ("GET", path))
        session = await scene.signed_in(route)
        session["cookie"] += "; notice=rotation; operator-notice=x"
        told.append((route, await scene.ask(route, session)))
    form = scene.rig.simulator.calls.sso_form(scene.rig.simulator.world.addon(scene.uuid))
    told.append((None, await scene.http.post("/sso/login", data=form)))
    sign_in = {"email": "owner@acme.example", "password": "correct horse battery staple"}
    told.append((None, await scene.http.post("/admin/sign-in", data=sign_in)))
    for route, answer in told:
        for cookie in answer.headers.get_list("Set-Cookie"):
            seen.append(cookie.partition("=")[0])
            flags = {flag.strip().lower().partition("=")[0]: flag for flag in cookie.split(";")[1:]}
            assert {"secure", "httponly", "samesite", "path"} <= set(flags), f"{route}: {cookie}"
            assert "domain" not in flags, f"{route}: {cookie}"
            assert "none" not in flags["samesite"].lower(), f"{route}: {cookie}"
            assert re.search(r"path=/(admin|dashboard/)", cookie.lower()), f"{route}: {cookie}"
    assert {"operator", "operator-notice", "notice"} <= set(seen)
    assert any(name.startswith("customer-") for name in seen)


async def test_what_a_request_says_about_our_address_is_in_no_link_cookie_or_redirection(scene: Scene):
    for route, answer in await answers(scene, headers=LIES):
        assert answer.status_code < 500, route
        assert EVIL not in answer.text + str(answer.headers.multi_items()), route
        assert answer.headers.get("Location", "/").startswith("/"), route


async def test_another_method_than_the_routes_own_is_refused_and_does_nothing(scene: Scene):
    ours = {(route.method, route.path) for route in routes(scene.rig.app)}
    for route in routes(scene.rig.app):
        session = await scene.signed_in(route)
        for method in ("HEAD", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "GET", "POST", "PUT", "DELETE"):
            if (method, route.path) in ours or (method, route.path.removesuffix("/")) in ours:
                continue
            answer = await scene.http.request(
                method, scene.address(route), headers={"Cookie": session.get("cookie", ""), "X-Canary": "sings"}
            )
            assert answer.status_code in {401, 403, 404, 405, 422}, f"{method} {route.path} got {answer.status_code}"
            assert "sings" not in answer.text, "TRACE repeats what a script may not read"
    assert (await scene.rig.resource(scene.uuid)).state == "provisioned"


async def test_no_header_or_field_makes_one_method_another(scene: Scene):
    before = await scene.rig.events(scene.uuid)
    names = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Method", "Method")
    for route in (route for route in routes(scene.rig.app) if route.method == "GET"):
        session = await scene.signed_in(route)
        told = {"Cookie": session.get("cookie", ""), **dict.fromkeys(names, "POST")}
        query = {"_method": "POST", "method": "POST", "form_token": session.get("form_token", "")}
        answer = await scene.http.get(scene.address(route), headers=told, params=query)
        assert answer.status_code < 500, route
    answer = await scene.rig.heroku.get(f"/{scene.uuid}", headers=dict.fromkeys(names, "DELETE"))
    assert answer.status_code == 405
    assert set(await scene.rig.events(scene.uuid)) - set(before) == {"signed_in"}


async def raw(rig: Rig, address: str, method: str = "GET", cookie: str = "") -> tuple[int, str]:
    """Status and text of an address as it comes from the wire: no client has made it nicer."""
    sent: list[dict] = []

    async def receive() -> dict:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message) -> None:
        sent.append(message)

    path, _, query = address.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(b"host", b"addon.test"), (b"cookie", cookie.encode())],
        "client": ("127.0.0.1", 1),
        "server": ("addon.test", 80),
    }
    await rig.app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], body.decode("utf-8", "replace")


def disguises(address: str) -> list[str]:
    """Ways to write an address for which some part of some web program took it for another."""
    head, _, last = address.rpartition("/")
    return [
        f"/static/..{address}",
        f"/static/%2e%2e{address}",
        f"/static/..%2f..{address}",
        f"/health/live/../..{address}",
        f"/health/live/..;{address}",
        f"/heroku/..{address}",
        f"/metrics/..{address}",
        f"/{address}",
        f"//evil.example{address}",
        f"{head}//{last}",
        f"{head}/./{last}",
        f"{head}/%2e/{last}",
        f"{head}/x/../{last}",
        f"{head}%2f{last}",
        f"{head}%252f{last}",
        f"{head}%5c{last}",
        f"{head}/%c0%ae%c0%ae/{last}",
        f"{address}/",
        f"{address}.",
        f"{address}%20",
        f"{address}%00",
        f"{address}%00.css",
        f"{address}/.css",
        f"{address};x=/static/pages.css",
        f"{address}%3Fx",
        f"{address}%23/health/live",
        f"{address}%0d%0aX-Evil:%201",
        address.upper(),
        address.replace("a", "%61"),
        address.replace("/", "\\"),
        f"/.{address}",
        f"/%ef%bc%8f{address}",
    ]


async def test_however_an_address_is_written_a_stranger_sees_nothing(scene: Scene):
    for route in (route for route in routes(scene.rig.app) if route.is_behind_a_session and route.method == "GET"):
        for address in disguises(scene.address(route)):
            status, text = await raw(scene.rig, address)
            assert status in {303, 403, 404, 405}, f"{address} got {status}"
            assert "Sign out" not in text, address
            assert scene.operator.email not in text, address


async def test_however_its_address_is_written_only_heroku_uses_the_partner_api(scene: Scene):
    for address in disguises(f"/heroku/resources/{scene.uuid}"):
        for method in ("DELETE", "PUT", "POST"):
            status, _ = await raw(scene.rig, address, method)
            assert status in {401, 404, 405, 403, 400}, f"{method} {address} got {status}"
    assert (await scene.rig.resource(scene.uuid)).state == "provisioned"


async def test_no_file_is_served_but_those_for_pages(key_rig: Rig):
    for address in FILES:
        status, text = await raw(key_rig, address)
        assert status in {404, 405}, address
        assert "import" not in text, address
        assert "root:" not in text, address


async def test_the_files_for_pages_may_be_kept(key_rig: Rig):
    answer = await key_rig.http.get("/static/pages.css")
    assert answer.status_code == 200
    assert "no-store" not in answer.headers.get("Cache-Control", "")


async def test_what_is_asked_for_comes_back_in_no_header(scene: Scene):
    """Not as a line of its own, nor as a header that was not there."""
    evil = "a%0d%0aX-Evil:%201%0d%0a%0d%0a<html>"
    for route in routes(scene.rig.app):
        for session in ({}, await scene.signed_in(route)):
            names = [*route.parameters, "q", "next", "from", "name", "operator", "actor"]
            query = "?" + "&".join(f"{name}={evil}" for name in names)
            answer = await scene.ask(
                route, session, query=query, headers={"X-Request-ID": "a; b", "User-Agent": "a\tb"}
            )
            for name, value in answer.headers.multi_items():
                assert "\r" not in value, f"{route}: {name}"
                assert "\n" not in value, f"{route}: {name}"
            assert "x-evil" not in answer.headers, route
            assert answer.headers["Request-Id"] != "a; b", route


async def test_a_second_resource_has_pages_of_its_own(scene: Scene):
    """Somebody who may see one resource tries every page of another one, also under the other one's cookie's name."""
    theirs = await other_resource(scene)
    mine = await scene.customer()
    renamed = mine["cookie"].replace(mine["cookie"].partition("=")[0], f"customer-{theirs.replace('-', '')[:12]}")
    before = await scene.rig.events(theirs)
    for route in (route for route in routes(scene.rig.app) if route.is_customers):
        for cookie in (mine["cookie"], renamed, f"{mine['cookie']}; {renamed}"):
            session = {"cookie": cookie, "form_token": mine["form_token"]}
            answer = await scene.ask(route, session, uuid=theirs)
            assert answer.status_code == 403, route
            assert "Set-Cookie" not in answer.headers, route
    assert await scene.rig.events(theirs) == before


async def other_resource(scene: Scene) -> str:
    scene.rig.simulator.world.create_app("boutique")
    addon = await scene.rig.simulator.calls.provision("boutique", "test")
    await scene.rig.work()
    return addon.id

"""Every form of the app, now and later: who may send it, what else it may say, and where it leads."""

import pytest
from every_route import MACHINE, PASSWORD, Scene, routes, scene_of
from rig import Rig
from sqlalchemy import text

from app.operators import accounts
from app.operators.roles import Role

EVIL = "evil.example"
# All that a form could change, but for who has been where: a session is made for every try.
TABLES = (
    "resources",
    "operators",
    "batches",
    "batch_items",
    "plan_withdrawals",
    "procrastinate_jobs",
    "reconciliations",
)
# Where a form of the sign-in is asked to lead, and how somebody else's page is written there.
RETURNS = ("next", "return", "return_to", "url", "redirect", "redirect_uri", "continue", "callback", "to", "wanted")
ELSEWHERE = (
    f"https://{EVIL}",
    f"//{EVIL}",
    f"///{EVIL}",
    f"/\\{EVIL}",
    f"\\\\{EVIL}",
    f"/%09/{EVIL}",
    f"/\t/{EVIL}",
    f"/admin/..//{EVIL}",
    f"/admin@{EVIL}",
    f"/admin/%2f%2f{EVIL}/..",
    f"/admin\r\nLocation: https://{EVIL}",
    f"%2f%2f{EVIL}",
    f"http:{EVIL}",
    f"javascript:fetch('//{EVIL}')",
    f"data:text/html,{EVIL}",
    f"https://addon.test@{EVIL}",
    f"https://addon.test.{EVIL}",
    f"/admin/.{EVIL}",
)

WRITINGS = (
    ("application/json", '{{"form_token": "{token}", "reason": "Because"}}'),
    ("text/plain", "form_token={token} reason=Because"),
    ("multipart/form-data; boundary=x", '--x\r\nContent-Disposition: form-data; name="form_token"\r\n\r\n{token}\r\n'),
    ("application/x-www-form-urlencoded", "form_token[]={token}"),
    ("application/x-www-form-urlencoded", "form_token={token}&form_token=x"),
    ("application/x-www-form-urlencoded; charset=utf-16", "\ufefff\0o\0r\0m\0_\0t\0o\0k\0e\0n\0={token}"),
    ("application/x-www-form-urlencoded; charset=utf-7", "form_token+AD0-{token}"),
)


@pytest.fixture
async def scene(key_rig: Rig) -> Scene:
    return await scene_of(key_rig)


async def everything(rig: Rig) -> dict[str, str]:
    """A digest of each table that forms change."""
    async with rig.context.database.transaction() as session:
        return {
            table: await session.scalar(text(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t"))
            for table in TABLES
        }


async def test_no_form_is_taken_from_who_cannot_know_its_token(scene: Scene):
    strangers = {
        "nobody's": {},
        "a colleague's": await scene.customer(email="grace@example.com"),
        "an owner's": await scene.owner(),
        "signed for something else": {"form_token": scene.rig.app.state.session_signer.sign("x")},
    }
    before = await everything(scene.rig)
    for route in (route for route in routes(scene.rig.app) if route.is_form):
        mine = await scene.signed_in(route)
        for whose, other in strangers.items():
            session = {"cookie": mine["cookie"], "form_token": other.get("form_token", "")}
            answer = await scene.ask(route, session, fields={"reason": "Because", "email": "x@y.example"})
            assert answer.status_code in {403, 422}, f"{route} took {whose} token"
        # Where else a token could be looked for.
        for query, headers in (
            (f"?form_token={mine['form_token']}", {}),
            ("", {"X-CSRF-Token": mine["form_token"]}),
            ("", {"Cookie": f"{mine['cookie']}; form_token={mine['form_token']}"}),
        ):
            answer = await scene.ask(route, {"cookie": mine["cookie"]}, query=query, headers=headers)
            assert answer.status_code in {403, 422}, f"{route} took a token from elsewhere"
    assert await everything(scene.rig) == before


async def test_no_form_is_taken_that_the_browser_says_another_site_has_sent(scene: Scene):
    before = await everything(scene.rig)
    for route in (route for route in routes(scene.rig.app) if route.method == "POST"):
        if not (route.is_form or route.path.startswith("/admin/sign-in")):
            continue
        session = await scene.signed_in(route)
        for headers in ({"Origin": f"https://{EVIL}"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = await scene.ask(route, session, headers=headers, fields={"reason": "Because"})
            assert answer.status_code == 403, f"{route} with {headers}"
    assert await everything(scene.rig) == before


async def test_a_form_in_another_writing_is_no_form(scene: Scene):
    before = await everything(scene.rig)
    for route in (route for route in routes(scene.rig.app) if route.is_form):
        session = await scene.signed_in(route)
        for kind, body in WRITINGS:
            answer = await scene.http.post(
                scene.address(route),
                content=body.format(token=session["form_token"]).encode(),
                headers={"Content-Type": kind, "Cookie": session["cookie"]},
            )
            assert answer.status_code in {403, 422}, route
    assert await everything(scene.rig) == before


async def test_looking_at_every_page_changes_nothing(scene: Scene):
    """Also with all that a form would say in the address."""
    before = await everything(scene.rig)
    for route in (route for route in routes(scene.rig.app) if route.method == "GET"):
        session = await scene.signed_in(route)
        query = f"?form_token={session.get('form_token', '')}&reason=Because&confirm=yes"
        assert (await scene.ask(route, session, query=query)).status_code < 500, route
    assert await everything(scene.rig) == before


async def test_no_address_leads_to_another_site(scene: Scene):
    """Of the sign-in's form, which needs a password each time, `test_sign_in.py` tells."""
    owner, customer = await scene.owner(), await scene.customer()
    for route in (route for route in routes(scene.rig.app) if route.method == "GET"):
        asked = ELSEWHERE if "sign-in" in route.path else ELSEWHERE[:4]
        for elsewhere in asked:
            for cookie in ("", customer["cookie"] if route.is_customers else owner["cookie"]):
                scene.http.cookies.clear()
                answer = await scene.http.get(
                    scene.address(route), params=dict.fromkeys(RETURNS, elsewhere), headers={"Cookie": cookie}
                )
                location = answer.headers.get("Location", "/")
                assert location.startswith("/"), (route, elsewhere, location)
                assert not location.startswith(("//", "/\\")), (route, elsewhere, location)
                path = location.partition("?")[0]
                assert EVIL not in path or path.startswith("/admin/"), (route, elsewhere, location)


async def test_what_a_customers_form_says_besides_is_not_listened_to(scene: Scene):
    more = {
        "plan": "premium",
        "state": "deprovisioned",
        "uuid": "01234567-89ab-cdef-0123-456789abcdef",
        "generation": "9",
        "suspended_at": "",
        "is_user_proven": "true",
        "support_operator": "me",
        "email": "somebody@else.example",
    }
    route = next(route for route in routes(scene.rig.app) if route.path == "/dashboard/{uuid}/rotate" and route.is_form)
    before = await scene.rig.resource(scene.uuid)
    assert (await scene.ask(route, await scene.customer(), fields=more)).status_code == 303
    after = await scene.rig.resource(scene.uuid)
    assert (after.plan, after.state, after.suspended_at) == (before.plan, before.state, before.suspended_at)


async def test_what_heroku_says_besides_is_not_listened_to(key_rig: Rig):
    uuid = "01234567-89ab-cdef-0123-456789abcdef"
    more = {
        "state": "deprovisioned",
        "suspended_at": "2020-01-01",
        "generation": 9,
        "seed": "a" * 32,
        "last_error": "x",
    }
    answer = await key_rig.heroku.post("", json={"uuid": uuid, "plan": "test", "config": {"A": "b"}} | more)
    assert (answer.status_code, set(answer.json()["config"])) == (200, {"ACME_POSTGRES_URL"})
    resource = await key_rig.resource(uuid)
    assert (resource.state, resource.suspended_at, resource.last_error) == ("provisioned", None, None)


async def test_a_low_role_gives_itself_no_higher_one(scene: Scene):
    viewer = await accounts.add(
        scene.rig.context, MACHINE, email="v@acme.example", name="", role=Role.VIEWER, password=PASSWORD
    )
    more = {"role": "owner", "is_owner": "true", "operator_id": str(scene.operator.id), "disabled_at": ""}
    for route in (route for route in routes(scene.rig.app) if route.is_form and route.is_operators):
        session = await scene.owner(viewer)
        fields = {"name": "Vera", "time_zone": "UTC", "reason": "Because"} | more
        ids = {"operator_id": str(viewer.id)}
        assert (await scene.ask(route, session, fields=fields, **ids)).status_code < 500, route
        found = await accounts.get(scene.rig.context, viewer.id)
        assert found is not None
        assert (found.role, found.disabled_at) == (Role.VIEWER, None), route
    other = await accounts.get(scene.rig.context, scene.operator.id)
    assert other is not None
    assert (other.role, other.name) == (Role.OWNER, scene.operator.name)


async def test_a_cookie_that_was_planted_before_the_sign_in_is_worth_nothing_after_it(scene: Scene):
    """Neither one that somebody made up, nor a live one of their own."""
    thief = await scene.owner()
    for planted in ("operator=" + "a" * 43, thief["cookie"]):
        answer = await scene.http.post(
            "/admin/sign-in",
            data={"email": scene.operator.email, "password": PASSWORD},
            headers={"Cookie": planted},
        )
        assert answer.status_code == 303
        given = answer.headers["Set-Cookie"].partition(";")[0]
        assert given not in {planted, ""}
        scene.http.cookies.clear()
        seen = await scene.http.get("/admin/account", headers={"Cookie": planted})
        assert seen.status_code == 303, "what was there before is no session any more"
    theirs = await scene.customer(email="thief@example.com")
    name, _, value = theirs["cookie"].partition("=")
    form = scene.rig.simulator.calls.sso_form(scene.rig.simulator.world.addon(scene.uuid))
    answer = await scene.http.post("/sso/login", data=form, headers={"Cookie": theirs["cookie"]})
    assert answer.headers["Set-Cookie"].startswith(f"{name}=")
    assert value not in answer.headers["Set-Cookie"]


async def test_who_visits_for_support_changes_nothing_and_sees_no_other_resource(scene: Scene):
    visit = next(route for route in routes(scene.rig.app) if route.is_form and route.path.endswith("/open-dashboard"))
    owner = await scene.owner()
    answer = await scene.ask(visit, owner, fields={"reason": "They asked"})
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    page = await scene.http.get(f"/dashboard/{scene.uuid}", headers={"Cookie": cookie})
    token = page.text.partition('name="form_token" value="')[2].partition('"')[0]
    before = await everything(scene.rig)
    for route in (route for route in routes(scene.rig.app) if route.is_customers and route.method == "POST"):
        if not route.path.endswith("/sign-out"):
            answer = await scene.ask(route, {"cookie": cookie, "form_token": token})
            assert answer.status_code == 422, route
            assert "Support looks at this dashboard and changes nothing" in answer.text
    assert await everything(scene.rig) == before
    scene.rig.simulator.world.create_app("boutique")
    other = (await scene.rig.simulator.calls.provision("boutique", "test")).id
    for route in (route for route in routes(scene.rig.app) if route.is_customers):
        answer = await scene.ask(route, {"cookie": cookie, "form_token": token}, uuid=other)
        assert answer.status_code == 403, route

"""Support looks at a customer's dashboard: for a reason, for a while, changing nothing, and the customer sees it."""

import re
from uuid import UUID

import httpx2
import pytest
from onlookers import arrive, form_token, install, new_browser, words
from rig import Rig
from sqlalchemy import select

from app.operations import support
from app.operations.action import Order, perform
from app.operations.actions import ACTIONS
from app.operators import accounts, sessions
from app.operators.roles import Actor, Role
from app.resources.traces import Event, SignIn

MACHINE = Actor(name="root@machine", role=Role.OWNER)
WHY = "Ticket 4711: sees no usage"


async def visit(panel, uuid: str) -> httpx2.Response:
    """The dashboard, as the operator's browser shows it at the end."""
    return await panel.post(f"/admin/resources/{uuid}/open-dashboard", reason=WHY)


async def operator_of(rig: Rig, panel):
    async with rig.context.database.transaction() as session:
        return await accounts.find(session, panel.email)


async def events(rig: Rig, kind: str) -> list[Event]:
    async with rig.context.database.transaction() as session:
        return list(await session.scalars(select(Event).where(Event.kind == kind).order_by(Event.id)))


async def test_the_operator_sees_what_the_customer_sees_and_until_when(key_rig: Rig, panel_of):
    uuid = await install(key_rig)
    panel = await panel_of(Role.SUPPORT)
    page = await visit(panel, uuid)
    assert (page.status_code, page.url.path) == (200, f"/dashboard/{uuid}")
    ends_at = key_rig.clock() + support.LENGTH
    assert f"Acme Postgres support ({panel.email}) is looking at this dashboard" in words(page)
    assert f"{ends_at:%H:%M} UTC" in words(page)
    assert "Connect" in words(page)
    assert "Signed in by Heroku" not in words(page)


async def test_the_reason_is_kept_for_operators_and_the_customer_reads_support(key_rig: Rig, panel_of):
    uuid = await install(key_rig)
    panel = await panel_of(Role.SUPPORT)
    await visit(panel, uuid)
    (event,) = await events(key_rig, "support_came")
    assert (event.actor, event.reason) == (panel.email, WHY)
    assert event.operator_id == (await operator_of(key_rig, panel)).id
    async with new_browser(key_rig) as http:
        page = await arrive(key_rig, http, uuid)
    assert "Dashboard opened by support Acme Postgres support" in words(page)
    assert panel.email not in page.text
    assert "4711" not in page.text


@pytest.mark.parametrize("form", ["config", "rotate", "retire"])
async def test_support_gets_no_values_and_changes_nothing_there(key_rig: Rig, panel_of, form: str):
    uuid = await install(key_rig)
    panel = await panel_of(Role.OWNER)
    page = await visit(panel, uuid)
    assert not re.search(rf'action="/dashboard/{uuid}/(config|rotate|retire)', page.text)
    before = await key_rig.events(uuid)
    answer = await panel.http.post(f"/dashboard/{uuid}/{form}", data={"form_token": form_token(page)})
    assert answer.status_code == 422
    assert "Support looks at this dashboard and changes nothing" in words(answer)
    assert not [value for value in (await key_rig.config(uuid)).values() if value in answer.text]
    assert await key_rig.events(uuid) == before


async def test_it_ends_with_its_time(key_rig: Rig, panel_of):
    uuid = await install(key_rig)
    panel = await panel_of(Role.SUPPORT)
    await visit(panel, uuid)
    key_rig.clock.now += support.LENGTH
    key_rig.clock.forward(seconds=-1)
    assert (await panel.http.get(f"/dashboard/{uuid}")).status_code == 200
    key_rig.clock.forward(seconds=1)
    assert (await panel.http.get(f"/dashboard/{uuid}")).status_code == 403


async def test_it_ends_when_support_ends_it(key_rig: Rig, panel_of):
    uuid = await install(key_rig)
    panel = await panel_of(Role.SUPPORT)
    page = await visit(panel, uuid)
    stolen = httpx2.Cookies(panel.http.cookies)
    back = await panel.http.post(f"/dashboard/{uuid}/sign-out", data={"form_token": form_token(page)})
    assert back.url.path == f"/admin/resources/{uuid}"
    async with new_browser(key_rig) as http:
        http.cookies = stolen
        assert (await http.get(f"/dashboard/{uuid}")).status_code == 403
        page = await arrive(key_rig, http, uuid)
    assert "Dashboard closed by support Acme Postgres support" in words(page)
    assert panel.email not in page.text


async def test_it_ends_with_the_session_in_the_panel(key_rig: Rig, panel_of):
    uuid = await install(key_rig)
    panel = await panel_of(Role.SUPPORT)
    await visit(panel, uuid)
    await panel.post("/admin/account", to="/admin/sign-out")
    assert (await panel.http.get(f"/dashboard/{uuid}")).status_code == 403


async def test_it_ends_with_the_role_and_with_the_account(key_rig: Rig, panel_of):
    uuid = await install(key_rig)
    await panel_of(Role.OWNER)
    panel = await panel_of(Role.SUPPORT)
    await visit(panel, uuid)
    operator = await operator_of(key_rig, panel)
    await accounts.change_role(key_rig.context, MACHINE, operator.id, Role.VIEWER)
    assert (await panel.http.get(f"/dashboard/{uuid}")).status_code == 403
    await accounts.change_role(key_rig.context, MACHINE, operator.id, Role.SUPPORT)
    assert (await panel.http.get(f"/dashboard/{uuid}")).status_code == 200
    await accounts.disable(key_rig.context, MACHINE, operator.id)
    assert (await panel.http.get(f"/dashboard/{uuid}")).status_code == 403


async def test_an_idle_panel_ends_it_too(key_rig: Rig, panel_of):
    uuid = await install(key_rig)
    panel = await panel_of(Role.SUPPORT)
    key_rig.clock.now += sessions.IDLE
    key_rig.clock.forward(minutes=-10)
    await visit(panel, uuid)
    async with key_rig.context.database.transaction() as session:
        sign_in = await session.scalar(select(SignIn).where(SignIn.support_operator == panel.email))
        assert not await support.is_over(key_rig.context, session, sign_in)
    await sessions.revoke(key_rig.context, MACHINE, sign_in.support_session_id)
    async with key_rig.context.database.transaction() as session:
        assert await support.is_over(key_rig.context, session, sign_in)


async def test_it_opens_no_other_resource(key_rig: Rig, panel_of):
    uuid = await install(key_rig)
    other = await key_rig.simulator.calls.provision("shop", "test")
    panel = await panel_of(Role.SUPPORT)
    await visit(panel, uuid)
    assert (await panel.http.get(f"/dashboard/{other.id}")).status_code == 403


async def test_a_reason_is_needed_and_what_was_typed_is_kept(key_rig: Rig, panel_of):
    uuid = await install(key_rig)
    panel = await panel_of(Role.SUPPORT)
    page = await panel.post(f"/admin/resources/{uuid}/open-dashboard", reason="<x")
    assert page.status_code == 422
    assert "Say why" in words(page)
    assert ">&lt;x</textarea>" in page.text
    assert await events(key_rig, "support_came") == []


async def test_a_deprovisioned_resource_has_no_dashboard(key_rig: Rig, panel_of):
    uuid = await install(key_rig)
    panel = await panel_of(Role.SUPPORT)
    page = f"/admin/resources/{uuid}/open-dashboard"
    token = await panel.form_token(page)
    await key_rig.heroku.delete(f"/{uuid}")
    assert "no dashboard any more" in words(await panel.http.get(page))
    answer = await panel.http.post(page, data={"form_token": token, "reason": WHY})
    assert answer.status_code == 422
    assert "no dashboard any more" in words(answer)


async def test_a_viewer_may_not(key_rig: Rig, panel_of):
    uuid = await install(key_rig)
    panel = await panel_of(Role.VIEWER)
    token = await panel.form_token("/admin/account")
    for path in ("open-dashboard", "show-config"):
        address = f"/admin/resources/{uuid}/{path}"
        assert (await panel.http.get(address)).status_code == 403
        answer = await panel.http.post(address, data={"form_token": token, "reason": WHY})
        assert answer.status_code == 403
    assert not {"support_came", "config_shown"} & set(await key_rig.events(uuid))


class TestConfigValues:
    async def test_are_shown_once_and_it_is_remembered(self, key_rig: Rig, panel_of):
        uuid = await install(key_rig)
        panel = await panel_of(Role.SUPPORT)
        page = await panel.post(f"/admin/resources/{uuid}/show-config", reason=WHY)
        (value,) = (await key_rig.config(uuid)).values()
        assert value in words(page)
        assert page.headers["Cache-Control"] == "no-store"
        (event,) = await events(key_rig, "config_shown")
        assert (event.actor, event.reason) == (panel.email, WHY)
        assert value not in (await panel.http.get(f"/admin/resources/{uuid}/show-config")).text
        async with new_browser(key_rig) as http:
            assert "Config vars shown to support Acme Postgres support" in words(await arrive(key_rig, http, uuid))

    async def test_are_not_there_before_the_resource_is(self, key_rig: Rig, panel_of):
        addon = key_rig.simulator.world.create_app("shop")
        addon = await key_rig.simulator.calls.provision("shop", "standard")
        panel = await panel_of(Role.SUPPORT)
        page = await panel.http.get(f"/admin/resources/{addon.id}/show-config")
        assert "There are no config vars to show." in words(page)
        token = await panel.form_token("/admin/account")
        answer = await panel.http.post(
            f"/admin/resources/{addon.id}/show-config", data={"form_token": token, "reason": WHY}
        )
        assert answer.status_code == 422


async def test_whatever_operators_do_the_customer_reads_support(key_rig: Rig, panel_of):
    """Every action that a resource lets happen to it; neither the operator's address nor the reason is on the page."""
    uuid = await install(key_rig, "standard")
    panel = await panel_of(Role.OWNER)
    operator = await operator_of(key_rig, panel)
    actor = Actor(name=operator.email, role=operator.role, operator_id=operator.id)
    at_keyboard = Actor(name="root@machine.acme", role=Role.OWNER)
    done = []
    for id_ in ("push-config", "rotate", "retire-now", "refresh-token", "move-plan", "suspend", "resume"):
        for who in (actor, at_keyboard):
            resource, action = await key_rig.resource(uuid), ACTIONS[id_]
            if action.why_not(key_rig.context, resource) is None:
                plan = "premium" if resource.plan == "standard" else "standard"
                await perform(
                    key_rig.context, action, UUID(uuid), Order(actor=who, reason=WHY, parameters={"plan": plan})
                )
                done.append(id_)
            await key_rig.work()
    assert {"push-config", "rotate", "retire-now", "move-plan"} <= set(done)
    async with new_browser(key_rig) as http:
        page = await arrive(key_rig, http, uuid)
    assert page.status_code == 200
    assert "Acme Postgres support" in words(page)
    for secret in (operator.email, at_keyboard.name, "4711"):
        assert secret not in page.text

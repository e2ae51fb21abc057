"""What somebody with bad intentions tries at the panel and at the terminals of operators."""

import re
from uuid import UUID, uuid4

import pyotp
import pytest
from deeds import installed
from panel import MACHINE, PASSWORD, Panel
from rig import Rig
from sqlalchemy import func, select, update

from app.errors import Refused
from app.operations import reconciliation
from app.operations.actions import ACTIONS
from app.operators import accounts, second_factor, sessions, signing_in
from app.operators.attempts import Browser
from app.operators.models import Operator, OperatorSession
from app.operators.roles import Actor, Role
from app.operators.sessions import CHANGED, Method
from app.resources.models import Resource

BROWSER = Browser(address="203.0.113.7", name="a thief's")
NEW = "another horse battery staple"


async def operator_of(panel: Panel) -> Operator:
    async with panel.rig.context.database.transaction() as session:
        found = await accounts.find(session, panel.email)
    assert found is not None
    return found


async def with_second_factor(rig: Rig, operator: Operator) -> pyotp.TOTP:
    oneself = Actor(name=operator.email, role=operator.role, operator_id=operator.id)
    await second_factor.prepare(rig.context, oneself)
    totp = second_factor.waiting(rig.context, await accounts.get(rig.context, operator.id))
    await second_factor.confirm(rig.context, oneself, totp.at(rig.clock()))
    rig.clock.forward(minutes=1)
    return totp


class TestWhoHasTheOldPassword:
    async def test_cannot_finish_with_a_code_what_began_before_the_new_one(self, key_rig: Rig, panel_of):
        panel = await panel_of(Role.OPERATOR)
        operator = await operator_of(panel)
        totp = await with_second_factor(key_rig, operator)
        step = re.search(r'name="step" value="([^"]+)"', (await panel.sign_in()).text)[1]
        await accounts.set_password(key_rig.context, MACHINE, operator.id, NEW)
        code = totp.at(key_rig.clock())
        answer = await panel.http.post("/admin/sign-in/code", data={"step": step, "code": code})
        assert answer.status_code == 422
        assert CHANGED in answer.text
        panel.http.cookies.clear()
        step = re.search(r'name="step" value="([^"]+)"', (await panel.sign_in(NEW)).text)[1]
        answer = await panel.http.post("/admin/sign-in/code", data={"step": step, "code": code})
        assert answer.status_code == 200, "the refused step has spent no code"

    @pytest.mark.parametrize("deed", ["disable", "set_password"])
    async def test_gets_no_session_that_begins_right_after_all_have_ended(self, key_rig: Rig, panel_of, deed: str):
        context, panel = key_rig.context, await panel_of(Role.OPERATOR)
        proved = await signing_in.prove_password(context, panel.email, PASSWORD, BROWSER)
        if deed == "disable":
            await accounts.disable(context, MACHINE, proved.id)
        else:
            await accounts.set_password(context, MACHINE, proved.id, NEW)
        with pytest.raises(Refused, match=CHANGED):
            await sessions.begin(context, proved, BROWSER, Method.PASSWORD)
        async with context.database.transaction() as session:
            alive = select(func.count()).where(OperatorSession.revoked_at.is_(None))
            assert await session.scalar(alive) == 0


class TestNumbersThatNoDatabaseTakes:
    @pytest.mark.parametrize("number", [str(2**63), "-1", "9" * 5000])
    async def test_are_an_address_that_leads_nowhere(self, key_rig: Rig, panel_of, number: str):
        panel = await panel_of(Role.OPERATOR)
        run = await reconciliation.ask(key_rig.context, Actor(name="x", role=Role.SUPPORT))
        for address in (
            f"/admin/alerts?before=2026-11-21T00:00:00Z&before_id={number}",
            f"/admin/reconciliation/{run}?after={number}",
            f"/admin/reconciliation/{run}/repair?difference={number}",
        ):
            assert (await panel.http.get(address)).status_code == 404, address

    async def test_confirm_no_batch(self, key_rig: Rig, panel_of):
        await installed(key_rig)
        panel = await panel_of(Role.OPERATOR)
        form = {"q": "plan:test", "action": "rotate", "reason": "They leaked", "number": "1" * 5000}
        answer = await panel.post("/admin/batches/new?q=plan:test&action=rotate", "/admin/batches/new", **form)
        assert answer.status_code == 422
        assert "Type how many resources it is about" in answer.text


async def test_what_customers_and_heroku_wrote_gives_a_terminal_no_commands(key_rig: Rig, command):
    """Whoever signs in says their own address to the dashboard, and an error repeats what the other side said."""
    _, addon = await installed(key_rig)
    evil = "\x1b]0;owned\x07\x1b[2Jeve\u202e@evil.example\r\nroot: all is well"
    values = {"owner_email": evil, "last_error": evil, "last_error_at": key_rig.clock(), "name": f"n-{uuid4()}{evil}"}
    async with key_rig.context.database.transaction() as session:
        await session.execute(update(Resource).where(Resource.uuid == UUID(addon.id)).values(**values))
    for words in (
        ("find", "eve"),
        ("show", addon.id),
        ("suspend", addon.id, "--reason", "Abuse", "--yes", "no"),
        ("retry-now", addon.id, "--reason", "Once more", "--yes"),
    ):
        shown = (await command("resources", *words)).output
        assert shown.strip()
        assert not any(not letter.isprintable() and letter != "\n" for letter in shown), words
        assert "root: all is well" not in shown.splitlines()


async def test_where_somebody_is_signed_in_only_they_and_owners_are_told(key_rig: Rig, panel_of, command):
    support, viewer, _ = [await panel_of(role) for role in (Role.SUPPORT, Role.VIEWER, Role.OWNER)]
    for asking, is_told in ((viewer.email, False), (support.email, True), ("owner@acme.example", True)):
        result = await command("operators", "sessions", support.email, "--as", asking)
        assert ("127.0.0.1" in result.output) is is_told, result.output
        assert (result.exit_code == 0) is is_told


async def test_of_a_plan_that_was_deleted_from_the_code_every_action_says_so(key_rig: Rig, panel_of):
    _, addon = await installed(key_rig)
    async with key_rig.context.database.transaction() as session:
        await session.execute(update(Resource).where(Resource.uuid == UUID(addon.id)).values(plan="deleted"))
    panel = await panel_of(Role.OWNER)
    for action in ACTIONS:
        page = f"/admin/resources/{addon.id}/actions/{action}"
        shown = await panel.http.get(page)
        assert shown.status_code == 200, action
        assert "is not in the price list any more" in shown.text, action
        done = await panel.post("/admin/account", page, reason="To see", name=(await key_rig.resource(addon.id)).name)
        assert done.status_code == 422, action
    visit = await panel.post("/admin/account", f"/admin/resources/{addon.id}/open-dashboard", reason="To see")
    assert (visit.status_code, visit.url.path) == (200, f"/dashboard/{addon.id}")

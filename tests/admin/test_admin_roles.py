"""Every route of the panel with nobody and with every role; also those that will be added."""

import re
from uuid import UUID, uuid4

import pytest
from fastapi.routing import RouteContext, iter_route_contexts
from panel import MACHINE
from rig import Rig

from app.operations.action import Order, perform
from app.operations.actions import ACTIONS
from app.operators import accounts, sessions
from app.operators.attempts import Browser
from app.operators.models import Operator
from app.operators.roles import Actor, NotAllowed, Role
from app.operators.sessions import Method
from app.web.admin import PATH, router
from app.web.admin.access import GenuineForm

FOR_ANYBODY = {
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("POST", "/sign-in/code"),
    ("GET", "/sign-in/openid"),
    ("GET", "/sign-in/openid/callback"),
}
ROUTES = [
    (method, context)
    for context in iter_route_contexts(router.routes)
    for method in sorted(context.methods)
    if (method, context.path) not in FOR_ANYBODY
]


def needed_role(context: RouteContext) -> Role | None:
    roles = [getattr(needed.call, "role", None) for needed in context.dependant.dependencies]
    return max((role for role in roles if role is not None), default=None)


def address(context: RouteContext) -> str:
    """Of nothing that exists: who may come this far is told so."""
    return PATH + re.sub(
        r"\{(\w+)(:\w+)?\}", lambda found: "x" if found[1] in {"name", "form", "verb"} else str(uuid4()), context.path
    )


async def sign_in(rig: Rig, operator: Operator) -> dict[str, str]:
    """The cookie and the form's token of a new session; a route may well have ended the one before."""
    browser = Browser(address="127.0.0.1", name="test")
    token = await sessions.begin(rig.context, operator, browser, Method.PASSWORD)
    session = (await sessions.resume(rig.context, token)).session
    return {"cookie": f"operator={token}", "form": rig.app.state.operator_form_signer.sign(str(session.id))}


async def ask(rig: Rig, method: str, path: str, signed_in: dict[str, str]) -> int:
    answer = await rig.http.request(
        method,
        path,
        headers={"Cookie": signed_in["cookie"]},
        data={"form_token": signed_in["form"]} if method == "POST" else None,
    )
    return answer.status_code


async def with_role(rig: Rig, role: Role) -> Operator:
    return await accounts.add(
        rig.context, MACHINE, email=f"{role.word}@acme.example", name="", role=role, password="correct horse battery"
    )


def test_every_route_names_its_role_and_every_form_is_genuine():
    assert len(ROUTES) > 25
    for method, context in ROUTES:
        assert method in {"GET", "POST"}, f"{method} {context.path} is a way that has no form"
        assert needed_role(context) is not None, f"{method} {context.path} names no role"
        calls = {needed.call for needed in context.dependant.dependencies}
        assert (GenuineForm.dependency in calls) is (method == "POST"), f"{method} {context.path}"


async def test_without_a_session_every_route_leads_to_the_sign_in(key_rig: Rig):
    for method, context in ROUTES:
        answer = await key_rig.http.request(method, address(context))
        assert (answer.status_code, answer.headers.get("location", "")[:20]) == (303, "/admin/sign-in?next="), (
            context.path
        )


@pytest.mark.parametrize("role", Role)
async def test_a_role_opens_what_needs_it_or_less_and_nothing_else(key_rig: Rig, role: Role):
    operator = await with_role(key_rig, role)
    for method, context in ROUTES:
        status = await ask(key_rig, method, address(context), await sign_in(key_rig, operator))
        is_open = needed_role(context) <= role
        assert (status != 403) is is_open, f"{method} {context.path} answered {status} to {role.word}"
        assert status < 500, f"{method} {context.path} answered {status}"


@pytest.mark.parametrize("role", Role)
async def test_a_role_does_the_actions_that_need_it_or_less_and_no_others(key_rig: Rig, role: Role):
    app = key_rig.simulator.world.create_app("demo")
    addon = await key_rig.simulator.calls.provision(app.name, "test")
    await key_rig.work()
    operator = await with_role(key_rig, role)
    before = await key_rig.events(addon.id)
    for action in ACTIONS.values():
        path = f"/admin/resources/{addon.id}/actions/{action.id}"
        for method in ("GET", "POST"):
            # The form says no reason, so what is allowed is not done.
            status = await ask(key_rig, method, path, await sign_in(key_rig, operator))
            assert (status != 403) is (action.role <= role), f"{method} {path} answered {status} to {role.word}"
    assert await key_rig.events(addon.id) == before


@pytest.mark.parametrize("role", Role)
async def test_the_heart_of_an_action_asks_for_the_role_by_itself(key_rig: Rig, role: Role):
    """So the command line and batches obey, too."""
    app = key_rig.simulator.world.create_app("demo")
    addon = await key_rig.simulator.calls.provision(app.name, "test")
    for action in ACTIONS.values():
        if action.role > role:
            order = Order(actor=Actor(name="x", role=role), reason="because")
            with pytest.raises(NotAllowed):
                await perform(key_rig.context, action, UUID(addon.id), order)
    assert ACTIONS

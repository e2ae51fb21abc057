"""The description of our doors is true: whatever is sent, what comes back is described, and is no error of ours."""

import asyncio
from typing import Any

import httpx2
import pytest
import requests
import schemathesis
from every_route import Scene, routes, scene_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rig import PASSWORD, URL, Rig, new_settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.main import create_app

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
DESCRIBED = create_app(new_settings("postgresql+psycopg://nobody@127.0.0.1:1/nothing")).openapi()
# Half a minute each: chance chooses others each time, and what fails is printed such that it can be repeated.
BUDGET = settings(
    max_examples=60,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
# In seconds; what takes longer hangs.
LONGEST = 20


def operations(*beginnings: str) -> list[Any]:
    schema = schemathesis.openapi.from_dict(DESCRIBED)
    found = (result.ok() for result in schema.get_all_operations())
    return [one for one in found if one.path.startswith(beginnings)]


@pytest.fixture
async def scene(key_rig: Rig) -> Scene:
    return await scene_of(key_rig)


async def ask(scene: Scene, case: Any, headers: dict[str, str]) -> httpx2.Response:
    """Send what schemathesis made up, over ASGI."""
    made = requests.Request(**case.as_transport_kwargs(base_url=URL)).prepare()
    # Nobody signs what is made up: who may come in does, half of the time.
    kept = {name: value for name, value in made.headers.items() if name.lower() == "content-type"}
    scene.http.cookies.clear()
    async with asyncio.timeout(LONGEST):
        return await scene.http.request(made.method, made.url, content=made.body, headers=kept | headers)


async def hold(scene: Scene, data: Any, chosen: list[Any], headers: dict[str, str]) -> None:
    operation = data.draw(st.sampled_from(chosen))
    mode = data.draw(st.sampled_from(list(GenerationMode)))
    try:
        strategy = operation.as_strategy(mode)
        case = data.draw(strategy)
    except schemathesis.errors.SchemathesisError:
        return  # what cannot be said wrongly has no negative case
    # Half of the time it is about something that exists.
    if case.path_parameters and data.draw(st.booleans()):
        case.path_parameters = {name: scene.ids.get(name, "test") for name in case.path_parameters}
    answer = await ask(scene, case, headers if data.draw(st.integers(0, 5)) else {})
    assert answer.status_code != 500
    assert "Traceback" not in answer.text
    if answer.status_code != 503:
        case.validate_response(answer, checks=[not_a_server_error, *CHECKS])


@BUDGET
@given(st.data())
async def test_heroku_gets_from_every_door_what_is_described(scene: Scene, data: Any):
    basic = httpx2.BasicAuth("acme-postgres", PASSWORD)
    header = next(basic.auth_flow(httpx2.Request("GET", URL))).headers["Authorization"]
    await hold(scene, data, operations("/heroku", "/sso", "/health", "/metrics"), {"Authorization": header})


@BUDGET
@given(st.data())
async def test_customers_get_from_every_page_what_is_described(scene: Scene, data: Any):
    session = await scene.customer()
    await hold(scene, data, operations("/dashboard"), {"Cookie": session["cookie"]})


@BUDGET
@given(st.data())
async def test_operators_get_from_every_page_what_is_described(scene: Scene, data: Any):
    session = await scene.owner()
    await hold(scene, data, operations("/admin"), {"Cookie": session["cookie"]})


def test_every_door_is_described():
    described = {(method.upper(), path) for path, ways in DESCRIBED["paths"].items() for method in ways}
    for route in routes():
        path = route.path.replace(":uuid}", "}")
        assert (route.method, path) in described or path.endswith("/"), str(route)


async def test_the_description_is_served_nowhere(key_rig: Rig):
    for path in ("/openapi.json", "/docs", "/redoc", "/swagger.json", "/api-docs", "/admin/openapi.json"):
        assert (await key_rig.http.get(path)).status_code in {303, 404}

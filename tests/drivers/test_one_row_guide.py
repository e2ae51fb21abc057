"""The driver of docs/drivers.md whose service is one row: it does what the guide says of it, word for word."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from rig import Rig, new_settings, provision_body
from sqlalchemy import text

from app.drivers.base import Driver, OwnTable, Provisioned, ResourceInfo
from app.plans import Plan, by_name

GUIDE = Path(__file__).parents[2] / "docs" / "drivers.md"
_TABLE = """
    CREATE TABLE seats (uuid uuid PRIMARY KEY, plan text NOT NULL, digest bytea NOT NULL,
        number integer NOT NULL CHECK (number < 10000))"""


class Seats(Driver):
    """What the guide leaves to its reader; the fixture adds what it shows."""

    def __init__(self, database: SecretStr, number: int) -> None:
        self._database = database
        self._number = number

    async def provision(self, resource: ResourceInfo) -> Provisioned:
        raise AssertionError(f"{resource.uuid} is to be made with its row, and nobody is to be called")

    change_plan = rotate = provision

    async def retire(self, resource: ResourceInfo) -> None: ...

    async def deprovision(self, resource: ResourceInfo) -> None: ...


@pytest.fixture
async def seats_rig(database_url: str) -> AsyncIterator[Rig]:
    _, _, section = GUIDE.read_text().partition("### A service that is one row")
    code, _, _ = section.partition("```python\n")[2].partition("```")
    # The manifest of the tests lists another config var.
    code = code.replace("ACME_SEATS_KEY", "ACME_POSTGRES_URL")
    names: dict[str, Any] = {
        "hashlib": hashlib, "Mapping": Mapping, "Any": Any,
        "OwnTable": OwnTable, "Provisioned": Provisioned, "ResourceInfo": ResourceInfo,
    }  # fmt: skip
    exec(compile(code, GUIDE.name, "exec"), names)
    driver = type("SeatsOfTheGuide", (Seats,), {name: names[name] for name in ("own_table", "_seats")})
    settings = new_settings(database_url)
    plans = by_name(
        Plan(name="test", driver=driver(settings.database_url, 5), is_instant=True),
        Plan(name="premium", driver=driver(settings.database_url, 50), is_instant=True),
        Plan(name="standard", driver=driver(settings.database_url, 50_000), is_instant=True),
    )
    async with Rig(settings, plans).running() as rig:
        async with rig.context.database.transaction() as session:
            await session.execute(text(_TABLE))
        yield rig


async def seats(rig: Rig) -> Sequence[tuple[UUID, str, bytes, int]]:
    async with rig.context.database.transaction() as session:
        return [tuple(row) for row in await session.execute(text("SELECT uuid, plan, digest, number FROM seats"))]


async def test_all_who_wait_get_a_row_with_the_terms_of_their_plan(seats_rig: Rig):
    bodies = [provision_body(plan=plan) for plan in ("test", "premium") * 10]
    answers = await asyncio.gather(*(seats_rig.heroku.post("", json=body) for body in bodies))
    assert {answer.status_code for answer in answers} == {200}
    keys = [answer.json()["config"]["ACME_POSTGRES_URL"] for answer in answers]
    assert sorted(await seats(seats_rig)) == sorted(
        (UUID(body["uuid"]), body["plan"], hashlib.sha256(key.encode()).digest(), 5 if body["plan"] == "test" else 50)
        for body, key in zip(bodies, keys, strict=True)
    )


async def test_both_plans_have_the_same_insert_and_so_wait_together(seats_rig: Rig):
    tables = seats_rig.context.own_tables
    assert tables["test"][1] is tables["premium"][1]


async def test_a_row_that_the_table_refuses_fails_alone_and_leaves_nothing(seats_rig: Rig):
    good, bad = provision_body(), provision_body(plan="standard")
    answers = await asyncio.gather(*(seats_rig.heroku.post("", json=body) for body in (good, bad)))
    assert [answer.status_code for answer in answers] == [200, 500]
    assert [str(uuid) for uuid, *_ in await seats(seats_rig)] == [good["uuid"]]
    async with seats_rig.context.database.transaction() as session:
        stored = await session.scalars(text("SELECT uuid::text FROM resources"))
        assert list(stored) == [good["uuid"]]

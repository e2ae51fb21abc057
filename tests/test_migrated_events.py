"""What the first release had recorded is counted by the overview of the next."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command as alembic
from alembic.config import Config

from app.dev.postgres import DevPostgres

CONFIG = Config(toml_file=Path(__file__).parent.parent / "pyproject.toml")
RESOURCE = """
    INSERT INTO resources (uuid, name, plan, region, options, state, created_at, provisioned_at, deprovisioned_at,
                           config_version, pushed_version, generation, failures, seed_sealed)
    VALUES (%(uuid)s, 'shaped-1', %(plan)s, 'us', '{}', %(state)s, '2026-01-01', %(ready)s, %(gone)s, 1, 1, 1, 0, '')
"""
EVENT = """
    INSERT INTO resource_events (resource_uuid, at, kind, actor, text, is_for_customer)
    VALUES (%s, %s, %s, 'Heroku', %s, true)
"""


@pytest.fixture
def first_release(postgres_server: DevPostgres, monkeypatch) -> Iterator[psycopg.Connection]:
    name = f"first_{uuid4().hex}"
    url = postgres_server.url_for(name)
    with psycopg.connect(postgres_server.url.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        monkeypatch.setenv("DATABASE_URL", url)
        alembic.upgrade(CONFIG, "0001")
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            yield connection
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_events_of_the_first_release_get_the_plans_that_they_tell_of(first_release: psycopg.Connection):
    lived, failed = uuid4(), uuid4()
    for uuid, ready, plan in ((lived, "2026-01-02", "premium"), (failed, None, "test")):
        facts = {"uuid": uuid, "plan": plan, "state": "deprovisioned", "ready": ready, "gone": "2026-01-09"}
        first_release.execute(RESOURCE, facts)
    for uuid, at, kind, text in (
        (lived, "2026-01-01", "plan_changed", "Plan changed from basic to test"),
        (lived, "2026-01-02", "provisioned", "Ready on the test plan"),
        (lived, "2026-01-03", "plan_changed", "Plan changed from test to premium"),
        (lived, "2026-01-09", "deprovisioned", "Removed by the customer"),
        (failed, "2026-01-09", "deprovisioned", "Could not be provisioned: no room"),
    ):
        first_release.execute(EVENT, (uuid, at, kind, text))
    alembic.upgrade(CONFIG, "head")
    moves = first_release.execute("SELECT plan_before, plan_after FROM events ORDER BY id").fetchall()
    assert moves == [(None, None), (None, "test"), ("test", "premium"), ("premium", None), (None, None)]

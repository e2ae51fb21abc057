"""The database's shape: made from nothing, what the models say, and undone without a trace."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command as alembic
from alembic.config import Config
from alembic.util import CommandError
from rig import Rig, new_settings
from sqlalchemy.engine import make_url

from app.dev.postgres import DevPostgres
from app.web.health import newest_migration

PROJECT = Path(__file__).parent.parent
CONFIG = Config(toml_file=PROJECT / "pyproject.toml")
# Everything that a migration could leave: relations, functions and types outside the system's own schemas. A relation's
# own row type and array types come and go with it; what an extension brought goes with that.
THINGS = """
    SELECT 'relation ' || relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
    UNION ALL SELECT 'type ' || typname FROM pg_type WHERE typnamespace = 'public'::regnamespace
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid IN (pg_type.oid, typelem) AND deptype = 'e')
    UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$|^public$'
    UNION ALL SELECT 'extension ' || extname FROM pg_extension WHERE extname <> 'plpgsql'
"""
# Stays behind: others in the database may use it by then.
KEPT = {"extension pg_trgm"}


def libpq(url: str) -> str:
    return url.replace("+psycopg", "")


def things(url: str) -> set[str]:
    with psycopg.connect(libpq(url)) as connection:
        return {name for (name,) in connection.execute(THINGS) if "alembic_version" not in name}


@pytest.fixture
def empty(postgres_server: DevPostgres, monkeypatch) -> Iterator[str]:
    """The address of an empty database whose owner is an ordinary role, which is also who connects."""
    name, password = f"empty_{uuid4().hex}", uuid4().hex
    with psycopg.connect(libpq(postgres_server.url), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '{password}'")
        connection.execute(f"CREATE DATABASE {name} OWNER {name}")
        url = make_url(postgres_server.url_for(name)).set(username=name, password=password)
        address = url.render_as_string(hide_password=False)
        monkeypatch.setenv("DATABASE_URL", address)
        yield address
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        connection.execute(f"DROP ROLE {name}")


def test_they_make_everything_from_nothing_and_undo_it_without_a_trace(empty: str):
    before = things(empty)
    alembic.upgrade(CONFIG, "head")
    first = things(empty)
    assert {"relation resources", "relation procrastinate_jobs", "function procrastinate_fetch_job_v2"} <= first
    alembic.downgrade(CONFIG, "base")
    assert things(empty) - KEPT == before
    alembic.upgrade(CONFIG, "head")
    assert things(empty) == first


def test_nobody_is_notified_of_a_job(empty: str):
    alembic.upgrade(CONFIG, "head")
    with psycopg.connect(libpq(empty), autocommit=True) as listener, psycopg.connect(libpq(empty)) as connection:
        listener.execute("LISTEN procrastinate_any_queue_v1")
        connection.execute("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('resources', 'settle')")
        connection.commit()
        connection.execute("NOTIFY procrastinate_any_queue_v1, 'this alone'")
        connection.commit()
        assert [heard.payload for heard in listener.notifies(timeout=10, stop_after=1)] == ["this alone"]


def test_to_run_them_again_changes_nothing(empty: str):
    alembic.upgrade(CONFIG, "head")
    first = things(empty)
    alembic.upgrade(CONFIG, "head")
    assert things(empty) == first


def test_they_say_what_the_models_say(empty: str):
    alembic.upgrade(CONFIG, "head")
    try:
        alembic.check(CONFIG)
    except CommandError as error:
        pytest.fail(f"the models have changed without a migration: {error}")


def test_the_health_check_knows_the_newest(empty: str):
    alembic.upgrade(CONFIG, "head")
    with psycopg.connect(libpq(empty)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(newest_migration(),)]


async def test_the_add_on_runs_on_what_they_made_as_an_ordinary_role(empty: str, key_rig: Rig):
    alembic_run = subprocess.run([sys.executable, "-m", "app", "migrate"], cwd=PROJECT, check=False)
    assert alembic_run.returncode == 0
    # The same plans as everywhere, so what is sold still lives on the other database.
    async with Rig(new_settings(empty), key_rig.context.plans).running() as rig:
        app = rig.simulator.world.create_app("demo")
        addon = await rig.simulator.calls.provision(app.name, "standard")
        await rig.work()
        assert (await rig.resource(addon.id)).state == "provisioned"
        assert (await rig.http.get("/health/ready")).status_code == 200


@pytest.fixture
def migrate(empty: str) -> Callable[[], subprocess.Popen[str]]:
    """Starts `python -m app migrate` on the empty database."""
    return lambda: subprocess.Popen(
        [sys.executable, "-m", "app", "migrate"], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_two_at_once_both_end_well(empty: str, migrate):
    both = [migrate(), migrate()]
    for one in both:
        said, complained = one.communicate(timeout=120)
        assert '"the database is up to date"' in said
        assert (complained, one.returncode) == ("", 0)
    assert "relation resources" in things(empty)


def test_one_waits_for_another_and_finds_its_work_done(empty: str, migrate):
    alembic.upgrade(CONFIG, "head")
    with psycopg.connect(libpq(empty), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(7305101)")
        waiting = migrate()
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"
        while not other.execute(query).fetchone()[0]:
            assert waiting.poll() is None
        assert other.execute("SELECT pg_advisory_unlock(7305101)").fetchone() == (True,)
        said, complained = waiting.communicate(timeout=60)
        assert '"the database is up to date"' in said
        assert (complained, waiting.returncode) == ("", 0)

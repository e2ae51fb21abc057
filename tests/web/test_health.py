"""Health checks, and what everybody gets while the database is away."""

from uuid import uuid4

import psycopg
import pytest
from rig import Rig, provision_body
from sqlalchemy import text


class TestHealth:
    async def test_alive_is_whoever_answers(self, key_rig: Rig):
        answer = await key_rig.http.get("/health/live")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})

    async def test_ready_means_that_all_is_well(self, key_rig: Rig):
        answer = await key_rig.http.get("/health/ready")
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.json() == {"status": "ok", "checks": {"database": "ok", "migrations": "ok", "queue": "ok"}}

    async def test_nobody_has_to_prove_who_they_are(self, key_rig: Rig):
        headers = {"Authorization": "Basic wrong", "Cookie": "wrong"}
        assert (await key_rig.http.get("/health/ready", headers=headers)).status_code == 200


async def not_ready(rig: Rig) -> dict[str, str]:
    """The checks of an add-on that is not ready, without those that are fine."""
    answer = await rig.http.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["status"] == "not ready"
    return {name: result for name, result in answer.json()["checks"].items() if result != "ok"}


async def execute(rig: Rig, *statements: str) -> None:
    async with rig.context.database.transaction() as session:
        for statement in statements:
            await session.execute(text(statement))


class TestMigrations:
    async def test_an_older_database_is_named(self, key_rig: Rig):
        await execute(key_rig, "UPDATE alembic_version SET version_num = 'older'")
        checks = await not_ready(key_rig)
        expected = key_rig.app.state.newest_migration
        assert checks == {"migrations": f"the database is at older, the code expects {expected}"}

    async def test_a_database_that_was_never_migrated_is_named(self, key_rig: Rig):
        await execute(key_rig, "DROP TABLE alembic_version", "DROP TABLE procrastinate_jobs CASCADE")
        checks = await not_ready(key_rig)
        assert "the database is at None" in checks["migrations"]
        assert checks["queue"] == "there is no queue yet"


class TestQueue:
    """A job is late after five minutes; the queue's own clock is the database's."""

    async def add_job(
        self, rig: Rig, minutes_old: float, *, job: str = "measure_usage", uuid: str | None = None
    ) -> str:
        uuid = uuid or provision_body()["uuid"]
        async with rig.context.database.transaction() as session:
            await rig.context.queue.enqueue(session, job, uuid)
        await execute(
            rig,
            f"UPDATE procrastinate_events SET at = now() - interval '{minutes_old} minutes' WHERE job_id ="
            " (SELECT max(id) FROM procrastinate_jobs)",
        )
        return uuid

    async def test_a_job_that_nobody_does_is_noticed(self, key_rig: Rig):
        await self.add_job(key_rig, 6)
        assert "a job has been waiting for 36" in (await not_ready(key_rig))["queue"]

    async def test_a_young_job_is_fine(self, key_rig: Rig):
        await self.add_job(key_rig, 4.9)
        assert (await key_rig.http.get("/health/ready")).status_code == 200

    async def test_a_job_for_later_is_fine_until_then(self, key_rig: Rig):
        await self.add_job(key_rig, 60)
        await execute(key_rig, "UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 hour'")
        assert (await key_rig.http.get("/health/ready")).status_code == 200
        await execute(key_rig, "UPDATE procrastinate_jobs SET scheduled_at = now() - interval '4 minutes'")
        assert (await key_rig.http.get("/health/ready")).status_code == 200
        await execute(key_rig, "UPDATE procrastinate_jobs SET scheduled_at = now() - interval '6 minutes'")
        assert "a job has been waiting for 36" in (await not_ready(key_rig))["queue"]

    async def test_a_job_behind_another_of_its_resource_does_not_count(self, key_rig: Rig):
        uuid = await self.add_job(key_rig, 60)
        await execute(key_rig, "UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 hour'")
        await self.add_job(key_rig, 30, uuid=uuid)
        assert (await key_rig.http.get("/health/ready")).status_code == 200
        await execute(key_rig, "UPDATE procrastinate_jobs SET status = 'doing' WHERE scheduled_at IS NOT NULL")
        assert (await key_rig.http.get("/health/ready")).status_code == 200
        await execute(key_rig, "UPDATE procrastinate_jobs SET status = 'succeeded' WHERE scheduled_at IS NOT NULL")
        assert "a job has been waiting for 18" in (await not_ready(key_rig))["queue"]


class TestDatabaseAway:
    @pytest.fixture
    def away(self, key_rig: Rig, database_url):
        """The database of this test refuses every connection, and its open ones are cut."""
        *_, name = database_url.rpartition("/")
        server = database_url.replace("+psycopg", "").removesuffix(name) + "postgres"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            yield
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    async def test_heroku_gets_503_and_a_time_to_come_back(self, key_rig: Rig, away):
        for answer in (
            await key_rig.heroku.post("", json=provision_body()),
            await key_rig.heroku.put(f"/{uuid4()}", json={"plan": "test"}),
            await key_rig.heroku.delete(f"/{uuid4()}"),
        ):
            assert (answer.status_code, answer.json()["id"]) == (503, "try_again")
            assert int(answer.headers["Retry-After"]) > 0

    async def test_people_get_a_page_that_says_to_try_again(self, key_rig: Rig, away):
        world = key_rig.simulator.world
        addon = world.install(world.create_app("demo"), "test", name="demo-1", options={})
        form = key_rig.simulator.calls.sso_form(addon)
        answer = await key_rig.http.post("/sso/login", data=form)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "Please try again in a moment." in answer.text

    async def test_the_process_is_alive_but_not_ready(self, key_rig: Rig, away):
        assert (await key_rig.http.get("/health/live")).status_code == 200
        answer = await key_rig.http.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json()["checks"] == {"database": "cannot be reached"}

    async def test_it_is_found_again_by_itself(self, key_rig: Rig, database_url):
        *_, name = database_url.rpartition("/")
        server = database_url.replace("+psycopg", "").removesuffix(name) + "postgres"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        assert (await key_rig.heroku.post("", json=provision_body())).status_code == 200

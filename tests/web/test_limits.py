"""How often strangers may fail, and customers may ask; through the doors, with the database that counts."""

import asyncio
from contextlib import AsyncExitStack
from uuid import uuid4

import httpx2
import psycopg
import pytest
from limits import RateLimitItemPerMinute
from rig import PASSWORD, Rig, key_plans, new_settings, provision_body
from sqlalchemy import text
from visitor import visitor_of
from visits import install_at_heroku

from app.errors import Retry
from app.web import limits
from app.web.limit_storage import PostgresStorage, prune

SLUG = "acme-postgres"
WRONG = httpx2.BasicAuth(SLUG, "guess")


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Three failures a minute, so that the tests are short."""
    monkeypatch.setattr(limits, "FAILURES", RateLimitItemPerMinute(3, namespace="failures"))


@pytest.fixture
async def rig(make_rig):
    """The add-on behind one proxy, so that a test says from where it calls."""
    async with make_rig(proxies_in_front="1").running() as rig:
        yield rig


async def guess(rig: Rig, address: str = "203.0.113.1", auth=WRONG) -> httpx2.Response:
    headers = {"X-Forwarded-For": address}
    return await rig.http.post("/heroku/resources", json=provision_body(), auth=auth, headers=headers)


async def fail_until_refused(rig: Rig, address: str = "203.0.113.1") -> None:
    for _ in range(3):
        assert (await guess(rig, address)).status_code == 401
    assert (await guess(rig, address)).status_code == 429


async def counts(rig: Rig) -> list[tuple[str, int]]:
    async with rig.context.database.transaction() as session:
        return [tuple(row) for row in await session.execute(text("SELECT key, number FROM rate_limits ORDER BY key"))]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What our program tells the database from now on; `clear` it before what counts."""
    statements: list[str] = []
    execute = psycopg.AsyncCursor.execute

    async def note(cursor, statement, *arguments, **more):
        statements.append(str(statement))
        return await execute(cursor, statement, *arguments, **more)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", note)
    return statements


class TestPartnerApi:
    async def test_says_when_to_come_back(self, rig: Rig):
        for _ in range(3):
            assert (await guess(rig)).status_code == 401
        rig.clock.forward(seconds=20)
        answer = await guess(rig)
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "40"
        assert "WWW-Authenticate" not in answer.headers
        assert answer.json() == {
            "id": "rate_limit",
            "message": "That was too often. Please wait 1 minute and try again.",
        }

    async def test_of_heroku_itself_is_never_limited_even_at_the_same_address(self, rig: Rig):
        await fail_until_refused(rig)
        right = httpx2.BasicAuth(SLUG, PASSWORD)
        for _ in range(5):
            assert (await guess(rig, auth=right)).status_code == 200
        assert (await guess(rig)).status_code == 429

    async def test_counts_each_address_for_itself(self, rig: Rig):
        await fail_until_refused(rig)
        assert (await guess(rig, "203.0.113.2")).status_code == 401

    async def test_counts_an_ipv6_network_as_one(self, rig: Rig):
        for host in range(3):
            assert (await guess(rig, f"2001:db8::{host}")).status_code == 401
        assert (await guess(rig, "2001:db8::ffff")).status_code == 429
        assert (await guess(rig, "2001:db8:0:1::1")).status_code == 401

    async def test_does_not_believe_what_a_caller_writes_before_the_proxy(self, rig: Rig):
        for number in range(3):
            assert (await guess(rig, f"198.51.100.{number}, 203.0.113.1")).status_code == 401
        assert (await guess(rig, "198.51.100.9, 203.0.113.1")).status_code == 429

    async def test_begins_anew_when_the_time_is_over(self, rig: Rig):
        await fail_until_refused(rig)
        rig.clock.forward(seconds=61)
        await fail_until_refused(rig)

    async def test_answers_a_flood_without_asking_the_database(self, rig: Rig, said: list[str]):
        await fail_until_refused(rig)
        said.clear()
        answers = await asyncio.gather(*(guess(rig) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {429}
        assert said == []

    async def test_says_nothing_more_to_the_database_for_a_good_call(self, rig: Rig, said: list[str]):
        said.clear()
        assert (await guess(rig, auth=httpx2.BasicAuth(SLUG, PASSWORD))).status_code == 200
        assert said
        assert not [statement for statement in said if "rate_limits" in statement]

    async def test_counts_a_failure_in_one_statement(self, rig: Rig, said: list[str]):
        said.clear()
        await guess(rig)
        assert len(said) == 1

    async def test_counts_many_at_once_rightly(self, rig: Rig):
        answers = await asyncio.gather(*(guess(rig) for _ in range(12)))
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [401] * 3 + [429] * 9


class TestTwoProcesses:
    async def test_count_together(self, rig: Rig, database_url: str):
        other = Rig(new_settings(database_url, proxies_in_front="1"), key_plans(database_url))
        async with other.running():
            other.clock.now = rig.clock.now
            assert [(await guess(each)).status_code for each in (rig, other, rig, other)] == [401, 401, 401, 429]
            assert (await guess(rig)).status_code == 429

    async def test_begun_by_two_at_the_same_moment_the_window_is_one(self, rig: Rig, database_url: str):
        other = Rig(new_settings(database_url, proxies_in_front="1"), key_plans(database_url))
        async with other.running():
            answers = await asyncio.gather(*(guess(each) for each in (rig, other) * 4))
            assert sorted(answer.status_code for answer in answers) == [401] * 3 + [429] * 5


class TestDatabaseAway:
    """Nobody is let in by that, and nobody shut out."""

    @pytest.fixture
    def server(self, rig: Rig, database_url: str):
        *_, name = database_url.rpartition("/")
        url = database_url.replace("+psycopg", "").removesuffix(name) + "postgres"
        with psycopg.connect(url, autocommit=True) as connection:
            yield connection, name
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    async def test_a_process_counts_for_itself_until_it_is_back(self, rig: Rig, server):
        connection, name = server
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        await fail_until_refused(rig)
        assert (await guess(rig, "203.0.113.2")).status_code == 401
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        rig.clock.forward(seconds=6)
        assert (await guess(rig, "203.0.113.3")).status_code == 401
        assert await counts(rig) == [("failures/partner API/203.0.113.3/3/1/minute", 1)]

    async def test_it_is_left_alone_for_some_seconds_since_each_try_takes_long(self, rig: Rig, monkeypatch):
        tried = []

        async def refuse(*_, **__):
            tried.append(1)
            raise Retry("the database is not available just now")

        with monkeypatch.context() as patch:
            patch.setattr(PostgresStorage, "incr", refuse)
            await fail_until_refused(rig)
        assert len(tried) == 1


class TestSso:
    async def test_failures_are_counted_for_their_address_on_a_page_for_people(self, rig: Rig):
        for _ in range(3):
            assert (await rig.http.post("/sso/login", data={"resource_id": "1"})).status_code == 403
        answer = await rig.http.post("/sso/login", data={"resource_id": "1"})
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "60"
        assert "That was too often. Please wait 1 minute and try again." in answer.text

    async def test_a_good_form_comes_in_after_any_number_of_bad_ones(self, rig: Rig):
        visitor = await visitor_of(rig)
        for _ in range(5):
            await visitor.status(token="wrong", resource_token="wrong", user_scoped_resource_token="wrong")
        assert await visitor.status() == 303

    async def test_failures_there_are_none_at_the_partner_api(self, rig: Rig):
        for _ in range(5):
            await rig.http.post("/sso/login", data={}, headers={"X-Forwarded-For": "203.0.113.1"})
        assert (await guess(rig)).status_code == 401

    async def test_sign_ins_are_limited_for_each_resource(self, rig: Rig, monkeypatch):
        monkeypatch.setattr(limits, "SIGN_INS", RateLimitItemPerMinute(2, namespace="sign-ins"))
        one, other = await visitor_of(rig), await visitor_of(rig)
        for seconds in range(2):
            assert await one.status(age=seconds) == 303
        assert await one.status(age=2) == 429
        assert await other.status() == 303
        assert len(await one.sign_ins()) == 3


class TestWebhooks:
    async def test_forged_ones_are_counted_for_their_address(self, rig: Rig):
        async def forge(address: str) -> int:
            headers = {"X-Forwarded-For": address, "Heroku-Webhook-Hmac-SHA256": "x" * 44}
            return (await rig.http.post(f"/heroku/webhooks/{uuid4()}", json={}, headers=headers)).status_code

        assert [await forge("203.0.113.1") for _ in range(4)] == [403, 403, 403, 429]
        assert await forge("203.0.113.2") == 403


class TestMetrics:
    async def test_wrong_tokens_are_counted_and_the_right_one_is_let_in(self, make_rig):
        async with make_rig(proxies_in_front="1", metrics_token="t" * 32).running() as rig:

            async def ask(token: str) -> int:
                headers = {"X-Forwarded-For": "203.0.113.1", "Authorization": f"Bearer {token}"}
                return (await rig.http.get("/metrics", headers=headers)).status_code

            assert [await ask("guess") for _ in range(4)] == [401, 401, 401, 429]
            assert await ask("t" * 32) == 200


class TestDashboard:
    async def test_rotations_are_limited_for_each_resource(self, key_rig: Rig, browser):
        uuid = await install_at_heroku(key_rig)
        await browser.arrive(uuid)
        token = await browser.token(uuid)
        statuses = [(await browser.send(uuid, "rotate", token)).status_code for _ in range(21)]
        assert statuses[0] == 303
        assert set(statuses[1:20]) == {422}  # one is under way
        assert statuses[20] == 429
        assert (await browser.send(uuid, "retire", token)).status_code == 429
        assert (await browser.see(uuid)).status_code == 200

    async def test_forms_of_nobody_count_for_nobody(self, key_rig: Rig, browser):
        uuid = await install_at_heroku(key_rig)
        await browser.arrive(uuid)
        for _ in range(25):
            assert (await browser.send(uuid, "rotate", "no-token")).status_code == 403
        assert await counts(key_rig) == [(f"sign-ins/{uuid}/60/1/minute", 1)]

    async def test_looks_at_the_config_are_limited(self, key_rig: Rig, browser):
        uuid = await install_at_heroku(key_rig)
        await browser.arrive(uuid)
        token = await browser.token(uuid)
        statuses = [(await browser.send(uuid, "config", token)).status_code for _ in range(101)]
        assert statuses == [200] * 100 + [429]


class TestStorage:
    async def test_forgets_what_is_over(self, rig: Rig):
        await guess(rig)
        rig.clock.forward(seconds=30)
        await guess(rig, "203.0.113.2")
        rig.clock.forward(seconds=31)
        await prune(rig.context)
        assert [key for key, _ in await counts(rig)] == ["failures/partner API/203.0.113.2/3/1/minute"]

    async def test_does_all_that_the_library_asks_of_one(self, rig: Rig):
        storage = PostgresStorage(rig.context.database, rig.clock)
        assert await storage.check()
        assert await storage.incr("a", 60) == 1
        assert await storage.incr("a", 60, 4) == 5
        assert await storage.incr("b", 60) == 1
        assert await storage.get("a") == 5
        assert await storage.get_expiry("a") == rig.clock().timestamp() + 60
        assert await storage.get("nobody") == 0
        assert await storage.get_expiry("nobody") == rig.clock().timestamp()
        await storage.clear("b")
        assert await storage.get("b") == 0
        rig.clock.forward(seconds=60)
        assert await storage.get("a") == 0
        assert await storage.incr("a", 60) == 1
        assert await storage.reset() == 1


async def test_a_process_does_not_remember_more_than_it_has_room_for(rig: Rig, monkeypatch):
    monkeypatch.setattr(limits, "_MOST_KNOWN", 2)
    for number in range(3):
        await fail_until_refused(rig, f"203.0.113.{number}")
    assert len(rig.app.state.limits._known) == 2
    assert (await guess(rig, "203.0.113.0")).status_code == 429  # it was forgotten here, and is known in the database


async def test_a_crowd_that_waits_to_be_counted_does_not_keep_anybody_waiting(rig: Rig, monkeypatch):
    gate = asyncio.Event()
    before = PostgresStorage.incr

    async def slow(self, *arguments, **options):
        await gate.wait()
        return await before(self, *arguments, **options)

    monkeypatch.setattr(PostgresStorage, "incr", slow)
    async with AsyncExitStack() as stack:
        waiting = [asyncio.create_task(guess(rig, f"198.51.100.{number}")) for number in range(20)]
        stack.push_async_callback(asyncio.gather, *waiting)
        stack.callback(gate.set)
        while rig.app.state.limits._waiting < 20:
            await asyncio.sleep(0)
        assert (await guess(rig)).status_code == 401
        assert (await guess(rig, auth=httpx2.BasicAuth(SLUG, PASSWORD))).status_code == 200

"""What Heroku and we said to each other is remembered, without a secret, without waiting, and not for ever."""

from datetime import timedelta
from uuid import UUID, uuid4

import httpx2
import pytest
from onlookers import arrive, install, new_browser
from rig import CLIENT_SECRET, Rig, provision_body
from sqlalchemy import func, select, text

from app.connections import Connections
from app.exchanges import Exchange as Said
from app.exchanges import ExchangeBuffer, readable
from app.heroku import Heroku
from app.operations import exchanges
from app.resources import rotation
from app.resources.traces import Exchange

UUID_ = UUID("01234567-89ab-cdef-0123-456789abcdef")


def said(number: int = 0) -> Said:
    return Said(uuid=UUID_, direction="in", method="PUT", path=f"/{number}", status=200, milliseconds=1.0)


async def written(rig: Rig, uuid: UUID | str) -> list[Exchange]:
    """All that is remembered about a resource, oldest first."""
    await exchanges.write(rig.context)
    async with rig.context.database.transaction() as session:
        query = select(Exchange).where(Exchange.resource_uuid == UUID(str(uuid)))
        return list(await session.scalars(query.order_by(Exchange.id)))


def told(exchange: Exchange) -> tuple:
    return exchange.direction, exchange.method, exchange.path, exchange.status, exchange.request, exchange.answer


async def test_heroku_asks_and_is_answered(key_rig: Rig):
    body = provision_body(options={"region": "eu-secret-place", "depth": {"pin": "pin-secret-1234"}})
    uuid = body["uuid"]
    await key_rig.heroku.post("", json=body, headers={"Request-Id": "of-heroku"})
    await key_rig.heroku.put(f"/{uuid}", json={"plan": "no-such-plan"})
    await key_rig.heroku.delete(f"/{uuid}")
    await key_rig.heroku.delete(f"/{uuid}")

    made, changed, removed, again = await written(key_rig, uuid)
    facts = {"name": body["name"], "plan": "test", "region": body["region"], "options": ["region", "depth"]}
    answer = {"id": uuid, "config": ["ACME_POSTGRES_URL"]}
    assert told(made) == ("in", "POST", "/heroku/resources/", 200, facts, answer)
    assert made.request_id == "of-heroku"
    assert made.milliseconds > 0
    assert changed.status == 422
    assert changed.request == {"plan": "no-such-plan"}
    assert changed.answer["message"].startswith("There is no plan named 'no-such-plan'")
    assert told(removed) == ("in", "DELETE", f"/heroku/resources/{uuid}", 204, None, None)
    assert again.status == 410
    assert again.answer["id"] == "gone"


async def test_we_ask_and_heroku_answers(key_rig: Rig):
    uuid = await install(key_rig, "standard")
    posted, *ours = await written(key_rig, uuid)
    assert posted.status == 202
    assert [(one.method, one.path, one.status) for one in ours] == [
        ("POST", "/oauth/token", 200),
        ("PATCH", f"/addons/{uuid}/config", 200),
        ("POST", f"/addons/{uuid}/actions/provision", 200),
    ]
    assert ours[0].request == {"grant_type": "authorization_code"}
    assert ours[0].answer == {"expires_in": 28800}
    assert ours[1].request == {"config": ["ACME_POSTGRES_URL"]}
    assert all(one.direction == "out" and one.request_id for one in ours)


async def test_what_heroku_refuses_is_there_with_its_words(key_rig: Rig):
    uuid = await install(key_rig)
    key_rig.simulator.faults.add("error", direction="platform", path="/config", status=422)
    await rotation.rotate(key_rig.context, UUID(uuid), "ada@example.com")
    await key_rig.work()
    last = (await written(key_rig, uuid))[-1]
    assert (last.method, last.status) == ("PATCH", 422)
    assert last.answer["message"]


async def test_no_answer_is_an_exchange_too():
    notes: list[Said] = []

    def broken(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no route to secret-host", request=request)

    heroku = Heroku(
        api_url="https://api.test",
        id_url="https://id.test",
        client_secret=CLIENT_SECRET,
        transport=httpx2.MockTransport(broken),
        note=notes.append,
    )
    with pytest.raises(Exception, match="ConnectError"):
        await heroku.mark_provisioned(UUID_, "HRKU-the-token")
    (one,) = notes
    assert (one.status, one.answer) == (None, {"error": "ConnectError"})


async def test_sign_ins_tell_which_token_decided_and_nothing_else(key_rig: Rig):
    uuid = await install(key_rig)
    async with new_browser(key_rig) as http:
        await arrive(key_rig, http, uuid)
        await arrive(key_rig, http, uuid, user_scoped_resource_token="")
        await arrive(key_rig, http, uuid, minutes_old=6)
        spent = [one for one in await written(key_rig, uuid) if one.path == "/sso/login"]
    assert [(one.method, one.status, one.request, one.answer) for one in spent] == [
        ("POST", 303, {"token": "user"}, None),
        ("POST", 303, {"token": "resource"}, None),
        ("POST", 403, {"token": "user"}, None),
    ]


async def test_a_stranger_leaves_nothing(key_rig: Rig):
    uuid = await install(key_rig)
    before = len(await written(key_rig, uuid))
    await key_rig.http.put(f"/heroku/resources/{uuid}", json={"plan": "premium"})
    await key_rig.heroku.put(f"/{uuid}", json={"plan": "premium"}, auth=("acme-postgres", "a guess"))
    async with new_browser(key_rig) as http:
        await arrive(key_rig, http, uuid, user_scoped_resource_token="0" * 64)
    assert len(await written(key_rig, uuid)) == before


class TestNoSecret:
    """A canary in every field that travels; Heroku repeats them all in its errors."""

    async def test_of_what_heroku_sends_us(self, key_rig: Rig):
        canaries = [
            f"canary-{name}-1234567" for name in ("grant", "input", "drain", "option", "deep", "extra", "query")
        ]
        grant, log_input, drain, option, deep, extra, query = canaries
        body = provision_body(
            oauth_grant={"code": grant, "type": extra},
            log_input_url=f"https://token:{log_input}@log.example.com",
            log_drain_token=drain,
            options={"one": option, "two": [{"three": deep}]},
            callback_url=f"https://example.com/{extra}",
        )
        await key_rig.heroku.post(f"?token={query}", json=body)
        await key_rig.heroku.put(f"/{body['uuid']}?token={query}", json={"plan": "premium", "secret": extra})
        config = (await key_rig.config(body["uuid"])).values()
        await self._assert_absent(key_rig, [*canaries, *config], at_least=2)

    async def test_of_what_we_send_heroku_even_if_it_repeats_it(self, key_rig: Rig):
        secrets = ["canary-access-token", "canary-value-of-config", "canary-grant-code", "canary-refresh-token"]
        access, value, code, refresh = secrets
        new = ["canary-new-access", "canary-new-refresh"]
        all_of_them = " ".join([*secrets, *new, CLIENT_SECRET])
        answers = [
            httpx2.Response(422, json={"id": all_of_them, "message": all_of_them, "error": all_of_them}),
            httpx2.Response(
                400, json={"id": all_of_them, "message": f"{all_of_them} \0 \ud800".encode("utf-8", "replace").decode()}
            ),
            httpx2.Response(
                200, json={"access_token": new[0], "refresh_token": new[1], "message": " ".join(new), "expires_in": 60}
            ),
        ]
        heroku = Heroku(
            api_url="https://api.test",
            id_url="https://id.test",
            client_secret=CLIENT_SECRET,
            transport=httpx2.MockTransport(lambda _: answers.pop(0)),
            note=key_rig.context.exchanges.note,
        )
        with pytest.raises(Exception, match="422"):
            await heroku.update_config(UUID_, f"{access}", {"ACME_POSTGRES_URL": value})
        with pytest.raises(Exception, match="400"):
            await heroku.exchange_grant(code, uuid=UUID_)
        await heroku.refresh_token(refresh, uuid=UUID_)
        # Each call hides what it knows; of others' secrets only the shape could tell.
        first, second, third = await written(key_rig, UUID_)
        for one, its_own in ((first, [access, value]), (second, [code, CLIENT_SECRET]), (third, [refresh, *new])):
            assert not [secret for secret in its_own if secret in str((one.request, one.answer, one.request_id))]

    async def test_in_a_whole_life(self, key_rig: Rig):
        uuid = await install(key_rig, "standard")
        world, keys = key_rig.simulator.world, key_rig.context.keys
        await rotation.rotate(key_rig.context, UUID(uuid), "ada@example.com")
        key_rig.clock.forward(hours=9)
        await key_rig.work()
        resource = await key_rig.resource(uuid)
        secrets = [*world.grants, *world.access_tokens, *world.refresh_tokens, *resource.config(keys).values()]
        assert len(secrets) >= 4
        await self._assert_absent(key_rig, secrets, at_least=6)

    async def _assert_absent(self, rig: Rig, secrets: list[str], *, at_least: int) -> None:
        await exchanges.write(rig.context)
        async with rig.context.database.transaction() as session:
            rows = list(await session.scalars(text("SELECT exchanges::text FROM exchanges")))
        assert len(rows) >= at_least
        assert not [secret for secret in secrets if any(secret in row for row in rows)]


class TestTheBuffer:
    def test_drops_the_oldest_and_counts_them(self, key_rig: Rig):
        buffer = ExchangeBuffer(key_rig.clock, most=3)
        for number in range(5):
            buffer.note(said(number))
        taken, dropped = buffer.take()
        assert ([one.path for _, one in taken], dropped) == (["/2", "/3", "/4"], 2)
        assert buffer.take() == ([], 0)

    def test_keeps_what_was_given_back_before_what_is_newer(self, key_rig: Rig):
        buffer = ExchangeBuffer(key_rig.clock, most=3)
        buffer.note(said(1))
        buffer.note(said(2))
        taken, _ = buffer.take()
        buffer.note(said(3))
        buffer.note(said(4))
        buffer.give_back(taken)
        taken, dropped = buffer.take()
        assert ([one.path for _, one in taken], dropped) == (["/2", "/3", "/4"], 1)

    def test_keeps_nothing_that_the_database_would_not_take(self):
        kept = readable({"message": "a\0b\ud800c\x1b[31m", "long": "x" * 9000, "many": list(range(900)), "odd": {}})
        assert kept["message"] == "a b c [31m"
        assert len(kept["long"]) == 500
        assert len(kept["many"]) == 50
        assert "odd" not in kept


async def test_what_is_noted_last_is_written_when_the_program_stops(make_rig):
    rig = make_rig()
    async with rig.running():
        uuid = provision_body()["uuid"]
        await rig.heroku.post("", json=provision_body(uuid=uuid))
    later = make_rig()
    async with later.running():
        assert [one.method for one in await written(later, uuid)] == ["POST"]


async def test_while_the_database_is_away_exchanges_wait(key_rig: Rig, monkeypatch):
    key_rig.context.exchanges.note(said())
    await key_rig.context.database.close()
    monkeypatch.setattr(key_rig.context.database, "_statements", unreachable())
    with pytest.raises(Exception, match="not available"):
        await exchanges.write(key_rig.context)
    monkeypatch.undo()
    assert [one.path for one in await written(key_rig, UUID_)] == ["/0"]


def unreachable() -> Connections:
    """What connections are like to a database that nobody answers for."""
    url = "postgresql://nobody@127.0.0.1:1/none"
    return Connections(url, most=1, options="", is_autocommit=True, trouble="the database is not available")


async def test_after_two_weeks_they_are_forgotten(key_rig: Rig):
    for _ in range(3):
        key_rig.context.exchanges.note(said())
    await exchanges.write(key_rig.context)
    key_rig.clock.forward(days=13)
    key_rig.context.exchanges.note(said(13))
    await exchanges.write(key_rig.context)
    await exchanges.prune(key_rig.context)
    assert len(await written(key_rig, UUID_)) == 4
    key_rig.clock.now += exchanges.KEPT_FOR - timedelta(days=12)
    await exchanges.prune(key_rig.context)
    assert [one.path for one in await written(key_rig, UUID_)] == ["/13"]


async def test_many_are_written_at_once(key_rig: Rig):
    for number in range(1234):
        key_rig.context.exchanges.note(said(number))
    await exchanges.write(key_rig.context)
    async with key_rig.context.database.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Exchange)) == 1234


async def test_a_request_about_no_resource_of_ours_is_remembered_by_its_uuid(key_rig: Rig):
    uuid = uuid4()
    await key_rig.heroku.put(f"/{uuid}", json={"plan": "premium"})
    (one,) = await written(key_rig, uuid)
    assert (one.status, one.request) == (410, {"plan": "premium"})

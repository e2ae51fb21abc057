"""Heroku's log drain: whose lines are taken, by whom and how often, and what Heroku is told when that cannot be."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
import structlog
from rig import Rig, new_settings, provision_body
from workshop import Workshop

from app.drivers.base import LogLine, ResourceInfo
from app.errors import Refused, Retry
from app.plans import Plan, by_name
from app.resources import jobs, log_drain
from app.resources.models import Resource
from app.simulator.logs import drains
from app.simulator.logs.frames import http_frame
from app.simulator.logs.lines import Line
from app.simulator.records import AddOn
from app.web.log_drain import LARGEST_BATCH

PATH = "/heroku/logs"
AT = datetime(2026, 5, 1, 11, 59, tzinfo=UTC)


class LogWorkshop(Workshop):
    """Keeps what apps have logged, as the plan's driver of an add-on that lives on logs would."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[tuple[str, str, list[LogLine]]] = []
        self.was_suspended = False

    async def take_log_lines(self, resource: ResourceInfo, lines: list[LogLine], *, batch: str) -> None:
        gate = await self._begin("take_log_lines")
        self.was_suspended = resource.is_suspended
        self.taken.append((str(resource.uuid), batch, list(lines)))
        await self._end(gate)

    def texts(self, addon: AddOn) -> list[str]:
        return [line.text for uuid, _, lines in self.taken if uuid == addon.id for line in lines]


@pytest.fixture
def workshop() -> LogWorkshop:
    return LogWorkshop()


@pytest.fixture
async def rig(database_url: str, workshop: LogWorkshop) -> AsyncIterator[Rig]:
    price_list = by_name(
        Plan(name="test", driver=workshop, is_instant=True),
        Plan(name="standard", driver=workshop),
        Plan(name="premium", driver=Workshop(), is_instant=True),
    )
    settings = new_settings(database_url, public_url="https://addon.test")
    async with Rig(settings, price_list, requires=["syslog_drain"]).running() as rig:
        yield rig


@pytest.fixture
async def addon(rig: Rig) -> AddOn:
    return await install(rig, "shop", "test")


async def install(rig: Rig, app: str, plan: str) -> AddOn:
    addon = await rig.simulator.calls.provision(rig.simulator.world.create_app(app).name, plan)
    await rig.work()
    return addon


def frames(*texts: str) -> bytes:
    return b"".join(http_frame(Line(1, "1", AT, "app", "web.1", text, 190)) for text in texts)


async def send(rig: Rig, addon: AddOn, content: Any, **headers: str) -> httpx2.Response:
    """As Logplex sends it; keywords are headers, with underscores."""
    usual = {
        "Content-Type": "application/logplex-1",
        "Logplex-Drain-Token": addon.log_drain_token or "",
        "Logplex-Frame-Id": uuid4().hex.upper(),
    }
    others = {name.replace("_", "-"): value for name, value in headers.items()}
    return await rig.http.post(PATH, content=content, headers=usual | others)


class TestFromHeroku:
    async def test_what_an_app_logs_reaches_the_driver_of_its_resource_alone(self, rig, addon, workshop):
        other = await install(rig, "other", "standard")
        rig.simulator.logs.write(rig.simulator.world.app("shop"), "app", "web.1", "Grüße\nan alle")
        await rig.simulator.catch_up()
        assert workshop.texts(addon)[-2:] == ["Grüße", "an alle"]
        assert "Grüße" not in workshop.texts(other)
        (drain,) = drains.drains_of(rig.simulator.world, addon)
        assert rig.simulator.log_deliveries.state(drain).trouble is None

    async def test_every_answer_to_a_provision_tells_the_one_address_of_all_drains(self, rig):
        for plan, status in (("test", 200), ("standard", 202)):
            body = provision_body(plan=plan, log_drain_token=f"d.{uuid4()}")
            for _ in range(2):
                answer = await rig.heroku.post("", json=body)
                assert answer.status_code == status
                assert answer.json()["log_drain_url"] == f"https://addon.test{PATH}"

    async def test_an_add_on_that_wants_no_logs_names_no_address(self, key_rig):
        answer = await key_rig.heroku.post("", json=provision_body())
        assert "log_drain_url" not in answer.json()
        assert (await key_rig.http.post(PATH, content=b"")).status_code == 403

    async def test_the_line_about_lost_lines_is_one_like_any_other(self, rig, addon, workshop):
        lost = b"<172>1 2026-05-01T11:59:00Z host heroku logplex - Error L10 (output buffer overflow): 3 messages"
        answer = await send(rig, addon, b"%d %s" % (len(lost), lost), Logplex_Msg_Count="1")
        assert (answer.status_code, answer.content) == (204, b"")
        (line,) = workshop.taken[-1][2]
        assert (line.source, line.process, line.priority) == ("heroku", "logplex", 172)
        assert line.text.startswith("Error L10")

    async def test_lines_are_the_same_wherever_the_network_has_split_them(self, rig, addon, workshop):
        content = frames("Grüße", "東京")
        for place in range(1, len(content), 5):

            async def pieces(at: int = place) -> AsyncIterator[bytes]:
                yield content[:at]
                yield content[at:]

            assert (await send(rig, addon, pieces())).status_code == 204
            assert [line.text for line in workshop.taken[-1][2]] == ["Grüße", "東京"]

    async def test_our_own_log_does_not_answer_every_batch_with_a_line(self, rig, addon):
        with structlog.testing.capture_logs() as log:
            await send(rig, addon, frames("hello"))
            await send(rig, addon, b"x")
        assert [(line["status"], line["log_level"]) for line in log if line["event"] == "request"] == [
            (204, "debug"),
            (400, "info"),
        ]

    async def test_a_driver_without_a_wish_for_logs_costs_heroku_nothing(self, rig):
        addon = await install(rig, "quiet", "premium")
        assert (await send(rig, addon, frames("hello"))).status_code == 204

    async def test_a_suspended_resource_is_told_to_be_so(self, rig, addon, workshop):
        for is_suspended in (True, False):
            async with rig.context.database.transaction() as session:
                (await session.get_one(Resource, UUID(addon.id))).suspended_at = rig.clock() if is_suspended else None
            assert (await send(rig, addon, frames("hello"))).status_code == 204
            assert workshop.was_suspended is is_suspended


class TestWhoIsLetIn:
    async def test_without_the_token_nothing_is_taken_nor_even_read(self, rig, addon, workshop):
        other = await install(rig, "other", "test")
        before, token = len(workshop.taken), addon.log_drain_token

        async def unread() -> AsyncIterator[bytes]:
            raise AssertionError("the body was read")
            yield b""

        for wrong in (f"d.{uuid4()}", token[: len(token) // 2], token.upper(), "", "\xff\xfe", "d." * 2000):
            answer = await send(rig, addon, unread(), Logplex_Drain_Token=wrong.encode("latin-1"))
            assert (answer.status_code, answer.json()["id"]) == (403, "forbidden")
        assert other.log_drain_token != token
        assert len(workshop.taken) == before

    async def test_a_deprovisioned_resource_has_no_drain_any_more(self, rig, addon, workshop):
        token = addon.log_drain_token
        assert (await send(rig, addon, frames("hello"))).status_code == 204
        await rig.simulator.calls.deprovision(addon)
        await rig.work()
        assert (await send(rig, addon, frames("hello"), Logplex_Drain_Token=token)).status_code == 403
        assert (await rig.resource(addon.id)).log_drain_digest is None

    async def test_who_guesses_is_told_to_stop_and_heroku_is_not(self, rig, addon):
        for _ in range(100):
            answer = await send(rig, addon, b"", Logplex_Drain_Token=f"d.{uuid4()}")
            assert answer.status_code == 403
        assert (await send(rig, addon, b"", Logplex_Drain_Token=f"d.{uuid4()}")).status_code == 429
        assert (await send(rig, addon, frames("hello"))).status_code == 204

    async def test_the_token_is_nowhere_in_the_clear(self, rig, addon):
        resource = await rig.resource(addon.id)
        stored = b"".join(value for value in vars(resource).values() if isinstance(value, bytes))
        assert addon.log_drain_token
        assert addon.log_drain_token.encode() not in stored
        assert resource.open(rig.context.keys, "log_drain_token") == addon.log_drain_token


class TestWhatCannotBeTaken:
    @pytest.mark.parametrize("content", [b"x", b"99 short", b"5 helloX", b"-5 hello"])
    async def test_what_is_no_log_is_refused_for_ever_and_leaves_nothing(self, rig, addon, workshop, content):
        before = len(workshop.taken)
        answer = await send(rig, addon, content)
        assert (answer.status_code, answer.json()["id"]) == (400, "bad_request")
        assert len(workshop.taken) == before

    @pytest.mark.parametrize("count", ["1", "3", "two", "", "-2"])
    async def test_another_number_of_lines_than_heroku_says_is_refused(self, rig, addon, workshop, count):
        before = len(workshop.taken)
        answer = await send(rig, addon, frames("one", "two"), Logplex_Msg_Count=count)
        assert answer.status_code == 400
        assert len(workshop.taken) == before
        assert (await send(rig, addon, frames("one", "two"), Logplex_Msg_Count="2")).status_code == 204

    async def test_a_batch_may_be_larger_than_other_bodies_but_not_beyond_all_bounds(self, rig, addon, workshop):
        large = frames(*("x" * 9_000 for _ in range(50)))
        assert 64 * 1024 < len(large) < LARGEST_BATCH
        assert (await send(rig, addon, large)).status_code == 204
        assert len(workshop.taken[-1][2]) == 50
        answer = await send(rig, addon, b"x" * (LARGEST_BATCH + 1))
        assert (answer.status_code, answer.json()["id"]) == (413, "too_large")

    async def test_an_empty_batch_is_fine_and_no_news(self, rig, addon, workshop):
        before = len(workshop.taken)
        assert (await send(rig, addon, b"", Logplex_Msg_Count="0")).status_code == 204
        assert len(workshop.taken) == before


class TestOnceOrAgain:
    async def test_a_batch_that_was_taken_is_not_taken_again(self, rig, addon, workshop):
        for _ in range(3):
            assert (await send(rig, addon, frames("once"), Logplex_Frame_Id="F1")).status_code == 204
        assert workshop.texts(addon).count("once") == 1

    async def test_the_same_id_at_another_resource_is_another_batch(self, rig, addon, workshop):
        other = await install(rig, "other", "test")
        for one in (addon, other):
            await send(rig, one, frames("hello"), Logplex_Frame_Id="F1")
        assert (workshop.texts(addon).count("hello"), workshop.texts(other).count("hello")) == (1, 1)

    async def test_a_repetition_that_comes_meanwhile_waits_for_the_first_and_is_one_with_it(self, rig, addon, workshop):
        gate = workshop.hold("take_log_lines")
        first = asyncio.create_task(send(rig, addon, frames("once"), Logplex_Frame_Id="F1"))
        await gate.arrived.wait()
        second = asyncio.create_task(send(rig, addon, frames("once"), Logplex_Frame_Id="F1"))
        await asyncio.sleep(0)
        gate.open()
        assert [answer.status_code for answer in await asyncio.gather(first, second)] == [204, 204]
        assert workshop.texts(addon).count("once") == 1

    async def test_what_was_begun_is_finished_though_heroku_has_hung_up(self, rig, addon, workshop):
        gate = workshop.hold("take_log_lines")
        first = asyncio.create_task(send(rig, addon, frames("once"), Logplex_Frame_Id="F1"))
        await gate.arrived.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        gate.open()
        assert (await send(rig, addon, frames("once"), Logplex_Frame_Id="F1")).status_code == 204
        assert workshop.texts(addon).count("once") == 1

    @pytest.mark.parametrize(
        ("trouble", "status"),
        [(Retry("full"), 503), (Refused("Not these."), 422), (RuntimeError("hunter2"), 500), (TimeoutError(), 503)],
    )
    async def test_what_the_driver_did_not_take_is_answered_as_heroku_understands_it(
        self, rig, addon, workshop, trouble, status
    ):
        workshop.trouble["take_log_lines"].append(trouble)
        answer = await send(rig, addon, frames("hello"), Logplex_Frame_Id="F1")
        assert answer.status_code == status
        assert "hunter2" not in answer.text
        assert (await send(rig, addon, frames("hello"), Logplex_Frame_Id="F1")).status_code == 204
        assert workshop.texts(addon).count("hello") == 1

    async def test_what_failed_once_arrives_all_the_same_when_heroku_sends_it_again(self, rig, addon, workshop):
        workshop.trouble["take_log_lines"] += [Retry("full"), Retry("full")]
        rig.simulator.logs.write(rig.simulator.world.app("shop"), "app", "web.1", "important")
        for _ in range(3):
            await rig.simulator.catch_up()
            rig.clock.forward(seconds=2)
        assert workshop.texts(addon).count("important") == 1

    @pytest.mark.parametrize("kind", ["duplicate", "lost_answer", "drop", "error", "rate_limit"])
    async def test_whatever_happens_on_the_way_each_line_arrives_once(self, rig, addon, workshop, kind):
        rig.simulator.faults.add(kind, direction="logs", path=PATH, seconds=1)
        for text in ("one", "two"):
            rig.simulator.logs.write(rig.simulator.world.app("shop"), "app", "web.1", text)
            for _ in range(3):
                await rig.simulator.catch_up()
                rig.clock.forward(seconds=2)
        assert [text for text in workshop.texts(addon) if text in {"one", "two"}] == ["one", "two"]
        assert rig.simulator.faults.pending == []

    async def test_lines_from_before_the_service_is_made_are_to_come_again(self, rig, workshop):
        body = provision_body(plan="standard", log_drain_token=f"d.{uuid4()}")
        await rig.heroku.post("", json=body)
        headers = {"Logplex-Drain-Token": body["log_drain_token"]}
        assert (await rig.http.post(PATH, content=frames("early"), headers=headers)).status_code == 503
        assert workshop.taken == []
        await jobs.provision_service(rig.context, UUID(body["uuid"]))
        assert (await rig.resource(body["uuid"])).state == "provisioning"
        assert (await rig.http.post(PATH, content=frames("early"), headers=headers)).status_code == 204


class TestHalfDone:
    """The manifest and the drivers have to agree."""

    @pytest.mark.parametrize(
        ("driver", "requires", "warning"),
        [
            (LogWorkshop, [], "does not require syslog_drain"),
            (Workshop, ["syslog_drain"], "no plan's driver takes"),
            (LogWorkshop, ["syslog_drain"], None),
            (Workshop, [], None),
        ],
    )
    async def test_a_web_process_says_at_its_start_what_is_missing(self, database_url, driver, requires, warning):
        plans = by_name(Plan(name="test", driver=driver()))
        with structlog.testing.capture_logs() as log:
            async with Rig(new_settings(database_url), plans, requires=requires).running():
                pass
        said = [line["event"] for line in log if "syslog_drain" in line["event"]]
        assert [bool(warning) and warning in one for one in said] == [True] * bool(warning)


class TestOverload:
    async def test_a_driver_that_hangs_is_left_in_time_for_heroku(self, rig, addon, workshop, monkeypatch):
        monkeypatch.setattr(log_drain, "_LONGEST", timedelta(milliseconds=50))
        workshop.hold("take_log_lines")
        answer = await send(rig, addon, frames("hello"), Logplex_Frame_Id="F1")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert (await send(rig, addon, frames("hello"), Logplex_Frame_Id="F1")).status_code == 204

    async def test_one_resource_never_has_more_than_two_batches_at_once(self, rig, addon, workshop):
        gates = [workshop.hold("take_log_lines") for _ in range(2)]
        under_way = [asyncio.create_task(send(rig, addon, frames("hello"))) for _ in gates]
        for gate in gates:
            await gate.arrived.wait()
        assert (await send(rig, addon, frames("too much"))).status_code == 503
        other = await install(rig, "other", "test")
        assert (await send(rig, other, frames("and we?"))).status_code == 204
        for gate in gates:
            gate.open()
        assert [answer.status_code for answer in await asyncio.gather(*under_way)] == [204, 204]
        assert (await send(rig, addon, frames("at last"))).status_code == 204
        assert "too much" not in workshop.texts(addon)

    async def test_a_full_process_says_again_and_provisions_as_ever(self, rig, workshop):
        addons = [await install(rig, f"app-{number}", "test") for number in range(5)]
        gates = [workshop.hold("take_log_lines") for _ in range(8)]
        under_way = [asyncio.create_task(send(rig, one, frames("hello"))) for one in addons[:4] for _ in range(2)]
        for gate in gates:
            await gate.arrived.wait()
        intake = rig.app.state.log_intake
        intake._handovers._most = 8
        assert (await send(rig, addons[4], frames("one more"))).status_code == 503
        assert (await rig.heroku.post("", json=provision_body())).status_code == 200
        for gate in gates:
            gate.open()
        assert {answer.status_code for answer in await asyncio.gather(*under_way)} == {204}
        assert (await send(rig, addons[4], frames("one more"))).status_code == 204

    async def test_a_crowd_of_strangers_leaves_the_way_free_for_known_drains(self, rig, addon, workshop):
        assert (await send(rig, addon, frames("known from now on"))).status_code == 204
        intake = rig.app.state.log_intake
        async with intake._strangers.place():
            waiting = [asyncio.create_task(intake.find(f"d.{uuid4()}")) for _ in range(100)]
            await asyncio.sleep(0)
            with pytest.raises(Retry):
                await intake.find(f"d.{uuid4()}")
            assert (await send(rig, addon, frames("hello"))).status_code == 204
        assert set(await asyncio.gather(*waiting)) == {None}

    async def test_nothing_is_left_of_what_has_ended(self, rig, addon):
        await asyncio.gather(*(send(rig, addon, frames("hello"), Logplex_Frame_Id=str(n)) for n in range(20)))
        intake = rig.app.state.log_intake
        assert (intake._under_way, dict(intake._of_one)) == ({}, {})
        assert {lane._inside for lane in (intake._strangers, intake._lookups, intake._handovers)} == {0}

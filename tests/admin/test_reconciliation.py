"""Heroku's list of installs and our rows, held against each other, and what mends a difference."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig import PREVIOUS_PASSWORD, Rig
from sqlalchemy import func, insert, select, update

from app.errors import Refused
from app.operations import reconciliation, repairs
from app.operations.installs import read_page
from app.operations.models import Difference, ListedInstall, Reconciliation
from app.operators.roles import Actor, NotAllowed, Role
from app.resources.models import Resource, State
from app.resources.traces import Event

OPERATOR = Actor(name="olga@acme.example", role=Role.OPERATOR)
SUPPORT = Actor(name="sue@acme.example", role=Role.SUPPORT)
APPS = "/api/v3/apps"


@dataclass
class Bureau:
    """Compares, as the worker would."""

    rig: Rig
    paused: list[float]

    async def compare(self) -> tuple[Reconciliation, Sequence[Difference]]:
        id_ = await reconciliation.ask(self.rig.context, SUPPORT)
        await reconciliation.run(self.rig.context, id_, pause=self._pause)
        run = await reconciliation.get(self.rig.context, id_)
        return run, await reconciliation.differences(self.rig.context, id_)

    async def repair(self, *differences: Difference, actor: Actor = OPERATOR) -> list[repairs.Outcome]:
        ids = [difference.id for difference in differences]
        return [outcome async for outcome in repairs.apply(self.rig.context, actor, ids, "Seen in the comparison")]

    async def install(self, number: int = 1, plan: str = "test") -> list:
        """Add-ons that are fine, and old enough to be judged."""
        world = self.rig.simulator.world
        app = world.apps.get("shop") or world.create_app(f"shop-{uuid4().hex[:8]}")
        addons = [await self.rig.simulator.calls.provision(app.name, plan) for _ in range(number)]
        await self.rig.work()
        self.rig.clock.forward(hours=2)
        return addons

    async def change(self, uuid: str, **values: object) -> None:
        async with self.rig.context.database.transaction() as session:
            await session.execute(update(Resource).where(Resource.uuid == UUID(uuid)).values(**values))

    async def _pause(self, seconds: float) -> None:
        self.paused.append(seconds)


@pytest.fixture
def bureau(key_rig: Rig) -> Bureau:
    return Bureau(key_rig, [])


def told(run: Reconciliation, differences: Sequence[Difference]) -> list[tuple[str, str | None]]:
    assert run.error is None
    assert sum(run.counts.values()) == len(differences)
    return [(one.kind, one.repair) for one in differences]


async def test_when_both_sides_agree_there_is_nothing_to_say(bureau: Bureau):
    await bureau.install(3)
    run, differences = await bureau.compare()
    assert told(run, differences) == []
    assert (run.ours, run.herokus, run.caution, run.actor) == (3, 3, None, SUPPORT.name)
    async with bureau.rig.context.database.transaction() as session:
        assert not await session.scalar(select(func.count()).select_from(ListedInstall))


async def test_a_resource_that_heroku_has_no_more_is_an_orphan_and_ends_here_when_an_operator_says_so(bureau: Bureau):
    addons = await bureau.install(7)
    bureau.rig.simulator.world.remove(addons[0], "in silence.")
    run, (orphan,) = await bureau.compare()
    assert told(run, [orphan]) == [("orphan", "deprovision")]
    assert "Heroku does not list it" in orphan.text

    (outcome,) = await bureau.repair(orphan)
    assert outcome.is_over
    resource = await bureau.rig.resource(addons[0].id)
    assert resource.state is State.DEPROVISIONED
    async with bureau.rig.context.database.transaction() as session:
        event = await session.scalar(select(Event).where(Event.kind == "deprovisioned"))
        assert (event.actor, event.reason) == (OPERATOR.name, "Seen in the comparison")
    again = await bureau.repair(orphan)
    assert again[0].text == "It is over already."
    assert told(*await bureau.compare()) == []


async def test_an_orphan_that_heroku_has_after_all_is_left_alone(bureau: Bureau):
    addons = await bureau.install(7)
    addons[0].state = "deprovisioned"
    _, (orphan,) = await bureau.compare()
    addons[0].state = "provisioned"
    (outcome,) = await bureau.repair(orphan)
    assert (outcome.is_over, outcome.text) == (True, "Heroku has it after all. Nothing was done.")
    assert (await bureau.rig.resource(addons[0].id)).state is State.PROVISIONED


@pytest.mark.parametrize("is_gone", [True, False])
async def test_without_a_token_the_list_is_asked_again_before_anything_ends(bureau: Bureau, is_gone):
    addons = await bureau.install(7)
    addons[0].state = "deprovisioned"
    await bureau.change(addons[0].id, refresh_token_sealed=None, access_token_sealed=None)
    _, (orphan,) = await bureau.compare()
    addons[0].state = "deprovisioned" if is_gone else "provisioned"
    await bureau.repair(orphan)
    assert (await bureau.rig.resource(addons[0].id)).is_gone is is_gone


async def test_and_a_list_that_has_shrunk_ends_nothing(bureau: Bureau):
    addons = await bureau.install(7)
    bureau.rig.simulator.world.remove(addons[0], "in silence.")
    await bureau.change(addons[0].id, refresh_token_sealed=None, access_token_sealed=None)
    _, (orphan,) = await bureau.compare()
    for addon in addons[1:]:
        bureau.rig.simulator.world.addons.pop(addon.id)
    (outcome,) = await bureau.repair(orphan)
    assert (outcome.is_over, "much shorter" in outcome.text) == (False, True)
    assert not (await bureau.rig.resource(addons[0].id)).is_gone


async def test_when_heroku_cannot_be_asked_nothing_is_done_and_it_may_be_tried_again(bureau: Bureau):
    addons = await bureau.install(7)
    bureau.rig.simulator.world.remove(addons[0], "in silence.")
    _, (orphan,) = await bureau.compare()
    bureau.rig.simulator.faults.add("error", direction="platform", path=f"/addons/{addons[0].id}", status=503)
    (outcome,) = await bureau.repair(orphan)
    assert (outcome.is_over, "try again" in outcome.text) == (False, True)
    (outcome,) = await bureau.repair(orphan)
    assert outcome.is_over


async def test_what_is_younger_than_an_hour_is_not_judged(bureau: Bureau):
    (young,) = await bureau.install()
    bureau.rig.simulator.world.remove(young, "in silence.")
    bureau.rig.clock.now = (await bureau.rig.resource(young.id)).created_at + timedelta(minutes=59)
    assert told(*await bureau.compare()) == []


async def test_ghosts_are_explained_and_nothing_is_proposed(bureau: Bureau):
    known, *_ = await bureau.install(7)
    world = bureau.rig.simulator.world
    app = next(iter(world.apps.values()))
    stranger = world.install(app, "test", name=None, options={})
    coming = world.install(app, "test", name=None, options={})
    stranger.state, coming.state = "provisioned", "provisioning"
    await bureau.rig.heroku.delete(f"/{known.id}")
    bureau.rig.clock.forward(hours=2)
    run, differences = await bureau.compare()
    assert run.counts == {"ghost": 3}
    texts = {str(one.resource_uuid): one.text for one in differences if one.repair is None}
    assert "was never here" in texts[stranger.id]
    assert "Heroku repeats its request" in texts[coming.id]
    assert f"heroku addons:destroy {known.name}" in texts[known.id]
    (outcome,) = await bureau.repair(differences[0])
    assert (outcome.is_over, outcome.text) == (False, "No repair is proposed for it.")


async def test_what_was_removed_just_now_is_no_ghost(bureau: Bureau):
    (addon,) = await bureau.install()
    await bureau.rig.heroku.delete(f"/{addon.id}")
    assert told(*await bureau.compare()) == []


async def test_another_plan_at_heroku_is_taken_over_here(bureau: Bureau):
    (addon,) = await bureau.install()
    addon.plan = "premium"
    run, (difference,) = await bureau.compare()
    assert told(run, [difference]) == [("plan", "move-plan")]
    assert (difference.here, difference.there) == ("test", "premium")
    (outcome,) = await bureau.repair(difference)
    assert outcome.is_over
    assert (await bureau.rig.resource(addon.id)).plan == "premium"


async def test_a_plan_that_heroku_has_changed_again_is_not_applied(bureau: Bureau):
    (addon,) = await bureau.install()
    addon.plan = "premium"
    _, (difference,) = await bureau.compare()
    addon.plan = "standard"
    (outcome,) = await bureau.repair(difference)
    assert (outcome.is_over, outcome.text) == (False, "Heroku has put it on another plan since: compare again.")
    addon.plan = "test"
    (outcome,) = await bureau.repair(difference)
    assert (outcome.is_over, outcome.text) == (True, "Heroku has it on the plan test, too. Nothing was done.")
    assert (await bureau.rig.resource(addon.id)).plan == "test"


async def test_a_plan_that_nobody_sells_here_is_for_people(bureau: Bureau):
    (addon,) = await bureau.install()
    addon.plan = "platinum"
    run, (difference,) = await bureau.compare()
    assert told(run, [difference]) == [("plan", None)]
    assert "cannot be moved" in difference.text


async def test_a_plan_change_of_the_last_hour_is_not_judged(bureau: Bureau):
    (addon,) = await bureau.install()
    await bureau.rig.heroku.put(f"/{addon.id}", json={"plan": "premium"})
    assert told(*await bureau.compare()) == []
    bureau.rig.clock.forward(hours=2)
    assert told(*await bureau.compare()) == [("plan", "move-plan")]


async def test_heroku_is_told_again_what_it_has_missed(bureau: Bureau):
    (addon,) = await bureau.install()
    addon.state = "provisioning"
    run, (difference,) = await bureau.compare()
    assert told(run, [difference]) == [("state", "announce")]
    (outcome,) = await bureau.repair(difference)
    assert (outcome.is_over, addon.state) == (True, "provisioned")
    async with bureau.rig.context.database.transaction() as session:
        event = await session.scalar(select(Event).where(Event.kind == "announced"))
        assert (event.actor, event.reason) == (OPERATOR.name, "Seen in the comparison")


async def test_a_provision_that_was_never_announced_is_tried_now(bureau: Bureau):
    bureau.rig.simulator.faults.add("error", direction="platform", path="/actions/provision", count=100)
    (addon,) = await bureau.install(plan="standard")
    run, (difference,) = await bureau.compare()
    assert told(run, [difference]) == [("state", "retry-now")]
    bureau.rig.simulator.faults.clear()
    await bureau.repair(difference)
    await bureau.rig.work()
    assert (await bureau.rig.resource(addon.id)).state is State.PROVISIONED
    assert told(*await bureau.compare()) == []


async def test_a_config_that_was_never_pushed_is_pushed(bureau: Bureau):
    (addon,) = await bureau.install()
    changed_at = bureau.rig.clock.now - timedelta(hours=2)
    await bureau.change(addon.id, config_version=5, config_changed_at=changed_at)
    run, (difference,) = await bureau.compare()
    assert told(run, [difference]) == [("config", "retry-now")]
    await bureau.repair(difference)
    await bureau.rig.work()
    assert (await bureau.rig.resource(addon.id)).pushed_version == 5
    (outcome,) = await bureau.repair(difference)
    assert outcome.is_over


async def test_what_heroku_is_removing_waits_for_herokus_own_request(bureau: Bureau):
    (addon,) = await bureau.install()
    addon.state = "deprovisioning"
    run, (difference,) = await bureau.compare()
    assert told(run, [difference]) == [("state", None)]
    assert "comes by itself" in difference.text


@pytest.mark.parametrize("left", [0, 4])
async def test_numbers_that_cannot_be_true_propose_nothing_and_say_why(bureau: Bureau, left: int):
    addons = await bureau.install(7)
    for addon in addons[left:]:
        bureau.rig.simulator.world.remove(addon, "in silence.")
    run, differences = await bureau.compare()
    assert run.counts == {"orphan": 7 - left}
    assert {one.repair for one in differences} == {None}
    assert "no repair is proposed" in run.caution
    assert await bureau.repair(differences[0]) == [
        repairs.Outcome(
            difference_id=differences[0].id,
            resource_uuid=differences[0].resource_uuid,
            is_over=False,
            text="No repair is proposed for it.",
        )
    ]
    assert not (await bureau.rig.resource(addons[-1].id)).is_gone


async def test_only_operators_repair_and_they_say_why(bureau: Bureau):
    addons = await bureau.install(7)
    bureau.rig.simulator.world.remove(addons[0], "in silence.")
    _, (orphan,) = await bureau.compare()
    with pytest.raises(NotAllowed):
        await bureau.repair(orphan, actor=SUPPORT)
    with pytest.raises(Refused, match="Say why"):
        [outcome async for outcome in repairs.apply(bureau.rig.context, OPERATOR, [orphan.id], " ")]
    assert not (await bureau.rig.resource(addons[0].id)).is_gone


async def test_viewers_do_not_ask_heroku(bureau: Bureau):
    with pytest.raises(NotAllowed):
        await reconciliation.ask(bureau.rig.context, Actor(name="v", role=Role.VIEWER))


async def test_there_is_one_run_at_a_time_until_it_has_died(bureau: Bureau):
    context = bureau.rig.context
    first = await reconciliation.ask(context, SUPPORT)
    with pytest.raises(Refused, match="under way"):
        await reconciliation.ask(context, SUPPORT)
    await reconciliation.run_daily(context)
    assert [run.id for run in await reconciliation.history(context)] == [first]
    bureau.rig.clock.forward(minutes=6)
    assert await reconciliation.under_way(context) is None
    await reconciliation.run_daily(context)
    daily, interrupted = await reconciliation.history(context)
    assert (daily.actor, daily.error) == ("the program", None)
    assert "interrupted" in interrupted.error


async def test_the_worker_runs_what_was_asked_for_once(bureau: Bureau):
    context = bureau.rig.context
    id_ = await reconciliation.ask(context, SUPPORT)
    await reconciliation.run_asked(context)
    run = await reconciliation.get(context, id_)
    bureau.rig.clock.forward(minutes=1)
    await reconciliation.run_asked(context)
    await reconciliation.run(context, id_)
    assert (await reconciliation.get(context, id_)).ended_at == run.ended_at


async def test_a_list_of_many_pages_and_rows_is_read_to_its_end(bureau: Bureau):
    """More than a page of Heroku's and more than a chunk of ours, with differences before, between and after."""
    world, clock = bureau.rig.simulator.world, bureau.rig.clock
    app = next(iter(world.apps.values()))
    uuids = sorted(world.install(app, "test", name=None, options={}).id for _ in range(4_500))
    for uuid in uuids:
        world.addons[uuid].state = "provisioned"
    orphans = {str(UUID(int=0)), str(UUID(int=2**127)), str(UUID(int=2**128 - 1))}
    ghosts = {uuids[0], uuids[2_222], uuids[-1]}
    async with bureau.rig.context.database.transaction() as session:
        values = {
            "name": "n", "plan": "test", "region": "r", "state": "provisioned", "seed_sealed": b"", "options": {},
            "created_at": clock(), "generation": 1, "failures": 0, "config_version": 0, "pushed_version": 0,
        }  # fmt: skip
        rows = [{"uuid": UUID(uuid), **values} for uuid in (set(uuids) - ghosts) | orphans]
        await session.execute(insert(Resource), rows)
    clock.forward(hours=2)
    run, differences = await bureau.compare()
    assert (run.ours, run.herokus) == (4_500, 4_500)
    found = {(one.kind, str(one.resource_uuid)) for one in differences}
    assert found == {("orphan", uuid) for uuid in orphans} | {("ghost", uuid) for uuid in ghosts}
    assert [one.resource_uuid for one in differences] == sorted(one.resource_uuid for one in differences)


async def test_herokus_moods_are_waited_out(bureau: Bureau):
    await bureau.install(2)
    bureau.rig.simulator.faults.add("rate_limit", direction="platform", path=APPS, seconds=7)
    bureau.rig.simulator.faults.add("error", direction="platform", path=APPS, status=502)
    assert told(*await bureau.compare()) == []
    assert bureau.paused == [7, 4]


async def test_and_are_said_when_they_last(bureau: Bureau):
    await bureau.install(2)
    bureau.rig.simulator.faults.add("error", direction="platform", path=APPS, status=502, count=9)
    run, differences = await bureau.compare()
    assert (run.error, differences) == (
        "It could not be finished now: GET /api/v3/apps: Heroku answered 502. Please try again later.",
        [],
    )


async def test_the_password_that_is_in_force_at_heroku_is_found(bureau: Bureau):
    await bureau.install(2)
    offer = bureau.rig.simulator.world.offer
    bureau.rig.simulator.world.offer = type(offer)(**{**vars(offer), "password": PREVIOUS_PASSWORD})
    assert told(*await bureau.compare()) == []
    bureau.rig.simulator.world.offer = type(offer)(**{**vars(offer), "password": "a-third-one"})
    run, _ = await bureau.compare()
    assert "takes neither ADDON_PASSWORD nor a previous one" in run.error


UUID_1 = "01234567-89ab-cdef-0123-456789abcdef"


@pytest.mark.parametrize(
    "entry",
    [
        {"uuid": UUID_1},
        {"id": UUID_1},
        {"id": str(uuid4()), "uuid": UUID_1},
        {"id": str(uuid4()), "provider_id": UUID_1},
        {"heroku_id": "app1@heroku.com", "provider_id": 7, "callback_url": f"https://api.heroku.com/addons/{UUID_1}"},
        {"id": str(uuid4()), "addon": {"id": UUID_1}},
        {"uuid": None, "resource": {"uuid": UUID_1}},
    ],
)
def test_the_id_is_found_where_lists_of_heroku_have_it(entry):
    for body in ([entry], {"addons": [entry]}, {"data": [entry], "total": 1}):
        assert [str(one.uuid) for one in read_page(body)] == [UUID_1]


@pytest.mark.parametrize(
    ("plan", "slug"),
    [
        ("basic", "basic"),
        ("acme-postgres:basic", "basic"),
        ({"name": "acme-postgres:basic"}, "basic"),
        (None, None),
        (3, None),
    ],
)
def test_a_plan_is_its_slug_however_it_is_told(plan, slug):
    (install,) = read_page([{"uuid": UUID_1, "plan": plan}])
    assert install.plan == slug


@pytest.mark.parametrize(
    "body", [None, 7, "text", {}, {"apps": 3}, {"error": "hunter2"}, [[]], [None], [{"uuid": "hunter2"}]]
)
def test_a_shape_that_is_not_understood_is_one_error_without_any_value(body):
    with pytest.raises(Refused, match="nothing was compared") as caught:
        list(read_page(body))
    assert "hunter2" not in caught.value.message


FIELDS = st.sampled_from(["uuid", "id", "addon", "plan", "state", "apps", "name"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just(UUID_1),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELDS, inner),
)


@given(ANYTHING)
def test_whatever_heroku_answers_is_a_list_or_a_refusal(body):
    with suppress(Refused):
        assert all(isinstance(one.uuid, UUID) for one in read_page(body))


class Elsewhere(httpx2.AsyncBaseTransport):
    """A Heroku whose list leads where it should not."""

    def __init__(self, link: Callable[[httpx2.Request], dict[str, str]], status: int = 200) -> None:
        self.link, self.status, self.hosts = link, status, []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.hosts.append(request.url.host)
        return httpx2.Response(self.status, json=[{"uuid": str(uuid4())}], headers=self.link(request))


@pytest.mark.parametrize(
    ("link", "status", "words"),
    [
        ('<http://evil.example/api/v3/apps?page=2>; rel="next"', 200, "another host"),
        ('<//evil.example/api/v3/apps>; rel="next"', 200, "another host"),
        ('<http://127.0.0.1:5100@evil.example/>; rel="next"', 200, "another host"),
        ('<http://127.0.0.1:51000/api>; rel="next"', 200, "another host"),
        ('</api/v3/apps>; rel="next"', 200, "round in a circle"),
        ("", 206, "does not say where it goes on"),
    ],
)  # fmt: skip
async def test_a_list_that_leads_astray_is_not_followed(bureau: Bureau, link: str, status: int, words: str):
    await bureau.install(2)
    elsewhere = Elsewhere(lambda _: {"Link": link} if link else {}, status)
    async with httpx2.AsyncClient(transport=elsewhere) as client:
        bureau.rig.context.heroku._client, own = client, bureau.rig.context.heroku._client
        run, differences = await bureau.compare()
        bureau.rig.context.heroku._client = own
    assert words in run.error
    assert (differences, set(elsewhere.hosts)) == ([], {"127.0.0.1"})


async def test_old_runs_are_forgotten(bureau: Bureau):
    await bureau.install(7)
    bureau.rig.simulator.world.remove(next(iter(bureau.rig.simulator.world.installed())), "in silence.")
    old, _ = await bureau.compare()
    bureau.rig.clock.forward(days=91)
    new, _ = await bureau.compare()
    assert [run.id for run in await reconciliation.history(bureau.rig.context)] == [new.id]
    assert await reconciliation.differences(bureau.rig.context, old.id) == []


class TestPages:
    async def test_support_has_it_compared_and_everybody_sees_what_was_found(self, bureau: Bureau, panel_of):
        addons = await bureau.install(7)
        bureau.rig.simulator.world.remove(addons[0], "in silence.")
        panel = await panel_of(Role.SUPPORT)
        empty = await panel.http.get("/admin/reconciliation")
        assert "Nothing has been compared yet" in empty.text
        waiting = await panel.post("/admin/reconciliation")
        assert "A worker begins the comparison" in waiting.text
        part = await panel.http.get("/admin/reconciliation/progress")
        assert "waits for a worker" in part.text
        twice = await panel.http.post(
            "/admin/reconciliation", data={"form_token": await panel.form_token("/admin/reconciliation")}
        )
        assert (twice.status_code, "is under way" in twice.text) == (422, True)
        await reconciliation.run_asked(bureau.rig.context)
        assert (await panel.http.get("/admin/reconciliation/progress")).headers["Part-State"] == "over"
        page = (await panel.http.get("/admin/reconciliation")).text
        assert "1 difference" in page
        assert f'href="/admin/resources/{addons[0].id}"' in page
        assert 'type="checkbox"' not in page

    async def test_an_operator_selects_reads_says_why_and_types_the_number(self, bureau: Bureau, panel_of):
        addons = await bureau.install(12)
        for addon in addons[:2]:
            bureau.rig.simulator.world.remove(addon, "in silence.")
        run, differences = await bureau.compare()
        panel = await panel_of(Role.OPERATOR)
        here = f"/admin/reconciliation/{run.id}"
        assert (await panel.http.get(here)).text.count('type="checkbox"') == 2
        nothing = await panel.http.get(f"{here}/repair")
        assert (nothing.status_code, "Select at least one" in nothing.text) == (422, True)
        query = "&".join(f"difference={one.id}" for one in differences)
        page = await panel.http.get(f"{here}/repair?{query}")
        assert "Heroku is asked once more" in page.text

        token = await panel.form_token(f"{here}/repair?{query}")
        form = {"form_token": token, "difference": [one.id for one in differences], "reason": "Gone for good"}
        unsure = await panel.http.post(f"{here}/repair", data=form)
        assert (unsure.status_code, "Type 2" in unsure.text, "Gone for good" in unsure.text) == (422, True, True)
        assert not (await bureau.rig.resource(addons[0].id)).is_gone
        done = await panel.http.post(f"{here}/repair", data=form | {"number": "2"})
        assert "2 of 2 are over." in done.text
        assert (await bureau.rig.resource(addons[0].id)).is_gone
        assert (await bureau.rig.resource(addons[1].id)).is_gone
        assert "0 left" in done.text

    async def test_a_repair_of_another_comparison_is_not_done_through_this_one(self, bureau: Bureau, panel_of):
        addons = await bureau.install(7)
        bureau.rig.simulator.world.remove(addons[0], "in silence.")
        _, (orphan,) = await bureau.compare()
        other, _ = await bureau.compare()
        panel = await panel_of(Role.OPERATOR)
        refused = await panel.http.get(f"/admin/reconciliation/{other.id}/repair?difference={orphan.id}")
        assert refused.status_code == 422

    async def test_many_differences_are_paged(self, bureau: Bureau, panel_of):
        run, _ = await bureau.compare()
        async with bureau.rig.context.database.transaction() as session:
            rows = [
                {"reconciliation_id": run.id, "resource_uuid": uuid4(), "kind": "ghost", "text": f"ghost {number}."}
                for number in range(101)
            ]
            await session.execute(insert(Difference), rows)
            await session.execute(update(Reconciliation).values(counts={"ghost": 101}))
        panel = await panel_of(Role.VIEWER)
        first = (await panel.http.get(f"/admin/reconciliation/{run.id}")).text
        assert ("ghost 99." in first, "ghost 100." in first) == (True, False)
        more = first.partition('rel="next" href="')[2].partition('"')[0]
        assert "ghost 100." in (await panel.http.get(more)).text

    async def test_an_unknown_comparison_is_not_found(self, bureau: Bureau, panel_of):
        panel = await panel_of(Role.VIEWER)
        assert (await panel.http.get(f"/admin/reconciliation/{uuid4()}")).status_code == 404
        assert (await panel.http.get("/admin/reconciliation/nonsense")).status_code in {404, 422}

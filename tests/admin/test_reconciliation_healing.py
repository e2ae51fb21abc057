"""What the program mends by itself when Heroku and we disagree, what it leaves to people, and what the team is told."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from rig import Rig
from sqlalchemy import select, update

from app.operations import alerts, healing, reconciliation
from app.operations.models import Alert, Difference
from app.operators.roles import Role
from app.resources.models import Resource, State
from app.resources.rotation import rotate
from app.resources.traces import Event
from app.simulator.records import AddOn

CONFIG_VAR = "ACME_POSTGRES_URL"


async def installed(rig: Rig, number: int = 1, plan: str = "test") -> list[AddOn]:
    """Add-ons that are fine and old enough to be judged, and whose config vars were looked at just now."""
    world = rig.simulator.world
    app = next(iter(world.apps.values()), None) or world.create_app("shop")
    addons = [await rig.simulator.calls.provision(app.name, plan) for _ in range(number)]
    await rig.work()
    rig.clock.forward(hours=2)
    await healing.heal(rig.context)
    return addons


async def compare(rig: Rig) -> Sequence[Difference]:
    await reconciliation.run_daily(rig.context)
    run = await reconciliation.latest(rig.context)
    assert run.error is None
    return await reconciliation.differences(rig.context, run.id)


async def heal(rig: Rig) -> None:
    """A round, and the work that it has asked for."""
    await healing.heal(rig.context)
    await rig.work()


async def change(rig: Rig, addon: AddOn, **values: object) -> None:
    async with rig.context.database.transaction() as session:
        await session.execute(update(Resource).where(Resource.uuid == UUID(addon.id)).values(**values))


async def open_alerts(rig: Rig) -> set[str]:
    await alerts.check(rig.context)
    async with rig.context.database.transaction() as session:
        return set(await session.scalars(select(Alert.kind).where(Alert.closed_at.is_(None))))


async def events_of(rig: Rig, addon: AddOn, kind: str) -> list[Event]:
    async with rig.context.database.transaction() as session:
        query = select(Event).where(Event.resource_uuid == UUID(addon.id), Event.kind == kind)
        return list(await session.scalars(query))


def looks(rig: Rig) -> int:
    """How often Heroku was asked for an add-on's config vars."""
    return sum(one.method == "GET" and one.url.endswith("/config") for one in rig.simulator.world.exchanges)


async def test_config_vars_that_heroku_has_lost_are_sent_again(key_rig: Rig):
    (addon,) = await installed(key_rig)
    ours = await key_rig.config(addon.id)
    addon.config = {}
    key_rig.clock.forward(hours=23)
    await heal(key_rig)
    assert addon.config == {}
    key_rig.clock.forward(hours=1)
    await heal(key_rig)
    assert addon.config == ours
    (event,) = await events_of(key_rig, addon, "config_resent")
    assert (event.actor, event.reason, event.is_by_operator) == ("the program", None, False)
    assert await open_alerts(key_rig) == set()


async def test_values_that_were_replaced_here_are_replaced_there_and_work_until_then(key_rig: Rig):
    """Heroku's answer said that it has them; then it lost them, while the previous key is about to be retired."""
    (addon,) = await installed(key_rig)
    old = dict(addon.config)
    await rotate(key_rig.context, UUID(addon.id), "ada@example.com")
    await key_rig.work()
    assert addon.config != old
    addon.config = old
    key_rig.clock.forward(minutes=16)
    retire_at = (await key_rig.resource(addon.id)).retire_at
    await heal(key_rig)
    assert addon.config == await key_rig.config(addon.id) != old
    assert (await key_rig.resource(addon.id)).retire_at == retire_at + timedelta(minutes=16)


async def test_values_that_were_never_ours_are_left_to_people_who_are_told(key_rig: Rig):
    (addon,) = await installed(key_rig)
    addon.config = {CONFIG_VAR: "ak_of_a_later_life"}
    key_rig.clock.forward(days=1)
    await heal(key_rig)
    assert addon.config == {CONFIG_VAR: "ak_of_a_later_life"}
    assert await open_alerts(key_rig) == {"config_differs"}
    (difference,) = await compare(key_rig)
    assert (difference.kind, difference.repair) == ("config", "rotate")
    key_rig.clock.forward(days=1)
    await heal(key_rig)
    assert (await key_rig.events(addon.id)).count("config_differs") == 1

    addon.config = await key_rig.config(addon.id)
    key_rig.clock.forward(days=1)
    await heal(key_rig)
    assert (await key_rig.resource(addon.id)).config_differs_at is None


async def test_what_heroku_does_not_keep_is_not_sent_without_end(key_rig: Rig):
    (addon,) = await installed(key_rig)
    for _ in range(5):
        addon.config = {}
        key_rig.clock.forward(minutes=20)
        await change(key_rig, addon, config_due_at=key_rig.clock())
        await heal(key_rig)
    assert (await key_rig.events(addon.id)).count("config_resent") == 1
    assert "config_differs" in await open_alerts(key_rig)


async def test_everybodys_config_is_looked_at_once_a_day_within_the_share_of_a_minute(make_rig: Callable[..., Rig]):
    async with make_rig(batch_per_minute="6").running() as rig:
        await installed(rig, 5)
        for _ in range(3):
            await heal(rig)
        assert looks(rig) == 5
        rig.clock.forward(days=1)
        await heal(rig)
        assert looks(rig) == 7
        for _ in range(5):
            await heal(rig)
        assert looks(rig) == 10


async def test_looking_leaves_nothing_in_the_history(key_rig: Rig):
    (addon,) = await installed(key_rig)
    before = await key_rig.events(addon.id)
    for _ in range(3):
        key_rig.clock.forward(days=1)
        await heal(key_rig)
    assert looks(key_rig) == 4
    assert await key_rig.events(addon.id) == before


async def test_a_token_that_heroku_takes_no_more_is_found_by_it_and_the_others_are_looked_at(key_rig: Rig):
    dead, lost = await installed(key_rig, 2)
    world = key_rig.simulator.world
    world.refresh_tokens = {token: one for token, one in world.refresh_tokens.items() if one.addon_id != dead.id}
    lost.config = {}
    key_rig.clock.forward(days=1)
    await heal(key_rig)
    assert lost.config == await key_rig.config(lost.id)
    assert await open_alerts(key_rig) == {"token_refused"}


async def test_a_provision_that_heroku_never_learned_of_is_announced_with_its_config_vars(key_rig: Rig):
    (addon,) = await installed(key_rig)
    addon.state, addon.config = "provisioning", {}
    (difference,) = await compare(key_rig)
    assert difference.repair == "announce"
    assert await open_alerts(key_rig) == set()
    await heal(key_rig)
    assert (addon.state, addon.config) == ("provisioned", await key_rig.config(addon.id))
    (event,) = await events_of(key_rig, addon, "announced")
    assert (event.actor, event.is_by_operator) == ("the program", False)
    assert await open_alerts(key_rig) == set()


async def test_a_provision_that_stands_still_goes_on(key_rig: Rig):
    key_rig.simulator.faults.add("error", direction="platform", path="/actions/provision", count=100)
    (addon,) = await installed(key_rig, plan="standard")
    key_rig.simulator.faults.clear()
    assert addon.state == "provisioning"
    (difference,) = await compare(key_rig)
    assert difference.repair == "retry-now"
    await heal(key_rig)
    assert addon.state == "provisioned"
    assert (await key_rig.resource(addon.id)).state is State.PROVISIONED


async def test_a_push_that_was_given_up_is_made(key_rig: Rig):
    (addon,) = await installed(key_rig)
    await change(key_rig, addon, config_version=5, config_changed_at=key_rig.clock() - timedelta(hours=2))
    (difference,) = await compare(key_rig)
    assert difference.repair == "retry-now"
    await heal(key_rig)
    assert (await key_rig.resource(addon.id)).pushed_version == 5


async def test_but_not_over_values_that_were_never_ours(key_rig: Rig):
    (addon,) = await installed(key_rig)
    await change(key_rig, addon, config_version=5, config_changed_at=key_rig.clock() - timedelta(hours=2))
    addon.config = {CONFIG_VAR: "ak_of_a_later_life"}
    await compare(key_rig)
    await heal(key_rig)
    assert addon.config == {CONFIG_VAR: "ak_of_a_later_life"}
    assert "reconciliation_differs" in await open_alerts(key_rig)


async def test_while_heroku_cannot_be_asked_it_is_tried_again_and_the_team_is_told_after_half_an_hour(key_rig: Rig):
    (addon,) = await installed(key_rig)
    addon.state = "provisioning"
    await compare(key_rig)
    key_rig.simulator.faults.add("error", direction="platform", path=f"/addons/{addon.id}", status=503, count=2)
    await heal(key_rig)
    assert (addon.state, await open_alerts(key_rig)) == ("provisioning", set())
    key_rig.clock.forward(minutes=31)
    assert await open_alerts(key_rig) == {"reconciliation_differs"}
    await heal(key_rig)
    await heal(key_rig)
    assert (addon.state, await open_alerts(key_rig)) == ("provisioned", set())


@pytest.mark.parametrize("what", ["orphan", "plan"])
async def test_what_takes_something_from_somebody_stays_a_proposal(key_rig: Rig, what: str):
    addon, *_ = await installed(key_rig, 7)
    if what == "orphan":
        key_rig.simulator.world.remove(addon, "in silence.")
    else:
        addon.plan = "premium"
    (difference,) = await compare(key_rig)
    assert (difference.kind, difference.repair is not None) == (what, True)
    before = await key_rig.resource(addon.id)
    await heal(key_rig)
    after = await key_rig.resource(addon.id)
    assert (after.state, after.plan) == (before.state, before.plan)
    assert await open_alerts(key_rig) == {"reconciliation_differs"}


async def test_a_list_that_is_not_believed_mends_nothing(key_rig: Rig):
    first, *others = await installed(key_rig, 7)
    first.state = "provisioning"
    for addon in others:
        key_rig.simulator.world.remove(addon, "in silence.")
    await compare(key_rig)
    await healing._mend_found(key_rig.context, 10)
    assert first.state == "provisioning"


async def test_the_setting_turns_all_of_it_off(make_rig: Callable[..., Rig]):
    async with make_rig(self_healing="false").running() as rig:
        (other,) = await installed(rig)
        rig.clock.forward(days=1)
        (addon,) = await installed(rig)
        addon.state, other.config = "provisioning", {}
        await compare(rig)
        await heal(rig)
        assert (addon.state, other.config, looks(rig)) == ("provisioning", {}, 0)
        assert "reconciliation_differs" in await open_alerts(rig)


async def test_the_page_says_what_was_mended_by_itself(key_rig: Rig, panel_of):
    (addon,) = await installed(key_rig)
    addon.state = "provisioning"
    await compare(key_rig)
    await heal(key_rig)
    page = (await (await panel_of(Role.VIEWER)).http.get("/admin/reconciliation")).text
    assert "1 of them is over without anybody&#39;s help" in page or "1 of them is over without anybody's help" in page
    assert "Heroku knows that it is ready" in page
    assert "the program" in page

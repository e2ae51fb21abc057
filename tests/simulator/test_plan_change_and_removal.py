import pytest

from app.simulator import AddOnFailed, HerokuError
from app.simulator.attaching import detach, share


@pytest.fixture
async def installed(sim):
    return await sim.calls.provision("shop", "basic")


async def test_a_plan_change_puts_the_plan_and_takes_new_config(sim, addon, installed):
    addon.answers["PUT"] = (
        200,
        {"config": {"ACME_POSTGRES_URL": "postgres://new.example.com/d"}, "message": "Bigger."},
    )
    await sim.calls.change_plan(installed, "premium")
    method, path, _, body = addon.requests[-1]
    assert (method, path, body) == ("PUT", f"/base/{installed.id}", {"plan": "premium"})
    assert (installed.plan, installed.provision_message) == ("premium", "Bigger.")
    shop = sim.world.app("shop")
    assert sim.world.config_vars(shop) == {"ACME_POSTGRES_URL": "postgres://new.example.com/d"}
    assert shop.releases[-1].description == "Set ACME_POSTGRES_URL config vars"
    assert shop.releases[-1].user_email == "acme-postgres@addons.heroku.com"


async def test_a_refused_plan_change_keeps_the_old_plan(sim, addon, installed):
    addon.answers["PUT"] = (422, {"message": "Too much data."})
    with pytest.raises(AddOnFailed) as refusal:
        await sim.calls.change_plan(installed, "tiny")
    assert refusal.value.partner_message == "Too much data."
    assert installed.plan == "basic"


async def test_a_plan_change_answered_202_is_done_without_config(sim, addon, installed):
    addon.answers["PUT"] = (202, None)
    await sim.calls.change_plan(installed, "premium")
    assert installed.plan == "premium"


async def test_a_plan_cannot_change_while_the_addon_is_provisioning(sim, addon):
    addon.answers["POST"] = (202, {"id": "x"})
    installed = await sim.calls.provision("shop", "basic")
    with pytest.raises(HerokuError, match="still being created"):
        await sim.calls.change_plan(installed, "premium")
    assert addon.bodies("PUT") == []


@pytest.mark.parametrize(("status", "body"), [(200, {}), (204, None), (410, {"id": "gone"})])
async def test_a_removal_is_done_when_the_addon_confirms_it(sim, addon, installed, status, body):
    addon.answers["DELETE"] = (status, body)
    await sim.calls.deprovision(installed)
    assert addon.requests[-1][:2] == ("DELETE", f"/base/{installed.id}")
    assert "content-type" not in addon.requests[-1][2]
    assert installed.state == "deprovisioned"
    assert sim.world.config_vars(sim.world.app("shop")) == {}
    assert sim.world.pending_deletes == {}


async def test_a_removal_the_addon_fails_is_repeated_ever_more_slowly(sim, addon, installed, clock):
    addon.answers["DELETE"] = (500, {})
    await sim.calls.deprovision(installed)
    assert sim.world.config_vars(sim.world.app("shop")) == {}
    for minutes, expected in [(0.5, 1), (0.5, 2), (1, 2), (1, 3)]:
        clock.move(minutes=minutes)
        await sim.calls.retry_due()
        assert len(addon.bodies("DELETE")) == expected
    addon.answers["DELETE"] = (204, None)
    clock.move(hours=1)
    await sim.calls.retry_due()
    await sim.calls.retry_due()
    assert len(addon.bodies("DELETE")) == 4
    assert sim.world.pending_deletes == {}


async def test_a_removal_nobody_confirms_is_given_up_after_a_day(sim, addon, installed, clock):
    addon.answers["DELETE"] = (500, {})
    await sim.calls.deprovision(installed)
    clock.move(hours=25)
    await sim.calls.retry_due()
    assert sim.world.pending_deletes == {}
    assert "given up" in sim.world.activity[-1].text


async def test_a_removed_addon_cannot_be_removed_or_changed_again(sim, installed):
    await sim.calls.deprovision(installed)
    with pytest.raises(HerokuError, match="Couldn't find that add-on"):
        await sim.calls.deprovision(installed)
    with pytest.raises(HerokuError, match="Couldn't find that add-on"):
        await sim.calls.change_plan(installed, "premium")


async def test_what_is_still_provisioning_after_twelve_hours_is_removed(sim, addon, clock):
    addon.answers["POST"] = (202, {"id": "x"})
    slow = await sim.calls.provision("shop", "basic")
    clock.move(hours=11, minutes=59)
    await sim.calls.reap()
    assert slow.state == "provisioning"
    clock.move(minutes=1)
    await sim.calls.reap()
    await sim.calls.reap()
    assert slow.state == "deprovisioned"
    assert len(addon.bodies("DELETE")) == 1


async def test_an_addon_attached_twice_releases_to_both_apps_and_detaches_from_one(sim, addon, installed):
    other = sim.world.create_app("billing")
    attachment = share(sim.world, installed, other, "SHOP_DB")
    assert set(sim.world.config_vars(other)) == {"SHOP_DB_URL"}
    assert len(addon.requests) == 1
    detach(sim.world, attachment)
    assert sim.world.config_vars(other) == {}
    assert [one.description for one in other.releases[1:]] == [
        f"Attach SHOP_DB (@{installed.name})",
        f"Detach SHOP_DB (@{installed.name})",
    ]


async def test_the_last_attachment_stays(sim, installed):
    (attachment,) = sim.world.attachments_of(installed)
    with pytest.raises(HerokuError, match="only attachment"):
        detach(sim.world, attachment)


async def test_only_attachable_addons_are_attached_to_other_apps(make):
    sim = make(api={"requires": ["many_per_app"]})
    installed = await sim.calls.provision("shop", "basic")
    with pytest.raises(HerokuError, match="attachable"):
        share(sim.world, installed, sim.world.create_app("billing"))

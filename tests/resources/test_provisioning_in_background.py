"""A background provision when Heroku, the driver or the clock gives trouble.

https://devcenter.heroku.com/articles/asynchronous-provisioning-of-add-ons
"""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from lives import assert_nothing_left, due_at, exchanges, install, our_calls, url_in
from rig import Rig, provision_body
from workshop import Workshop

from app.errors import Refused, Retry
from app.resources import jobs, outcomes, rotation
from app.resources.sweep import TOO_LATE, sweep

IN_ORDER = ["POST token", "PATCH config", "POST provision"]


async def refusal(rig: Rig, uuid: str, plan: str = "standard") -> str:
    """What a repeated POST is told, once the provision has been given up."""
    answer = await rig.heroku.post("", json=provision_body(uuid=uuid, plan=plan))
    assert answer.status_code == 422
    return answer.json()["message"]


async def test_the_grant_is_exchanged_then_the_config_set_then_the_end_announced(shop_rig: Rig):
    app, addon = await install(shop_rig, "standard")
    assert addon.state == "provisioning"
    await shop_rig.work()
    assert our_calls(shop_rig) == IN_ORDER
    assert addon.state == "provisioned"
    assert url_in(shop_rig, app).endswith("/standard")
    assert [finding for one in exchanges(shop_rig) for finding in one.findings if finding.level == "problem"] == []


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize(
    ("direction", "path"), [("tokens", "token"), ("platform", "config"), ("platform", "provision")]
)
async def test_a_failing_heroku_is_asked_again_until_it_works(shop_rig: Rig, status, direction, path):
    _, addon = await install(shop_rig, "standard")
    shop_rig.simulator.faults.add("error", direction=direction, status=status, path=f"/{path}", count=2)
    await shop_rig.work(rounds=4)
    assert addon.state == "provisioned"
    assert [call.partition(" ")[2] for call in our_calls(shop_rig)].count(path) == 3


@pytest.mark.parametrize(
    ("direction", "path"), [("tokens", "token"), ("platform", "config"), ("platform", "provision")]
)
async def test_a_dropped_connection_is_tried_again(shop_rig: Rig, direction, path):
    _, addon = await install(shop_rig, "standard")
    shop_rig.simulator.faults.add("drop", direction=direction, path=f"/{path}")
    await shop_rig.work(rounds=3)
    assert addon.state == "provisioned"


@pytest.mark.parametrize("path", ["config", "actions/provision"])
async def test_a_call_whose_answer_was_lost_is_repeated_without_harm(shop_rig: Rig, path):
    app, addon = await install(shop_rig, "standard")
    shop_rig.simulator.faults.add("lost_answer", direction="platform", path=path)
    await shop_rig.work(rounds=3)
    assert addon.state == (await shop_rig.resource(addon.id)).state == "provisioned"
    assert len(app.releases) == 2


async def test_a_rate_limit_is_waited_out_as_told_and_costs_no_patience(shop_rig: Rig):
    _, addon = await install(shop_rig, "standard")
    shop_rig.simulator.faults.add("rate_limit", direction="platform", path="/config", seconds=1234, count=12)
    asked_at = datetime.now(UTC)
    await shop_rig.work()
    due = await due_at(shop_rig, "push_config")
    assert due is not None
    assert timedelta(seconds=1234) <= due - asked_at < timedelta(seconds=1264)
    assert (await shop_rig.resource(addon.id)).failures == 0
    await shop_rig.work(rounds=13)
    assert addon.state == "provisioned"


async def test_a_wrong_client_secret_that_is_mended_in_time_does_no_harm(make_rig):
    async with make_rig(heroku_client_secret="not-the-one").running() as rig:
        _, addon = await install(rig, "standard")
        await rig.work(rounds=3)
        assert (await rig.resource(addon.id)).state == "provisioning"
        rig.context.heroku._client_secret = "client-secret-of-the-tests"  # as after a restart with the right one
        await rig.work(rounds=2)
        assert addon.state == "provisioned"


async def test_a_grant_that_was_not_accepted_in_its_life_ends_the_provision(shop_rig: Rig, workshop: Workshop):
    _, addon = await install(shop_rig, "standard")
    shop_rig.clock.forward(minutes=5, seconds=1)
    await shop_rig.work(rounds=2)
    assert "did not accept" in await refusal(shop_rig, addon.id)
    await assert_nothing_left(shop_rig, workshop, addon.id)
    assert our_calls(shop_rig) == ["POST token"]


async def test_a_grant_whose_answer_was_lost_ends_the_provision_when_its_life_is_over(
    shop_rig: Rig, workshop: Workshop
):
    _, addon = await install(shop_rig, "standard")
    shop_rig.simulator.faults.add("lost_answer", direction="tokens")
    await shop_rig.work(rounds=3)
    assert (await shop_rig.resource(addon.id)).state == "provisioning"
    shop_rig.clock.forward(minutes=6)
    await shop_rig.work(rounds=2)
    assert "did not accept" in await refusal(shop_rig, addon.id)
    await assert_nothing_left(shop_rig, workshop, addon.id)


async def test_an_instant_resource_whose_grant_died_lives_on_and_rotation_is_refused(shop_rig: Rig):
    _, addon = await install(shop_rig, "test")
    shop_rig.clock.forward(minutes=6)
    await shop_rig.work()
    resource = await shop_rig.resource(addon.id)
    assert (resource.state, resource.grant_sealed) == ("provisioned", None)
    assert "did not accept" in (resource.last_error or "")
    with pytest.raises(Refused, match="does not let us"):
        await rotate(shop_rig, addon.id)
    assert await shop_rig.jobs() == []


async def rotate(rig: Rig, uuid: str) -> None:
    await rotation.rotate(rig.context, (await rig.resource(uuid)).uuid, "ada@example.com")


async def test_without_a_grant_it_waits_for_one_and_a_repeated_request_brings_it(shop_rig: Rig):
    await install(shop_rig, "standard")
    code = next(iter(shop_rig.simulator.world.grants))
    body = provision_body(plan="standard", oauth_grant=None)
    assert (await shop_rig.heroku.post("", json=body)).status_code == 202
    await shop_rig.work(rounds=2)
    assert await shop_rig.jobs() == [("push_config", "todo"), ("announce_provisioned", "todo")]
    # A grant of the other add-on serves here: the simulator only has to accept it.
    shop_rig.simulator.world.grants[code].used_at = None
    body["oauth_grant"] = {"code": code}
    assert (await shop_rig.heroku.post("", json=body)).status_code == 202
    await shop_rig.work()
    assert (await shop_rig.resource(body["uuid"])).has_tokens


async def test_without_a_grant_it_ends_at_the_limit(shop_rig: Rig, workshop: Workshop):
    body = provision_body(plan="standard", oauth_grant=None)
    await shop_rig.heroku.post("", json=body)
    await shop_rig.work(rounds=2)
    shop_rig.clock.forward(hours=11, minutes=51)
    await shop_rig.sweep()
    assert await refusal(shop_rig, body["uuid"]) == TOO_LATE
    await assert_nothing_left(shop_rig, workshop, body["uuid"])
    assert our_calls(shop_rig) == []


async def test_a_driver_that_refuses_ends_it_on_both_sides_with_its_reason(shop_rig: Rig, workshop: Workshop):
    _, addon = await install(shop_rig, "standard")
    workshop.trouble["provision"] = [Refused("All our shelves are full. Please try again tomorrow.")]
    await shop_rig.work()
    assert our_calls(shop_rig) == ["POST token", "POST deprovision"]
    assert addon.state == "deprovisioned"
    assert await refusal(shop_rig, addon.id) == "All our shelves are full. Please try again tomorrow."
    await assert_nothing_left(shop_rig, workshop, addon.id)
    assert (await shop_rig.events(addon.id))[-3:] == ["given_up", "deprovisioned", "removed"]


async def test_a_driver_that_breaks_again_and_again_is_given_up_without_its_words(shop_rig: Rig, workshop: Workshop):
    _, addon = await install(shop_rig, "standard")
    workshop.trouble["provision"] = [RuntimeError("password=hunter2") for _ in range(outcomes.PATIENCE)]
    await shop_rig.work(rounds=outcomes.PATIENCE - 1)
    resource = await shop_rig.resource(addon.id)
    assert (resource.state, resource.failures) == ("provisioning", outcomes.PATIENCE - 1)
    assert resource.last_error == "provision_service: RuntimeError in provision_service"
    await shop_rig.work()
    assert addon.state == "deprovisioned"
    assert await refusal(shop_rig, addon.id) == jobs.SORRY
    await assert_nothing_left(shop_rig, workshop, addon.id)


async def test_a_driver_that_breaks_once_less_than_that_is_forgiven(shop_rig: Rig, workshop: Workshop):
    _, addon = await install(shop_rig, "standard")
    workshop.trouble["provision"] = [RuntimeError() for _ in range(outcomes.PATIENCE - 1)]
    await shop_rig.work(rounds=outcomes.PATIENCE)
    assert addon.state == "provisioned"
    assert (await shop_rig.resource(addon.id)).failures == 0


async def test_a_driver_may_say_not_now_as_often_as_it_likes(shop_rig: Rig, workshop: Workshop):
    _, addon = await install(shop_rig, "standard")
    workshop.trouble["provision"] = [Retry("busy", after=timedelta(minutes=7)) for _ in range(15)]
    asked_at = datetime.now(UTC)
    await shop_rig.work()
    due = await due_at(shop_rig, "provision_service")
    assert due is not None
    assert due - asked_at >= timedelta(minutes=7)
    await shop_rig.work(rounds=15)
    assert addon.state == "provisioned"


async def test_tokens_refused_many_times_use_up_none_of_the_patience_with_other_errors(
    shop_rig: Rig, workshop: Workshop
):
    _, addon = await install(shop_rig, "standard")
    faults = shop_rig.simulator.faults
    faults.add("error", direction="platform", path="/config", status=401, count=24)
    await shop_rig.work(rounds=outcomes.PATIENCE + 3)
    assert (await shop_rig.resource(addon.id)).failures == 0
    assert addon.state == "provisioned"


@pytest.mark.parametrize("path", ["/config", "/actions/provision"])
async def test_what_heroku_refuses_is_told_to_operators_and_not_to_the_customer(
    shop_rig: Rig, workshop: Workshop, path
):
    _, addon = await install(shop_rig, "standard")
    shop_rig.simulator.faults.add("error", direction="platform", path=path, status=422)
    await shop_rig.work()
    assert await refusal(shop_rig, addon.id) == jobs.SORRY
    resource = await shop_rig.resource(addon.id)
    assert "Heroku answered 422: This fault was ordered." in (resource.last_error or "")
    assert addon.state == "deprovisioned"
    await assert_nothing_left(shop_rig, workshop, addon.id)


async def test_a_resource_that_heroku_does_not_know_is_flagged_and_keeps_its_data(shop_rig: Rig, workshop: Workshop):
    _, addon = await install(shop_rig, "standard")
    shop_rig.simulator.faults.add("error", direction="platform", path="/config", status=404)
    await shop_rig.work()
    resource = await shop_rig.resource(addon.id)
    assert resource.unknown_to_heroku_at == shop_rig.clock()
    assert resource.state == "provisioning"
    assert resource.uuid in workshop.things


async def test_what_is_not_ready_after_twelve_hours_ends_on_both_sides(shop_rig: Rig, workshop: Workshop):
    _, addon = await install(shop_rig, "standard")
    workshop.trouble["provision"] = [Retry("not yet") for _ in range(9)]
    await shop_rig.work(rounds=2)
    shop_rig.clock.forward(hours=11, minutes=49)
    await shop_rig.sweep()
    assert addon.state == "provisioning"
    shop_rig.clock.forward(minutes=2)
    await shop_rig.sweep()
    assert addon.state == "deprovisioned"
    assert await refusal(shop_rig, addon.id) == TOO_LATE
    await assert_nothing_left(shop_rig, workshop, addon.id)


async def test_a_job_that_runs_when_the_time_is_up_cannot_hold_up_the_end(shop_rig: Rig, workshop: Workshop):
    _, addon = await install(shop_rig, "standard")
    gate = workshop.hold("provision")
    workshop.trouble["provision"] = [Retry("not yet") for _ in range(20)]
    working = asyncio.create_task(shop_rig.work())
    await gate.arrived.wait()
    shop_rig.clock.forward(hours=13)
    await sweep(shop_rig.context)
    gate.open()
    await working
    await shop_rig.work()
    assert addon.state == "deprovisioned"
    assert await refusal(shop_rig, addon.id) == TOO_LATE
    await assert_nothing_left(shop_rig, workshop, addon.id)


async def test_the_reason_survives_a_heroku_that_cannot_be_told(shop_rig: Rig, workshop: Workshop):
    _, addon = await install(shop_rig, "standard")
    workshop.trouble["provision"] = [Refused("No room.")]
    shop_rig.simulator.faults.add("error", direction="platform", path="/deprovision", count=3)
    await shop_rig.work()
    assert await refusal(shop_rig, addon.id) == "No room."
    await shop_rig.work(rounds=4)
    assert addon.state == "deprovisioned"
    assert await refusal(shop_rig, addon.id) == "No room."
    await assert_nothing_left(shop_rig, workshop, addon.id)


async def test_config_that_the_manifest_does_not_list_is_never_sent(shop_rig: Rig, workshop: Workshop, monkeypatch):
    _, addon = await install(shop_rig, "standard")
    monkeypatch.setattr("workshop.CONFIG_VAR", "SOMETHING_ELSE_URL")
    await shop_rig.work(rounds=outcomes.PATIENCE)
    assert await refusal(shop_rig, addon.id) == jobs.SORRY
    assert "PATCH config" not in our_calls(shop_rig)
    await assert_nothing_left(shop_rig, workshop, addon.id)

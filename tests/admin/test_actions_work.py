"""What waits for a resource: tried now, asked for again, or given up by its own rule; and the rules of every action."""

from uuid import UUID

import pytest
from deeds import REASON, actor, deeds, do, installed
from rig import Rig
from sqlalchemy import text

from app import job_queue
from app.errors import Refused
from app.operations.action import Order, offer, perform
from app.operations.actions import ACTIONS
from app.operators.roles import NotAllowed, Role
from app.resources.jobs import SORRY


async def waiting(rig: Rig, uuid: str) -> dict[str, job_queue.QueuedWork]:
    async with rig.context.database.transaction() as session:
        return {work.name: work for work in await job_queue.work_of(session, UUID(uuid))}


async def behind_heroku(rig: Rig, *, seconds: int = 3600) -> str:
    """A resource whose config push has to wait for Heroku's rate limit, with another job behind it."""
    _, addon = await installed(rig)
    rig.simulator.faults.add("rate_limit", direction="platform", path="/config", seconds=seconds)
    await do(rig, "push-config", addon.id)
    await rig.work()
    return addon.id


class TestRetryNow:
    async def test_what_waits_for_its_time_runs_at_once(self, key_rig: Rig):
        uuid = await behind_heroku(key_rig)
        push = (await waiting(key_rig, uuid))["push_config"]
        assert push.due_at is not None
        assert (push.attempts, push.is_running) == (1, False)
        assert await do(key_rig, "retry-now", uuid, role=Role.SUPPORT) == "1 waiting job runs now."
        assert (await waiting(key_rig, uuid))["push_config"].due_at is None
        await key_rig.work()
        assert not (await key_rig.resource(uuid)).needs_push
        assert (await deeds(key_rig, uuid))[-1].kind == "retried"

    async def test_a_push_that_was_given_up_is_asked_for_again(self, key_rig: Rig):
        _, addon = await installed(key_rig)
        key_rig.simulator.faults.add("error", direction="platform", path="/config", status=422)
        await do(key_rig, "push-config", addon.id)
        await key_rig.work()
        assert (await key_rig.resource(addon.id)).needs_push
        assert await waiting(key_rig, addon.id) == {}
        assert await do(key_rig, "retry-now", addon.id) == "Asked for again: push_config."
        await key_rig.work()
        assert not (await key_rig.resource(addon.id)).needs_push

    async def test_a_grant_that_nothing_waits_to_exchange_is_exchanged_while_it_lives(self, key_rig: Rig):
        key_rig.simulator.world.create_app("shop")
        addon = await key_rig.simulator.calls.provision("shop", "test")
        async with key_rig.context.database.transaction() as session:
            await key_rig.context.queue.cancel(session, UUID(addon.id))
        await do(key_rig, "retry-now", addon.id)
        await key_rig.work()
        assert (await key_rig.resource(addon.id)).has_tokens

    async def test_a_provision_whose_jobs_were_lost_goes_on_to_its_end(self, key_rig: Rig):
        key_rig.simulator.world.create_app("shop")
        addon = await key_rig.simulator.calls.provision("shop", "standard")
        async with key_rig.context.database.transaction() as session:
            await key_rig.context.queue.cancel(session, UUID(addon.id))
        said = await do(key_rig, "retry-now", addon.id)
        assert said == "Asked for again: exchange_grant, provision_service."
        await key_rig.work()
        assert addon.state == "provisioned"

    async def test_where_nothing_waits_and_nothing_is_missing_it_says_so(self, key_rig: Rig):
        _, addon = await installed(key_rig)
        with pytest.raises(Refused, match="Nothing waits"):
            await do(key_rig, "retry-now", addon.id)
        await key_rig.heroku.delete(f"/{addon.id}")
        await key_rig.work()
        with pytest.raises(Refused, match="Nothing waits"):
            await do(key_rig, "retry-now", addon.id)
        assert await deeds(key_rig, addon.id) == []

    async def test_twice_asks_for_nothing_twice(self, key_rig: Rig):
        uuid = await behind_heroku(key_rig)
        for _ in range(3):
            await do(key_rig, "retry-now", uuid)
        assert [name for name, _ in await key_rig.jobs()] == ["push_config"]


class TestSkip:
    async def test_a_stuck_push_is_given_up_and_what_waits_behind_it_goes_on(self, key_rig: Rig):
        uuid = await behind_heroku(key_rig)
        await do(key_rig, "rotate", uuid)
        job = (await waiting(key_rig, uuid))["push_config"]
        assert await do(key_rig, "skip-job", uuid, role=Role.OPERATOR, job=str(job.id)) == "push_config was given up."
        assert list(await waiting(key_rig, uuid)) == ["rotate_service"]
        await key_rig.work()
        resource = await key_rig.resource(uuid)
        assert (resource.generation, resource.needs_push) == (2, False)
        assert "job_skipped" in [event.kind for event in await deeds(key_rig, uuid)]

    async def test_a_stuck_rotation_ends_as_if_it_had_failed(self, key_rig: Rig):
        _, addon = await installed(key_rig)
        await do(key_rig, "rotate", addon.id)
        job = (await waiting(key_rig, addon.id))["rotate_service"]
        await do(key_rig, "skip-job", addon.id, job=str(job.id))
        await key_rig.work()
        resource = await key_rig.resource(addon.id)
        assert (resource.generation, resource.is_rotating) == (1, False)
        assert (await key_rig.events(addon.id))[-1] == "rotation_failed"

    async def test_a_stuck_provision_ends_and_heroku_is_told(self, key_rig: Rig):
        key_rig.simulator.world.create_app("shop")
        addon = await key_rig.simulator.calls.provision("shop", "standard")
        job = (await waiting(key_rig, addon.id))["provision_service"]
        await do(key_rig, "skip-job", addon.id, job=str(job.id))
        await key_rig.work()
        resource = await key_rig.resource(addon.id)
        assert (resource.state, resource.refusal) == ("deprovisioned", SORRY)
        assert await key_rig.jobs() == []

    async def test_what_is_never_given_up_is_not_offered(self, key_rig: Rig):
        _, addon = await installed(key_rig)
        await do(key_rig, "suspend", addon.id)
        await key_rig.heroku.delete(f"/{addon.id}")
        (removal,) = (await waiting(key_rig, addon.id)).values()
        assert removal.name == "deprovision_service"
        with pytest.raises(Refused, match="No job waits"):
            await do(key_rig, "skip-job", addon.id, job=str(removal.id))

    async def test_jobs_of_others_and_nonsense_are_not_skipped(self, key_rig: Rig):
        uuid = await behind_heroku(key_rig)
        key_rig.simulator.world.create_app("other")
        other = await key_rig.simulator.calls.provision("other", "standard")
        (first, *_) = (await waiting(key_rig, other.id)).values()
        for job in (str(first.id), "", "0", "x", "1; DROP TABLE resources"):
            with pytest.raises(Refused, match="Choose one of what is offered"):
                await do(key_rig, "skip-job", uuid, job=job)
        assert first.name in await waiting(key_rig, other.id)

    async def test_a_job_that_has_begun_meanwhile_is_left_alone(self, key_rig: Rig):
        uuid = await behind_heroku(key_rig)
        job = (await waiting(key_rig, uuid))["push_config"]
        async with key_rig.context.database.transaction() as session:
            await session.execute(text("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = :id"), {"id": job.id})
        async with key_rig.context.database.transaction() as session:
            assert await job_queue.drop(session, UUID(uuid), job.id) is None
        assert (await waiting(key_rig, uuid))["push_config"].is_running


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
async def test_nothing_is_done_below_the_role_without_a_reason_or_to_what_is_not_there(key_rig: Rig, action):
    _, addon = await installed(key_rig)
    before = await key_rig.events(addon.id)
    uuid = UUID(addon.id)
    with pytest.raises(NotAllowed):
        await perform(key_rig.context, action, uuid, Order(actor=actor(Role(action.role - 1)), reason=REASON))
    with pytest.raises(Refused, match="Say why"):
        await perform(key_rig.context, action, uuid, Order(actor=actor(), reason="\n\t "))
    with pytest.raises(Refused, match="no such resource"):
        await perform(key_rig.context, action, UUID(int=7), Order(actor=actor(), reason=REASON))
    assert await key_rig.events(addon.id) == before
    assert await key_rig.jobs() == []


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
async def test_what_is_foretold_names_the_add_on_or_it_is_said_why_not(key_rig: Rig, action):
    _, addon = await installed(key_rig)
    resource = await key_rig.resource(addon.id)
    why_not = (await offer(key_rig.context, action, resource)).why_not
    told = why_not or await action.foretell(key_rig.context, resource)
    assert told.endswith(".")
    assert why_not or resource.name in told

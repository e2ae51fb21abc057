"""Any sequence of what customers, Heroku, time and trouble bring: once it is quiet again, all sides agree.

A failure prints the shortest sequence that leads to it, and how to play it again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from rig import Rig, provision_body
from workshop import CONFIG_VAR, Workshop

from app.errors import Gone, Refused, Retry
from app.resources import rotation, suspension
from app.resources.models import Resource
from app.resources.sweep import enqueue_measurements, sweep
from app.simulator.errors import HerokuError
from app.simulator.records import AddOn
from app.simulator.troubles import expire_access_tokens

PLANS = ("test", "standard", "premium")
LIVES = 20


@dataclass
class Life:
    """One resource and the model of it: whether it may still be there."""

    rig: Rig
    workshop: Workshop
    addon: AddOn
    plan: str
    was_deleted: bool = False

    async def row(self) -> Resource:
        return await self.rig.resource(self.addon.id)


async def work(life: Life) -> None:
    await life.rig.work()


async def look_for_due_work(life: Life) -> None:
    await sweep(life.rig.context)


async def measure(life: Life) -> None:
    life.rig.clock.forward(seconds=1)
    await enqueue_measurements(life.rig.context)


async def wait(life: Life, minutes: int) -> None:
    life.rig.clock.forward(minutes=minutes)


async def ask_again(life: Life) -> None:
    """Heroku repeats its request, perhaps late."""
    body = provision_body(uuid=life.addon.id, plan=life.plan, oauth_grant=None)
    before, answer = await life.row(), await life.rig.heroku.post("", json=body)
    event(f"repeated POST: {answer.status_code}")
    if before.refusal is not None:
        assert answer.status_code == 422
    elif before.is_gone:
        assert answer.status_code == 410
    else:
        assert answer.status_code == (200 if before.state == "provisioned" else 202)


async def change_plan(life: Life, plan: str) -> None:
    try:
        await life.rig.simulator.calls.change_plan(life.addon, plan)
    except HerokuError:
        return
    event("plan changed")


async def remove(life: Life) -> None:
    try:
        await life.rig.simulator.calls.deprovision(life.addon)
    except HerokuError:
        return
    life.was_deleted = True


async def rotate(life: Life) -> None:
    try:
        await rotation.rotate(life.rig.context, UUID(life.addon.id), "ada@example.com")
    except (Refused, Gone) as no:
        event(f"rotation: {type(no).__name__}")


async def retire_now(life: Life) -> None:
    try:
        await rotation.retire_now(life.rig.context, UUID(life.addon.id), "ada@example.com")
    except (Refused, Gone) as no:
        event(f"retirement: {type(no).__name__}")


async def suspend(life: Life) -> None:
    try:
        await suspension.suspend(life.rig.context, UUID(life.addon.id), "operator@acme.example")
    except (Refused, Gone) as no:
        event(f"suspension: {type(no).__name__}")


async def resume(life: Life) -> None:
    try:
        await suspension.resume(life.rig.context, UUID(life.addon.id), "operator@acme.example")
    except (Refused, Gone) as no:
        event(f"resuming: {type(no).__name__}")


async def end_tokens(life: Life) -> None:
    expire_access_tokens(life.rig.simulator.world, life.addon)


async def trouble_at_heroku(life: Life, kind: str, direction: str, status: int) -> None:
    life.rig.simulator.faults.add(kind, direction=direction, status=status)


async def trouble_in_calls(life: Life, kind: str) -> None:
    life.rig.simulator.faults.add(kind, direction="add-on")


async def trouble_with_driver(life: Life, verb: str, error: Callable[[], Exception]) -> None:
    life.workshop.trouble[verb].append(error())


def a_bug() -> Exception:
    return RuntimeError("a bug")


def not_now() -> Exception:
    return Retry("not now")


def no() -> Exception:
    return Refused("No, sorry.")


Step = tuple[Callable[..., Awaitable[None]], tuple[Any, ...]]


def step(function: Callable[..., Awaitable[None]], *arguments: st.SearchStrategy) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(function), st.tuples(*arguments))


# Answers like 404 and 422 are not among the troubles: after those an operator has to decide.
STEPS = st.one_of(
    step(work),
    step(work),
    step(look_for_due_work),
    step(measure),
    step(wait, st.sampled_from([1, 6, 130, 500, 715])),
    step(ask_again),
    step(change_plan, st.sampled_from(PLANS)),
    step(rotate),
    step(retire_now),
    step(suspend),
    step(resume),
    step(remove),
    step(end_tokens),
    step(
        trouble_at_heroku,
        st.sampled_from(["error", "drop", "lost_answer", "rate_limit"]),
        st.sampled_from(["tokens", "platform"]),
        st.sampled_from([401, 500, 503]),
    ),
    step(trouble_in_calls, st.sampled_from(["duplicate", "drop", "lost_answer", "error"])),
    step(
        trouble_with_driver,
        st.sampled_from(["provision", "change_plan", "rotate", "retire", "deprovision", "usage", "suspend", "resume"]),
        st.sampled_from([a_bug, not_now]),
    ),
    step(trouble_with_driver, st.sampled_from(["provision", "change_plan", "rotate"]), st.just(no)),
)


async def begin(rig: Rig, workshop: Workshop, plan: str) -> Life:
    app = rig.simulator.world.create_app(f"shop-{uuid4().hex[:12]}")
    return Life(rig, workshop, await rig.simulator.calls.provision(app.name, plan), plan)


async def calm_down(life: Life) -> None:
    """End all trouble, and let time pass until nothing waits any more on any side."""
    rig, calls = life.rig, life.rig.simulator.calls
    rig.simulator.faults.clear()
    life.workshop.trouble.clear()
    for _ in range(12):
        await rig.work(rounds=2)
        rig.clock.forward(hours=2)
        await sweep(rig.context)
        await calls.reap()
        await calls.retry_due()
        if await rig.jobs() == [] and not rig.simulator.world.pending_deletes and life.addon.state != "provisioning":
            return
    raise AssertionError(f"it never came to rest: {await rig.jobs()}, {life.addon}")


async def check(life: Life) -> None:
    row, thing = await life.row(), life.workshop.things.get(UUID(life.addon.id))
    event(f"ended {row.state}")
    assert row.unsettled_since is None
    assert row.state == life.addon.state
    if life.was_deleted:
        assert row.is_gone
    if row.is_gone:
        assert thing is None
        assert row.removed_at is not None
        assert (row.grant_sealed, row.access_token_sealed, row.refresh_token_sealed, row.config_sealed) == (None,) * 4
        return
    assert thing is not None
    assert row.plan == row.service_plan == thing.plan
    # Heroku cannot be told that a move was refused after it had been accepted.
    assert row.plan == life.addon.plan or "plan_change_failed" in await life.rig.events(row.uuid)
    assert row.config(life.rig.context.keys) == life.addon.config
    assert life.workshop.accepts(life.addon.config[CONFIG_VAR]) == (row.suspended_at is None)
    assert life.addon.config[CONFIG_VAR].endswith(f"/{row.plan}")
    assert not row.needs_push
    assert not row.is_rotating
    assert thing.generations == {row.generation}


@settings(
    max_examples=LIVES,
    deadline=timedelta(seconds=30),
    print_blob=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(plan=st.sampled_from(PLANS), steps=st.lists(STEPS, min_size=3, max_size=20))
async def test_after_any_life_all_sides_agree(shop_rig: Rig, workshop: Workshop, plan, steps):
    life = await begin(shop_rig, workshop, plan)
    for function, arguments in steps:
        await function(life, *arguments)
    await calm_down(life)
    await check(life)
    if not (await life.row()).is_gone:
        await remove(life)
        await calm_down(life)
        await check(life)

"""The deployed add-on under everything at once: whatever is asked of it and killed of it, in the end all sides agree.

Web, worker and Postgres are processes, and are killed while requests and jobs are under way; Heroku repeats, reorders,
loses answers, refuses tokens, is slow and says 429. Then it becomes quiet, and Heroku, the add-on's rows and what was
really sold are compared: nothing lost, nothing doubled, nothing left over, every config var equal and working.

What happens between processes is never quite the same twice, so a failure is not shrunk; it names the seed and the
steps. `FAULTS_SEED=7 ./run test tests/faults` plays the steps of a seed, `FAULTS_LIVES=300` is a night's length.
"""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, assume, given, note, seed, settings
from hypothesis import strategies as st
from inventory import agree, databases, keys, unrest
from rig import provision_body
from town import PLANS, Town, until

from app.operations import reconciliation
from app.operations.action import Order, perform
from app.operations.comparison import GRACE
from app.operations.ending import DEPROVISION
from app.operators.roles import Actor, Role
from app.simulator import apps, attaching
from app.simulator.errors import HerokuError
from app.simulator.records import AddOn
from app.simulator.troubles import expire_access_tokens

SEED = int(os.environ.get("FAULTS_SEED", random.SystemRandom().randrange(10**6)))
LIVES = int(os.environ.get("FAULTS_LIVES", "1"))
# How often time is moved on to the next thing that waits for it, until a storm counts as endless.
LONGEST_CALM = 150
FAMILIES = (("test", "standard", "premium"), ("key", "slow-key"))


@dataclass
class Life:
    """What a test does to a town."""

    town: Town
    app: str
    addons: list[AddOn] = field(default_factory=list)

    def some(self, number: int) -> AddOn | None:
        """One of those installed, so chosen that a seed chooses the same."""
        here = [one for one in self.addons if one.state != "deprovisioned"]
        return here[number % len(here)] if here else None


async def install(life: Life, _: int, plan: str) -> None:
    with suppress(HerokuError):
        life.addons.append(await life.town.simulator.calls.provision(life.app, plan))


async def ask_again(life: Life, number: int) -> None:
    if (addon := life.some(number)) is not None:
        body = provision_body(uuid=addon.id, plan=addon.plan, oauth_grant=None)
        with suppress(httpx2.TransportError):
            await life.town.heroku.post("", json=body)


async def change_plan(life: Life, number: int, step: int) -> None:
    if (addon := life.some(number)) is not None:
        family = next(family for family in FAMILIES if addon.plan in family)
        with suppress(HerokuError):
            await life.town.simulator.calls.change_plan(addon, family[(family.index(addon.plan) + step) % len(family)])


async def remove(life: Life, number: int) -> None:
    if (addon := life.some(number)) is not None:
        with suppress(HerokuError):
            await life.town.simulator.calls.deprovision(addon)


async def press(life: Life, number: int, button: str) -> None:
    """A customer comes from Heroku and presses a button on the dashboard; any answer but a bug will do."""
    if (addon := life.some(number)) is None:
        return
    town = life.town
    with suppress(httpx2.TransportError):
        async with httpx2.AsyncClient(base_url=town.url, timeout=30, trust_env=False, follow_redirects=True) as browser:
            page = await browser.post("/sso/login", data=town.simulator.calls.sso_form(addon))
            _, found, rest = page.text.partition('name="form_token" value="')
            if page.status_code == 200 and found:
                form = {"form_token": rest.partition('"')[0]}
                answer = await browser.post(f"/dashboard/{addon.id}/{button}", data=form)
                assert answer.status_code != 500, answer.text


async def rename(life: Life, _: int) -> None:
    life.town.simulator.world.check_app_name(name := f"shop-{uuid4().hex[:12]}")
    app = life.town.simulator.world.app(life.app)
    apps.rename(life.town.simulator.world, app, name, by=life.town.simulator.world.customers[app.owner_id])
    life.app = name


async def attach(life: Life, number: int) -> None:
    if (addon := life.some(number)) is not None:
        world = life.town.simulator.world
        attaching.attach(world, addon, world.app(life.app), f"LEDGER_{uuid4().hex[:6].upper()}")


async def detach(life: Life, number: int) -> None:
    if (addon := life.some(number)) is not None:
        with suppress(HerokuError):
            attaching.detach(life.town.simulator.world, life.town.simulator.world.attachments_of(addon)[-1])


async def end_tokens(life: Life, number: int) -> None:
    if (addon := life.some(number)) is not None:
        expire_access_tokens(life.town.simulator.world, addon)


async def trouble(life: Life, kind: str, direction: str, status: int) -> None:
    if kind == "revoke_token" and not life.town.simulator.world.oauth.reissues_grants:
        return  # nobody but Heroku could help then
    seconds = 40 if kind == "rate_limit" else 0.3
    life.town.simulator.faults.add(kind, direction=direction, status=status, seconds=seconds)


async def wait(life: Life, minutes: int) -> None:
    with suppress(psycopg.OperationalError):  # the queue's own times are past where the database is gone
        await life.town.forward(timedelta(minutes=minutes))


async def kill(life: Life, name: str) -> None:
    if name == "postgres":
        if life.town.is_postgres_up:
            life.town.kill_postgres()
    else:
        await life.town.kill(name)


async def repair(life: Life) -> None:
    await life.town.repair()


async def at_once(life: Life, victim: str, after: int, verbs: list["Step"]) -> None:
    """Several things at the same time, and one process killed in their midst; then the platform starts it again."""
    heard = len(life.town.simulator.world.exchanges)

    async def strike() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                while len(life.town.simulator.world.exchanges) < heard + after:
                    await asyncio.sleep(0.005)
        await kill(life, victim)

    await asyncio.gather(strike(), *(function(life, *arguments) for function, arguments in verbs))
    await repair(life)


Step = tuple[Callable[..., Awaitable[None]], tuple[Any, ...]]


def step(function: Callable[..., Awaitable[None]], *arguments: st.SearchStrategy) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(function), st.tuples(*arguments))


WHICH = st.integers(0, 9)
VERBS = st.one_of(
    step(install, st.just(0), st.sampled_from(PLANS)),
    step(install, st.just(0), st.sampled_from(PLANS)),
    step(ask_again, WHICH),
    step(change_plan, WHICH, st.integers(1, 2)),
    step(press, WHICH, st.sampled_from(["rotate", "rotate", "retire"])),
    step(remove, WHICH),
    step(rename, st.just(0)),
    step(attach, WHICH),
    step(detach, WHICH),
)
# Answers after which an operator has to decide, as 404 and 422, are not among the troubles.
TROUBLES = st.one_of(
    step(
        trouble,
        st.sampled_from(["error", "drop", "lost_answer", "rate_limit", "slow"]),
        st.sampled_from(["tokens", "platform"]),
        st.sampled_from([500, 503]),
    ),
    step(
        trouble,
        st.sampled_from(["duplicate", "drop", "lost_answer", "error", "reorder"]),
        st.just("add-on"),
        st.sampled_from([500, 503]),
    ),
    step(
        trouble,
        st.sampled_from(["duplicate", "drop", "lost_answer", "error", "reorder", "slow"]),
        st.just("webhook"),
        st.sampled_from([500, 503]),
    ),
    step(trouble, st.sampled_from(["expire_token", "revoke_token", "deprovision"]), st.just("platform"), st.just(503)),
    step(end_tokens, WHICH),
    step(wait, st.sampled_from([1, 6, 130, 500])),
)
VICTIMS = st.sampled_from(["web", "worker", "worker", "postgres"])
STORMS = step(at_once, VICTIMS, st.integers(1, 6), st.lists(VERBS, min_size=2, max_size=5))
# Whether Heroku gives a new refresh token each time, ending the old one, and whether it gives a grant twice. With the
# first and without the second a killed process may leave a resource without tokens, until somebody talks to Heroku.
HEROKUS = st.sampled_from([(False, False), (False, True), (True, True)])
# Hypothesis begins with the plainest of all examples. Of lives that one is not worth its minute: its luck is none.
LUCK = st.integers(0, 2**20)
STEPS = st.tuples(
    LUCK,
    HEROKUS,
    st.lists(VERBS, min_size=2, max_size=3),
    st.lists(st.one_of(VERBS, TROUBLES, TROUBLES, STORMS), min_size=6, max_size=10),
    STORMS,
)


async def calm_down(life: Life) -> None:
    """End all trouble, start what is dead, and let time pass until nothing waits any more on any side."""
    town = life.town
    town.simulator.faults.clear()
    await town.repair()
    for _ in range(LONGEST_CALM):
        await until(town.is_idle, f"no job runs or could run; the log is {town.log}")
        if (longest := await town.until_next_job()) is not None:
            await town.forward(longest)
        elif await unrest(town):
            await town.forward(timedelta(hours=2))
            await town.simulator.catch_up()
            await town.sweep()
        else:
            return
    pytest.fail(f"it never came to rest: {await unrest(town)}, {await town.queue()}; the log is {town.log}")


@pytest.fixture
def failures() -> list[BaseException]:
    """Of this run; the first is the only one: Hypothesis plays it once more, but the town is another by then."""
    return []


@settings(
    max_examples=LIVES,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@seed(SEED)
@given(steps=STEPS)
async def test_after_any_storm_all_sides_agree(town: Town, failures: list[BaseException], steps):
    luck, herokus, first, middle, last = steps
    assume(luck)
    note(f"FAULTS_SEED={SEED}")
    note("refresh tokens are replaced: {}; grants are given again: {}".format(*herokus))
    for function, arguments in (*first, *middle, last):
        note(f"{function.__name__}{arguments}")
    if failures:
        raise failures[0]
    try:
        await live(town, herokus, (*first, *middle, last))
    except BaseException as failure:
        failures.append(failure)
        raise


async def live(town: Town, herokus: tuple[bool, bool], steps: Sequence[Step]) -> None:
    world = town.simulator.world
    world.rotates_refresh_tokens, world.oauth.reissues_grants = herokus
    life = Life(town, world.create_app(f"shop-{uuid4().hex[:12]}").name)
    for function, arguments in steps:
        await function(life, *arguments)
    await calm_down(life)
    forgotten = await agree(town)
    town.clock.forward(GRACE)
    await let_operator_end(town, forgotten)
    for addon in [one for one in life.addons if one.state != "deprovisioned"]:
        await town.simulator.calls.deprovision(addon)
    await calm_down(life)
    assert await agree(town) == set()
    assert (await databases(town), await keys(town)) == (set(), set())


async def let_operator_end(town: Town, forgotten: set[UUID]) -> None:
    """What Heroku has given up without telling us is found by a reconciliation, and ended on an operator's word."""
    async with town.context() as context:
        await reconciliation.run_daily(context)
        run = await reconciliation.latest(context)
        assert run is not None
        assert run.error is None
        found = await reconciliation.differences(context, run.id)
        assert {one.resource_uuid for one in found if one.kind == "orphan"} == forgotten
        assert [one.kind for one in found if one.kind != "orphan"] == []
        for uuid in forgotten:
            order = Order(actor=Actor(name="root@town", role=Role.OWNER), reason="Heroku does not have it")
            await perform(context, DEPROVISION, uuid, order)

"""Many at once: what is ordered is done to every resource, once, at a pace that leaves room, and can be stopped."""

import asyncio
from collections import Counter
from dataclasses import replace
from uuid import UUID

import pytest
from rig import Rig
from sqlalchemy import func, select, text, update

from app.errors import Refused, Retry
from app.operations import batch_beginning, batch_progress, batch_selection, batch_work, batches
from app.operations.actions import ACTIONS
from app.operations.models import Batch, BatchItem, BatchState, ItemState
from app.operators.roles import Actor, Role
from app.resources.models import Resource, State
from app.resources.traces import Event

OPERATOR = Actor(name="olga@acme.example", role=Role.OPERATOR)
REASON = "The old credentials have leaked"


async def provision(rig: Rig, number: int, plan: str = "test") -> list[UUID]:
    app = rig.simulator.world.create_app(f"demo-{plan}")
    addons = [await rig.simulator.calls.provision(app.name, plan) for _ in range(number)]
    await rig.work()
    return [UUID(str(addon.id)) for addon in addons]


async def order(rig: Rig, action: str = "rotate", query: str = "state:provisioned", **changes) -> UUID:
    words = {"actor": OPERATOR, "parameters": {}, "reason": REASON, "number": None} | changes
    if words["number"] is None:
        words["number"] = len(await batch_selection.selected(rig.context, query))
    actor = words.pop("actor")
    return await batches.order(rig.context, actor, action=ACTIONS[action], query=query, **words)


async def counts(rig: Rig, batch_id: UUID) -> dict[str, int]:
    progress = await batch_progress.find(rig.context, batch_id)
    return {state.value: number for state, number in progress.counts.items() if number}


async def state(rig: Rig, batch_id: UUID) -> BatchState:
    return (await batch_progress.find(rig.context, batch_id)).batch.state


async def kinds(rig: Rig, kind: str) -> int:
    async with rig.context.database.transaction() as session:
        return await session.scalar(select(func.count()).where(Event.kind == kind))


class TestOrdering:
    async def test_the_worker_does_it_to_every_resource_and_the_history_says_why(self, key_rig: Rig):
        uuids = await provision(key_rig, 3)
        batch_id = await order(key_rig)
        assert await counts(key_rig, batch_id) == {"waiting": 3}

        await batch_work.work(key_rig.context)
        assert await counts(key_rig, batch_id) == {"begun": 3}
        await key_rig.work()
        await batch_work.work(key_rig.context)

        assert await counts(key_rig, batch_id) == {"done": 3}
        assert await state(key_rig, batch_id) is BatchState.DONE
        for uuid in uuids:
            resource = await key_rig.resource(uuid)
            assert (resource.generation, resource.needs_push) == (2, False)
        async with key_rig.context.database.transaction() as session:
            events = (await session.scalars(select(Event).where(Event.kind == "rotation_requested"))).all()
            ordered = await session.scalar(select(Event).where(Event.kind == "batch_ordered"))
        assert {event.resource_uuid for event in events} == set(uuids)
        assert {(event.actor, event.reason) for event in (*events, ordered)} == {(OPERATOR.name, REASON)}

    async def test_the_number_must_be_typed_and_be_right(self, key_rig: Rig):
        await provision(key_rig, 2)
        for number in (0, 1, 3):
            with pytest.raises(Refused, match="Type how many resources it is about, 2"):
                await order(key_rig, number=number)
        async with key_rig.context.database.transaction() as session:
            assert await session.scalar(select(func.count()).select_from(Batch)) == 0

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"reason": " "}, "Say why"),
            ({"query": "plan:standard"}, "No resource is found"),
            ({"query": ""}, "never about all"),
            ({"query": "colour:red"}, "There is no colour:"),
            ({"query": "failed-in:00000000-0000-4000-8000-000000000000"}, "no such batch"),
            ({"query": "failed-in:------------------------------------"}, "the id of a batch"),
            ({"action": "deprovision"}, "one resource at a time"),
            ({"action": "refresh-token"}, "one resource at a time"),
            ({"actor": Actor(name="s", role=Role.SUPPORT)}, "takes the role operator"),
            ({"action": "push-config", "actor": Actor(name="s", role=Role.SUPPORT)}, "takes the role operator"),
            ({"action": "move-plan", "parameters": {"plan": "gold"}}, "Choose one of what is offered: new plan"),
            ({"action": "move-plan"}, "Choose one of what is offered: new plan"),
        ],
    )
    async def test_what_makes_no_sense_is_refused_with_a_sentence(self, key_rig: Rig, changes, sentence):
        await provision(key_rig, 1)
        with pytest.raises(Refused, match=sentence):
            await order(key_rig, **({"number": 1} | changes))

    async def test_more_than_ten_thousand_are_several_batches(self, key_rig: Rig, monkeypatch):
        await provision(key_rig, 3)
        monkeypatch.setattr(batch_selection, "MOST", 2)
        with pytest.raises(Refused, match="More than 2 resources"):
            await order(key_rig, number=3)

    async def test_the_preview_says_what_would_happen_and_to_whom(self, key_rig: Rig):
        first, *_ = await provision(key_rig, 3)
        await provision(key_rig, 1, "standard")
        await batches.order(
            key_rig.context,
            OPERATOR,
            action=ACTIONS["rotate"],
            query=str(first),
            parameters={},
            reason=REASON,
            number=1,
        )
        await batch_work.work(key_rig.context)

        preview = await batch_selection.preview(key_rig.context, ACTIONS["rotate"], "state:provisioned", {})
        assert (preview.number, preview.looked_at, len(preview.first)) == (4, 4, 4)
        assert preview.plans == {"test": 3, "standard": 1}
        [(sentence, number)] = preview.refused.items()
        assert "rotation is still under way" in sentence
        assert number == 1
        assert "gets a release and restarts" in preview.foretold

        move = await batch_selection.preview(
            key_rig.context, ACTIONS["move-plan"], "state:provisioned", {"plan": "standard"}
        )
        [(parameter, choices)] = move.parameters
        assert parameter.name == "plan"
        assert {value for value, _ in choices} == {"test", "standard", "premium"}
        assert list(move.refused.values()) == [1]

    async def test_one_whose_plan_is_gone_from_the_code_is_counted_and_does_no_harm(self, key_rig: Rig):
        first, _ = await provision(key_rig, 2)
        async with key_rig.context.database.transaction() as session:
            await session.execute(update(Resource).where(Resource.uuid == first).values(plan="hobby"))
        for action in ("suspend", "move-plan"):
            preview = await batch_selection.preview(key_rig.context, ACTIONS[action], "state:provisioned", {})
            [(sentence, number)] = preview.refused.items()
            assert "hobby" in sentence
            assert number == 1
        batch_id = await order(key_rig, "suspend")
        await batch_work.work(key_rig.context)
        assert await counts(key_rig, batch_id) == {"begun": 1, "failed": 1}


class TestOutcomes:
    async def test_a_resource_that_does_not_allow_it_fails_with_the_sentence_and_the_others_go_on(self, key_rig: Rig):
        uuids = await provision(key_rig, 3)
        batch_id = await order(key_rig)
        await key_rig.simulator.calls.deprovision(key_rig.simulator.world.addons[str(uuids[1])])
        await batch_work.work(key_rig.context)
        await key_rig.work()
        await batch_work.work(key_rig.context)
        assert await counts(key_rig, batch_id) == {"done": 2, "failed": 1}
        [failed], more = await batch_progress.items(key_rig.context, batch_id, state=ItemState.FAILED)
        assert (failed.uuid, more) == (uuids[1], None)
        assert "deprovisioned" in failed.message

    async def test_what_heroku_refuses_has_failed_with_its_words(self, key_rig: Rig):
        await provision(key_rig, 1)
        batch_id = await order(key_rig, "push-config")
        await batch_work.work(key_rig.context)
        key_rig.simulator.faults.add("error", direction="platform", path="/config", status=422)
        await key_rig.work()
        await batch_work.work(key_rig.context)
        [failed], _ = await batch_progress.items(key_rig.context, batch_id)
        assert failed.state is ItemState.FAILED
        assert failed.message.startswith("push_config given up: ")
        assert "Heroku answered 422" in failed.message

    async def test_one_whose_tokens_heroku_refuses_has_failed_at_once_and_the_others_go_on(self, key_rig: Rig):
        uuids = await provision(key_rig, 3)
        batch_id = await order(key_rig)
        key_rig.simulator.faults.add("revoke_token", direction="platform", path="/config", count=1)
        await batch_work.work(key_rig.context)
        await key_rig.work()
        await batch_work.work(key_rig.context)
        assert await counts(key_rig, batch_id) == {"done": 2, "failed": 1}
        [failed], _ = await batch_progress.items(key_rig.context, batch_id, state=ItemState.FAILED)
        assert failed.uuid in uuids
        assert failed.message == (
            "Heroku does not accept its tokens; it is still being tried."
            " The last error was: push_config: POST /oauth/token: Heroku answered 401."
        )
        assert await key_rig.jobs() == [("push_config", "todo")]
        assert await state(key_rig, batch_id) is BatchState.DONE

    async def test_tokens_that_were_refused_before_it_began_count_for_nothing(self, key_rig: Rig):
        (uuid,) = await provision(key_rig, 1)
        faults = key_rig.simulator.faults
        # The call itself and the refresh, of the first batch's work and of its next try.
        faults.add("error", direction="platform", status=401, count=4)
        first = await order(key_rig, "push-config")
        for _ in range(2):
            await batch_work.work(key_rig.context)
            await key_rig.work()
        await batch_work.work(key_rig.context)
        assert await counts(key_rig, first) == {"failed": 1}
        faults.clear()
        key_rig.clock.forward(minutes=1)

        second = await order(key_rig, "retry-now", str(uuid))
        await batch_work.work(key_rig.context)
        await batch_work.work(key_rig.context)
        assert await counts(key_rig, second) == {"begun": 1}
        await key_rig.work()
        await batch_work.work(key_rig.context)
        assert await counts(key_rig, second) == {"done": 1}
        assert (await key_rig.resource(uuid)).unauthorized_at is None

    async def test_one_that_heroku_does_not_know_has_failed_with_that_sentence(self, key_rig: Rig):
        await provision(key_rig, 1)
        batch_id = await order(key_rig, "push-config")
        key_rig.simulator.faults.add("error", direction="platform", path="/config", status=404)
        await batch_work.work(key_rig.context)
        await key_rig.work()
        await batch_work.work(key_rig.context)
        [failed], _ = await batch_progress.items(key_rig.context, batch_id)
        assert (failed.state, failed.message) == (ItemState.FAILED, "Heroku says that it does not know this resource.")

    async def test_what_waits_for_hours_has_failed_although_it_is_still_tried(self, key_rig: Rig):
        await provision(key_rig, 1)
        batch_id = await order(key_rig, "push-config")
        await batch_work.work(key_rig.context)
        key_rig.clock.forward(minutes=59)
        await batch_work.work(key_rig.context)
        assert await counts(key_rig, batch_id) == {"begun": 1}
        key_rig.clock.forward(minutes=2)
        await batch_work.work(key_rig.context)
        [failed], _ = await batch_progress.items(key_rig.context, batch_id)
        assert "still being tried" in failed.message
        assert ("push_config", "todo") in await key_rig.jobs()

    async def test_work_that_somebody_took_out_of_the_queue_is_not_done(self, key_rig: Rig):
        await provision(key_rig, 1)
        batch_id = await order(key_rig, "push-config")
        await batch_work.work(key_rig.context)
        async with key_rig.context.database.transaction() as session:
            await session.execute(text("DELETE FROM procrastinate_jobs WHERE task_name = 'push_config'"))
        await batch_work.work(key_rig.context)
        [failed], _ = await batch_progress.items(key_rig.context, batch_id)
        assert "taken out of the queue" in failed.message

    async def test_plans_are_moved_and_services_closed_and_opened(self, key_rig: Rig):
        uuids = await provision(key_rig, 2)
        for action, parameters in (("move-plan", {"plan": "standard"}), ("suspend", {}), ("resume", {})):
            batch_id = await order(key_rig, action, parameters=parameters)
            await batch_work.work(key_rig.context)
            assert await counts(key_rig, batch_id) == {"begun": 2}, action
            await key_rig.work()
            await batch_work.work(key_rig.context)
            assert await counts(key_rig, batch_id) == {"done": 2}, action
        for uuid in uuids:
            assert (await key_rig.resource(uuid)).plan == "standard"
            assert {"plan_moved", "suspended", "resumed"} <= set(await key_rig.events(uuid))

    async def test_the_removal_of_a_deprovisioned_one_can_be_retried(self, key_rig: Rig):
        (uuid,) = await provision(key_rig, 1)
        await key_rig.simulator.calls.deprovision(key_rig.simulator.world.addons[str(uuid)])
        key_rig.clock.forward(seconds=1)
        batch_id = await order(key_rig, "retry-now", str(uuid))
        await batch_work.work(key_rig.context)
        assert await counts(key_rig, batch_id) == {"begun": 1}
        await key_rig.work()
        await batch_work.work(key_rig.context)
        assert await counts(key_rig, batch_id) == {"done": 1}

    async def test_one_that_ends_while_it_is_under_way_has_failed(self, key_rig: Rig):
        (uuid,) = await provision(key_rig, 1)
        batch_id = await order(key_rig, "push-config")
        await batch_work.work(key_rig.context)
        key_rig.clock.forward(seconds=1)
        await key_rig.simulator.calls.deprovision(key_rig.simulator.world.addons[str(uuid)])
        await batch_work.work(key_rig.context)
        [failed], _ = await batch_progress.items(key_rig.context, batch_id)
        assert (failed.state, failed.message) == (ItemState.FAILED, "It was deprovisioned meanwhile.")

    async def test_an_action_that_breaks_on_one_resource_does_not_hold_up_the_others(self, key_rig: Rig, monkeypatch):
        first, second = sorted(await provision(key_rig, 2))
        whole = ACTIONS["push-config"]

        async def broken(context, uuid, order):
            async with context.database.transaction() as session:
                await session.execute(update(Resource).where(Resource.uuid == uuid).values(name="half done"))
                if uuid == first:
                    raise ZeroDivisionError
            return await whole.run(context, uuid, order)

        monkeypatch.setattr(batch_beginning, "ACTIONS", {"push-config": replace(whole, run=broken, change=None)})
        batch_id = await order(key_rig, "push-config")
        await batch_work.work(key_rig.context)
        assert await counts(key_rig, batch_id) == {"begun": 1, "failed": 1}
        [item], _ = await batch_progress.items(key_rig.context, batch_id, state=ItemState.FAILED)
        assert "Our mistake (ZeroDivisionError)" in item.message
        assert (await key_rig.resource(first)).name != "half done"
        assert (await key_rig.resource(second)).name == "half done"

    async def test_one_that_breaks_among_those_that_begin_together_fails_alone(self, key_rig: Rig, monkeypatch):
        first, second = sorted(await provision(key_rig, 2))
        whole = ACTIONS["push-config"]

        def broken(context, session, resource, order):
            whole.change.make(context, session, resource, order)
            resource.name = "half done"
            if resource.uuid == second:
                raise ZeroDivisionError

        async def broken_alone(context, uuid, order):
            if uuid == second:
                raise ZeroDivisionError
            return await whole.run(context, uuid, order)

        changed = replace(whole, run=broken_alone, change=replace(whole.change, make=broken))
        monkeypatch.setattr(batch_beginning, "ACTIONS", {"push-config": changed})
        batch_id = await order(key_rig, "push-config")
        await batch_work.work(key_rig.context)
        assert await counts(key_rig, batch_id) == {"begun": 1, "failed": 1}
        assert await key_rig.jobs() == [("push_config", "todo")]
        for uuid, times in ((first, 1), (second, 0)):
            assert (await key_rig.events(uuid)).count("push_requested") == times
            assert (await key_rig.resource(uuid)).name != "half done"

    async def test_a_batch_of_what_failed_finds_just_that(self, key_rig: Rig):
        uuids = await provision(key_rig, 3)
        batch_id = await order(key_rig)
        async with key_rig.context.database.transaction() as session:
            await session.execute(
                update(BatchItem).where(BatchItem.resource_uuid.in_(uuids[:2])).values(state=ItemState.FAILED)
            )
        assert set(await batch_selection.selected(key_rig.context, f"failed-in:{batch_id}")) == set(uuids[:2])
        again = await order(key_rig, query=f"failed-in:{batch_id}")
        assert await counts(key_rig, again) == {"waiting": 2}


class TestPace:
    async def test_a_minute_begins_with_as_many_as_the_setting_says(self, make_rig):
        async with make_rig(batch_per_minute="2").running() as rig:
            await provision(rig, 5)
            batch_id = await order(rig, "push-config")
            seen = []
            for _ in range(3):
                await batch_work.work(rig.context)
                await batch_work.work(rig.context)
                seen.append((await counts(rig, batch_id)).get("waiting", 0))
                rig.clock.forward(seconds=61)
            assert seen == [3, 1, 0]

    async def test_what_does_not_call_heroku_is_not_held_back_by_what_does(self, make_rig):
        async with make_rig(batch_per_minute="1").running() as rig:
            await provision(rig, 3)
            pushed = await order(rig, "push-config")
            closed = await order(rig, "suspend")
            await batch_work.work(rig.context)
            assert await counts(rig, pushed) == {"waiting": 2, "begun": 1}
            assert await counts(rig, closed) == {"begun": 3}

    async def test_only_so_many_are_under_way_at_once_and_stuck_ones_make_room(self, key_rig: Rig, monkeypatch):
        monkeypatch.setattr(batch_work, "IN_FLIGHT", 2)
        await provision(key_rig, 4)
        batch_id = await order(key_rig, "push-config")
        for _ in range(3):
            await batch_work.work(key_rig.context)
        assert await counts(key_rig, batch_id) == {"waiting": 2, "begun": 2}
        key_rig.clock.forward(minutes=6)
        await batch_work.work(key_rig.context)
        assert await counts(key_rig, batch_id) == {"begun": 4}

    async def test_batches_take_turns(self, key_rig: Rig, monkeypatch):
        monkeypatch.setattr(batch_work, "IN_FLIGHT", 4)
        await provision(key_rig, 5)
        long, short = await order(key_rig, "push-config"), await order(key_rig, "push-config")
        await batch_work.work(key_rig.context)
        assert await counts(key_rig, long) == await counts(key_rig, short) == {"waiting": 3, "begun": 2}

    async def test_its_jobs_let_customers_go_first(self, key_rig: Rig):
        await provision(key_rig, 1)
        await order(key_rig, "rotate")
        await batch_work.work(key_rig.context)
        async with key_rig.context.database.transaction() as session:
            waiting = await session.execute(text("SELECT task_name, priority FROM procrastinate_jobs"))
            assert dict(tuple(row) for row in waiting) == {"rotate_service": -1}

    async def test_many_failures_in_a_row_pause_it(self, key_rig: Rig, monkeypatch):
        monkeypatch.setattr(batch_work, "MOST_FAILURES", 3)
        await provision(key_rig, 5)
        monkeypatch.setattr(batch_work, "IN_FLIGHT", 3)
        batch_id = await order(key_rig, "push-config")
        await batch_work.work(key_rig.context)
        key_rig.clock.forward(hours=2)
        monkeypatch.setattr(batch_work, "IN_FLIGHT", 0)
        await batch_work.work(key_rig.context)
        assert await state(key_rig, batch_id) is BatchState.PAUSED
        assert await counts(key_rig, batch_id) == {"waiting": 2, "failed": 3}
        assert await kinds(key_rig, "batch_paused") == 1
        assert "3 resources failed" in (await batch_progress.find(key_rig.context, batch_id)).batch.note

        await batches.resume(key_rig.context, OPERATOR, batch_id)
        monkeypatch.setattr(batch_work, "IN_FLIGHT", 9)
        await batch_work.work(key_rig.context)
        await batch_work.work(key_rig.context)
        assert await state(key_rig, batch_id) is BatchState.RUNNING


class TestStopping:
    async def test_a_paused_batch_begins_nothing_and_finishes_what_has_begun(self, key_rig: Rig, monkeypatch):
        monkeypatch.setattr(batch_work, "IN_FLIGHT", 2)
        await provision(key_rig, 4)
        batch_id = await order(key_rig, "push-config")
        await batch_work.work(key_rig.context)
        await batches.pause(key_rig.context, OPERATOR, batch_id)
        await key_rig.work()
        await batch_work.work(key_rig.context)
        assert await counts(key_rig, batch_id) == {"waiting": 2, "done": 2}

        await batches.resume(key_rig.context, OPERATOR, batch_id)
        await batch_work.work(key_rig.context)
        assert await counts(key_rig, batch_id) == {"begun": 2, "done": 2}

    async def test_a_cancelled_batch_is_over_but_for_what_has_begun(self, key_rig: Rig, monkeypatch):
        monkeypatch.setattr(batch_work, "IN_FLIGHT", 1)
        await provision(key_rig, 3)
        batch_id = await order(key_rig, "push-config")
        await batch_work.work(key_rig.context)
        await batches.cancel(key_rig.context, OPERATOR, batch_id)
        await key_rig.work()
        await batch_work.work(key_rig.context)
        assert await counts(key_rig, batch_id) == {"waiting": 2, "done": 1}
        for verb in (batches.pause, batches.resume, batches.cancel):
            with pytest.raises(Refused, match="it is cancelled"):
                await verb(key_rig.context, OPERATOR, batch_id)

    async def test_it_takes_an_operator(self, key_rig: Rig):
        await provision(key_rig, 1)
        batch_id = await order(key_rig)
        for verb in (batches.pause, batches.resume, batches.cancel):
            with pytest.raises(Refused, match="takes the role operator"):
                await verb(key_rig.context, Actor(name="s", role=Role.SUPPORT), batch_id)


class TestCrashes:
    async def test_a_round_that_dies_between_deed_and_commit_repeats_nothing(self, key_rig: Rig, monkeypatch):
        (uuid,) = await provision(key_rig, 1)
        batch_id = await order(key_rig)
        whole = batch_work.begin

        async def begin_and_die(*words):
            await whole(*words)
            raise asyncio.CancelledError

        monkeypatch.setattr(batch_work, "begin", begin_and_die)
        with pytest.raises(asyncio.CancelledError):
            await batch_work.work(key_rig.context)
        assert await counts(key_rig, batch_id) == {"waiting": 1}
        assert await key_rig.jobs() == []

        monkeypatch.undo()
        await batch_work.work(key_rig.context)
        await key_rig.work()
        assert (await key_rig.events(uuid)).count("rotation_requested") == 1
        assert (await key_rig.resource(uuid)).generation == 2

    async def test_two_workers_do_everything_once(self, key_rig: Rig):
        uuids = await provision(key_rig, 12)
        batch_id = await order(key_rig, "push-config")
        await asyncio.gather(*(batch_work.work(key_rig.context) for _ in range(4)))
        while (await counts(key_rig, batch_id)).get("waiting"):
            await asyncio.gather(*(batch_work.work(key_rig.context) for _ in range(4)))
        requested = Counter()
        for uuid in uuids:
            requested[uuid] += (await key_rig.events(uuid)).count("push_requested")
        assert set(requested.values()) == {1}

    async def test_without_the_database_a_round_waits_for_the_next(self, key_rig: Rig, monkeypatch):
        await provision(key_rig, 1)
        batch_id = await order(key_rig)

        async def no_database(*_words):
            raise Retry("the database is not available just now")

        with monkeypatch.context() as patch:
            patch.setattr(batch_work, "_next_batch", no_database)
            await batch_work.work(key_rig.context)
        assert await counts(key_rig, batch_id) == {"waiting": 1}


async def test_ten_thousand_are_ordered_and_leafed_through_fast(key_rig: Rig):
    (pattern,) = await provision(key_rig, 1)
    async with key_rig.context.database.transaction() as session:
        columns = ", ".join(column.name for column in Resource.__table__.columns if column.name != "uuid")
        await session.execute(
            text(
                f"INSERT INTO resources (uuid, {columns}) SELECT gen_random_uuid(), {columns}"
                " FROM resources, generate_series(1, 9999) WHERE uuid = :uuid"
            ),
            {"uuid": pattern},
        )
    batch_id = await order(key_rig, "push-config", number=10_000)
    seen = set()
    after = None
    loop = asyncio.get_running_loop()
    started = loop.time()
    while True:
        page, after = await batch_progress.items(key_rig.context, batch_id, after=after)
        seen.update(item.uuid for item in page)
        if after is None:
            break
    assert len(seen) == 10_000
    per_page = (loop.time() - started) / 200
    assert per_page < 0.1, f"{per_page * 1000:.0f} ms for a page"
    assert State.PROVISIONED in {item.resource_state for item in page}

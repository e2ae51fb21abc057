"""Things that happen at once, twice, in the wrong order or in the middle of others: one uuid stays one resource."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

from app.conformance.bench import Bench
from app.conformance.requirement import NotApplicable, Unmet, must, should
from app.conformance.wire import Answer
from app.simulator.records import AddOn, Exchange

from . import background, interruptions
from .answers import not_crashed, without_exception_text
from .docs import ASYNC_PROVISIONING, PARTNER_API

_AT_ONCE = 20
_NOTHING_MORE_WITHIN_SECONDS = 0.3
_REPEATS_EVERY_SECONDS = 0.5


def _agree(answers: list[Answer], sent: str) -> None:
    """Demand that all answers are successes about one resource."""
    for answer in answers:
        if not answer.is_success:
            raise Unmet("Each of them gets the answer that one alone gets.", f"{sent}: {answer.said}", answer.exchange)
    for name in ("id", "config"):
        values = [answer.body[name] for answer in answers if isinstance(answer.body, dict) and name in answer.body]
        different = [value for value in values if value != values[0]]
        if different:
            raise Unmet(
                f"All of them are about one resource and carry the same {name}.",
                f"{sent}: the answers have more than one {name}.",
                answers[-1].exchange,
            )


async def _equal_requests(bench: Bench, plan: str) -> AddOn:
    addon = bench.draft(plan)
    body = bench.body_of(addon)
    answers = await asyncio.gather(*(bench.post(body, addon=addon) for _ in range(_AT_ONCE)))
    _agree(answers, f"{_AT_ONCE} equal requests at once")
    slowest = max(answer.seconds for answer in answers)
    bench.measured[f"{_AT_ONCE} equal requests at once"] = f"{slowest:.2f} s"
    return addon


@must("races", PARTNER_API, needs=["provision-works"])
async def equal_requests_at_once_make_one_resource(bench: Bench) -> None:
    """The same provision request twenty times at once makes one resource: every answer has the same id and config."""
    await _equal_requests(bench, bench.plan)


@must(
    "races",
    ASYNC_PROVISIONING,
    needs=[
        "pushed-config-is-accepted",
        "background-provision-ends",
        "nothing-is-said-twice",
        "grant-is-exchanged-once",
    ],
)
async def equal_requests_at_once_are_worked_on_once(bench: Bench) -> None:
    """The same request twenty times at once, for a plan made in the background: its work is done and told once."""
    addon = await _equal_requests(bench, await bench.plan_answered(202))
    await background.end(bench, addon, in_spite_of="equal requests at once")
    spent = [one for one in bench.exchanges(addon, "tokens") if one.status == 401]
    if spent:
        raise Unmet("A grant is exchanged once.", "It was sent again after it was spent.", spent[0])
    # The later ones come, if they come, in the moment in which the first ended.
    await bench.until(lambda: len(background.announcements(bench, addon)) > 1, within=0.1)
    told = background.announcements(bench, addon)
    if len(told) > 1:
        raise Unmet("actions/provision is called once.", f"It was called {len(told)} times.", told[-1])


@must("races", PARTNER_API, needs=["provision-works"])
async def different_requests_at_once_are_all_served(bench: Bench) -> None:
    """Twenty provision requests at once make a resource each; what is answered 503 meanwhile is served afterwards."""
    addons = [bench.draft() for _ in range(_AT_ONCE)]
    bodies = [bench.body_of(addon) for addon in addons]
    answers = await asyncio.gather(*(bench.post(body, addon=addon) for body, addon in zip(bodies, addons, strict=True)))
    for answer in answers:
        not_crashed(answer, f"One of {_AT_ONCE} requests at once")
        without_exception_text(answer, f"One of {_AT_ONCE} requests at once")
    served = [answer for answer in answers if answer.is_success]
    bench.measured[f"{_AT_ONCE} different requests at once"] = (
        f"{len(served)} served, {max(answer.seconds for answer in answers):.2f} s"
    )
    for body, answer in zip(bodies, answers, strict=True):
        if answer.status == 503:
            served.append(await _served_later(bench, body))
            break
    ids = [answer.body.get("id") for answer in served if isinstance(answer.body, dict)]
    if len(set(ids)) < len(ids):
        raise Unmet("Each resource has an id of its own.", "Two have the same id.", served[-1].exchange)


async def _served_later(bench: Bench, body: dict[str, Any]) -> Answer:
    """Repeat a request that was turned away until it is served."""
    now = asyncio.get_running_loop().time
    ends_at = now() + bench.target.patience
    while not (answer := await bench.post(body)).is_success:
        if answer.status != 503 or now() >= ends_at:
            raise Unmet("What was answered 503 is served when it is repeated.", answer.said, answer.exchange)
        await asyncio.sleep(_REPEATS_EVERY_SECONDS)
    return answer


async def _is_gone(bench: Bench, addon: AddOn, after: str) -> None:
    answer = await bench.put(addon.id, {"plan": addon.plan})
    if answer.status not in {404, 410}:
        raise Unmet("The resource is gone, for good.", f"A PUT after {after}: {answer.said}", answer.exchange)


def _is_removal(answer: Answer, sent: str) -> None:
    if not answer.is_success and answer.status not in {404, 410}:
        raise Unmet(
            "DELETE succeeds, or says that there is nothing (any more).", f"{sent}: {answer.said}", answer.exchange
        )


@must("races", PARTNER_API, needs=["provision-works", "deprovision-works"])
async def provision_and_deprovision_at_once_leave_nothing(bench: Bench) -> None:
    """A DELETE beside its own POST is answered without an error, and one that comes after both removes it for good."""
    for plan in await background.and_at_once(bench):
        addon = bench.draft(plan)
        body = bench.body_of(addon)
        posted, deleted = await asyncio.gather(bench.post(body, addon=addon), bench.delete(addon.id))
        not_crashed(posted, "POST beside a DELETE")
        not_crashed(deleted, "DELETE beside a POST")
        # Which of the two came first is not known here; Heroku sends a DELETE again when the POST succeeded.
        _is_removal(await bench.delete(addon.id), "DELETE after both")
        await _is_gone(bench, addon, "POST and DELETE at once")


@must("races", PARTNER_API, needs=["plan-change-works", "deprovision-works"])
async def plan_change_and_deprovision_at_once_leave_nothing(bench: Bench) -> None:
    """A DELETE beside a plan change is answered without an error, and the resource is gone afterwards."""
    addon = await bench.provisioned()
    plan = bench.another_plan(addon)
    changed, deleted = await asyncio.gather(bench.put(addon.id, {"plan": plan}), bench.delete(addon.id))
    not_crashed(changed, "PUT beside a DELETE")
    not_crashed(deleted, "DELETE beside a PUT")
    if not deleted.is_success:
        _is_removal(await bench.delete(addon.id), "DELETE after both")
    await _is_gone(bench, addon, "PUT and DELETE at once")


@must("races", PARTNER_API, needs=["provision-works", "deprovision-works"])
async def two_deprovisions_at_once_are_one(bench: Bench) -> None:
    """Two DELETEs at once: one succeeds, the other too or it says 410 (404); the resource is gone afterwards."""
    addon = await bench.provisioned()
    answers = await asyncio.gather(bench.delete(addon.id), bench.delete(addon.id))
    for answer in answers:
        _is_removal(answer, "One of two DELETEs at once")
    if not any(answer.is_success for answer in answers):
        raise Unmet("One of the two succeeds.", "Neither did.", answers[0].exchange)
    await _is_gone(bench, addon, "two DELETEs at once")


@must("races", PARTNER_API, needs=["provision-works", "deprovision-works", "deprovision-of-the-unknown-is-harmless"])
async def deprovision_that_overtakes_its_provision_leaves_nothing(bench: Bench) -> None:
    """A DELETE may come before its POST: the POST is refused (410), or what it makes goes with the next DELETE."""
    addon = bench.draft()
    body = bench.body_of(addon)
    _is_removal(await bench.delete(addon.id), "DELETE of what is not there yet")
    posted = await bench.post(body, addon=addon)
    not_crashed(posted, "POST after its DELETE")
    if posted.is_success:
        _is_removal(await bench.delete(addon.id), "DELETE after both")
    await _is_gone(bench, addon, "DELETE, POST, DELETE")


@must(
    "races",
    ASYNC_PROVISIONING,
    needs=["background-provision-ends", "deprovision-works", "provision-after-deprovision-is-410"],
)
async def deprovision_in_the_middle_of_provisioning_wins(bench: Bench) -> None:
    """A resource that is removed while it is being made is gone for good, whatever was under way."""
    addon = await _removed_meanwhile(bench)
    await _is_gone(bench, addon, "a DELETE in the middle of provisioning")
    # What was under way may end only now, and must not bring it back.
    await bench.until(lambda: False, within=_NOTHING_MORE_WITHIN_SECONDS)
    await _is_gone(bench, addon, "a DELETE in the middle of provisioning, when its work had time to end")
    again = await bench.post(bench.body_of(addon), addon=addon)
    not_crashed(again, "The same POST after the DELETE")
    if again.is_success:
        raise Unmet(
            "A uuid that was deprovisioned does not come back: 410.",
            f"The same POST after the DELETE: {again.said}",
            again.exchange,
        )


@should("races", ASYNC_PROVISIONING, needs=["deprovision-in-the-middle-of-provisioning-wins"])
async def nothing_is_pushed_for_what_was_removed(bench: Bench) -> None:
    """After a DELETE the add-on stops calling Heroku about the resource: its token is no more."""
    addon = await _removed_meanwhile(bench)
    before = len(_calls_of_any_kind(bench, addon))
    await bench.until(lambda: len(_calls_of_any_kind(bench, addon)) > before + 2, within=_NOTHING_MORE_WITHIN_SECONDS)
    later = _calls_of_any_kind(bench, addon)[before:]
    if len(later) > 1:  # one may have been under way
        raise Unmet("The work on it ends with the DELETE.", f"{len(later)} calls came afterwards.", later[-1])


async def _removed_meanwhile(bench: Bench) -> AddOn:
    """Return an add-on that a customer removed the moment its add-on called Heroku about it, after its DELETE."""
    addon = await background.draft(bench)
    bench.simulator.faults.add("deprovision", direction="platform", path=addon.id)
    await background.begin(bench, addon)
    if not await bench.until(lambda: addon.state == "deprovisioned"):
        raise NotApplicable("Nothing was asked of Heroku's API while the resource was provisioned.")
    await bench.until(lambda: _deletes(bench, addon))
    deleted = _deletes(bench, addon)[0]
    if deleted.status not in {200, 202, 204}:
        seen = "There was no answer." if deleted.status is None else f"The answer was {deleted.status}."
        raise Unmet("DELETE succeeds while the resource is being made.", seen, deleted)
    return addon


def _deletes(bench: Bench, addon: AddOn) -> list[Exchange]:
    return [one for one in bench.exchanges(addon, "add-on") if one.method == "DELETE"]


def _calls_of_any_kind(bench: Bench, addon: AddOn) -> list[Exchange]:
    return [
        one
        for one in bench.world.exchanges
        if one.direction in {"platform", "tokens"} and (one.addon_id == addon.id or addon.id in urlsplit(one.url).path)
    ]


REQUIREMENTS = [
    equal_requests_at_once_make_one_resource,
    equal_requests_at_once_are_worked_on_once,
    different_requests_at_once_are_all_served,
    provision_and_deprovision_at_once_leave_nothing,
    plan_change_and_deprovision_at_once_leave_nothing,
    two_deprovisions_at_once_are_one,
    deprovision_that_overtakes_its_provision_leaves_nothing,
    deprovision_in_the_middle_of_provisioning_wins,
    nothing_is_pushed_for_what_was_removed,
    *interruptions.REQUIREMENTS,
]

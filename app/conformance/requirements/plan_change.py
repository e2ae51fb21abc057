"""A customer changes the plan: up, down, to the same, to one that is not there; yes at once, yes later, or no."""

import asyncio

from app.conformance.bench import Bench
from app.conformance.requirement import NotApplicable, Requirement, Unmet, must, should
from app.conformance.wire import Answer
from app.simulator.records import AddOn

from . import background
from .answers import UNKNOWN_PLAN, not_crashed, refused, same_resource, served_or_refused, without_exception_text
from .config_values import must_be_usable
from .docs import BEST_PRACTICES, PARTNER_API

_GROUP = "plan-change"
# What an add-on may say while an earlier change is still under way in the background.
_NOT_NOW = frozenset({409, 503})
_ASKS_AGAIN_AFTER_SECONDS = 1


async def _change(bench: Bench, addon: AddOn, plan: str) -> Answer:
    """Change the plan by hand, after an earlier change is done; take over what the answer says, as Heroku does."""
    answer = await bench.put(addon.id, {"plan": plan}, addon=addon)
    for _ in range(int(bench.target.patience)):
        if answer.status not in _NOT_NOW:
            break
        await asyncio.sleep(_ASKS_AGAIN_AFTER_SECONDS)
        answer = await bench.put(addon.id, {"plan": plan}, addon=addon)
    if answer.is_success:
        addon.plan = plan
        if isinstance(answer.body, dict) and isinstance(answer.body.get("config"), dict):
            addon.config = addon.config | answer.body["config"]
    return answer


async def _changed(bench: Bench) -> tuple[AddOn, str, Answer]:
    """Return an add-on whose plan was changed, its former plan and the answer; NotApplicable when it cannot be."""
    addon = await bench.provisioned()
    before = addon.plan
    refusals = []
    for plan in [one.name for one in bench.offer.plans if one.name != before] or [bench.another_plan(addon)]:
        answer = await _change(bench, addon, plan)
        if answer.is_success:
            return addon, before, answer
        refusals.append(answer)
    served_or_refused(refusals[0], "A plan change")
    raise NotApplicable("The add-on refuses every change of plan.")


@must(_GROUP, PARTNER_API, needs=["provision-works"])
async def plan_change_works(bench: Bench) -> None:
    """A plan change is answered 200 or 202 with a JSON object, or refused with 422 and a message for the customer."""
    addon = await bench.provisioned()
    others = [one.name for one in bench.offer.plans if one.name != addon.plan] or [bench.another_plan(addon)]
    for plan in (*others, addon.plan):
        answer = await _change(bench, addon, plan)
        served_or_refused(answer, f"A change to the plan {plan}")
        if answer.is_success and isinstance(config := answer.body.get("config"), dict):
            _is_declared(bench, config, answer)
            must_be_usable(bench, config)


def _is_declared(bench: Bench, config: dict[str, object], answer: Answer) -> None:
    wrong = [
        name for name, value in config.items() if name not in bench.offer.config_vars or not isinstance(value, str)
    ]
    if wrong:
        raise Unmet(
            "Config has only names that the manifest declares, and only strings.",
            f"The answer's config is wrong in {', '.join(sorted(wrong))}.",
            answer.exchange,
        )


@should(_GROUP, PARTNER_API, needs=["provision-works", "plan-change-works"])
async def plan_change_is_answered_within_three_seconds(bench: Bench) -> None:
    """A plan change is answered within three seconds; after 25 Heroku gives up, and the two disagree about the plan."""
    _, _, answer = await _changed(bench)
    bench.measured["plan change"] = f"{answer.seconds:.2f} s"
    if answer.seconds > 3:
        raise Unmet("Within three seconds.", f"It took {answer.seconds:.1f} s.", answer.exchange)


@must(_GROUP, PARTNER_API, needs=["provision-works", "plan-change-works"])
async def plan_change_again_is_harmless(bench: Bench) -> None:
    """A plan change that is repeated, because its answer was lost, succeeds again and changes nothing more."""
    addon, _, first = await _changed(bench)
    again = await _change(bench, addon, addon.plan)
    if not again.is_success:
        raise Unmet("It succeeds again.", f"The same plan change again: {again.said}", again.exchange)
    configs = [one.body.get("config") if isinstance(one.body, dict) else None for one in (first, again)]
    if all(isinstance(config, dict) for config in configs) and configs[0] != configs[1]:
        raise Unmet("It changes nothing more.", "The second answer has other config vars.", again.exchange)


@must(_GROUP, BEST_PRACTICES, needs=["provision-works"])
async def change_to_the_same_plan_succeeds(bench: Bench) -> None:
    """A change to the plan that the resource has is nothing to do and succeeds: Heroku missed an earlier answer."""
    addon = await bench.provisioned()
    answer = await bench.put(addon.id, {"plan": addon.plan}, addon=addon)
    if answer.status == 422:
        await _changed(bench)  # an add-on that changes no plans at all may refuse this one too
    if not answer.is_success:
        raise Unmet("It is answered 200.", f"A change to the same plan: {answer.said}", answer.exchange)
    config = answer.body.get("config") if isinstance(answer.body, dict) else None
    if isinstance(config, dict) and any(addon.config.get(name) != value for name, value in config.items()):
        raise Unmet("Nothing changes.", "The answer has other config vars.", answer.exchange)


@must(_GROUP, PARTNER_API, needs=["provision-works", "plan-change-works"])
async def change_there_and_back_leaves_it_working(bench: Bench) -> None:
    """After a change to another plan the way back is open, or refused with 422 and a message; the resource stays."""
    addon, before, _ = await _changed(bench)
    back = await _change(bench, addon, before)
    served_or_refused(back, "A change back to the former plan")
    again = await bench.put(addon.id, {"plan": addon.plan}, addon=addon)
    if not again.is_success:
        raise Unmet("The resource has the plan it was given last.", f"A change to it: {again.said}", again.exchange)


@must(_GROUP, PARTNER_API, needs=["provision-works"])
async def change_to_an_unknown_plan_is_refused(bench: Bench) -> None:
    """A change to a plan that the add-on does not have is refused with 422 and a message."""
    addon = await bench.provisioned()
    answer = await bench.put(addon.id, {"plan": UNKNOWN_PLAN}, addon=addon)
    refused(answer, "A change to an unknown plan")
    without_exception_text(answer, "A change to an unknown plan")


@must(
    _GROUP,
    PARTNER_API,
    needs=[
        "provision-works",
        "provision-again-with-a-new-grant-changes-nothing",
        "change-to-an-unknown-plan-is-refused",
    ],
)
async def refused_change_changes_nothing(bench: Bench) -> None:
    """After a plan change that was refused the resource is as it was, with its id and its config vars."""
    addon = await bench.provisioned()
    refused(await bench.put(addon.id, {"plan": UNKNOWN_PLAN}, addon=addon), "A change to an unknown plan")
    again = await bench.post(bench.body_of(addon), addon=addon)
    same_resource(addon, again, "The provision request again, after a refused plan change")


@must(_GROUP, PARTNER_API, needs=["provision-works"])
async def change_without_a_plan_is_refused(bench: Bench) -> None:
    """A plan change without a plan is refused with a status of 4xx: nothing is guessed."""
    addon = await bench.provisioned()
    answer = await bench.put(addon.id, {"conform_text": "no plan"}, addon=addon)
    if answer.status is None or not 400 <= answer.status < 500:
        raise Unmet("It is answered 4xx.", f"A plan change without a plan: {answer.said}", answer.exchange)


@must(_GROUP, PARTNER_API, needs=["provision-works", "plan-change-works"])
async def unknown_fields_in_a_plan_change_are_accepted(bench: Bench) -> None:
    """Fields that are not documented, of any type, are no reason to refuse a plan change."""
    addon, _, _ = await _changed(bench)
    answer = await bench.put(addon.id, {"plan": addon.plan, "conform_list": [1, {"two": None}]}, addon=addon)
    if not answer.is_success:
        raise Unmet(
            "It succeeds as without them.", f"A plan change with unknown fields: {answer.said}", answer.exchange
        )


@must(_GROUP, PARTNER_API, needs=["provision-works"])
async def change_of_an_unknown_resource_is_refused(bench: Bench) -> None:
    """A plan change of a uuid that the add-on never met is answered 404, 410 or 422, and not with an error."""
    answer = await bench.put(bench.draft().id, {"plan": bench.plan})
    if answer.status not in {404, 410, 422}:
        raise Unmet("It is answered 404 or 410.", f"A plan change of an unknown uuid: {answer.said}", answer.exchange)


@must(_GROUP, PARTNER_API, needs=["provision-works", "background-provision-ends"])
async def change_while_provisioning_does_no_harm(bench: Bench) -> None:
    """A plan change that arrives while the resource is being provisioned gets an answer, and the work goes on."""
    addon = await background.draft(bench)
    await background.begin(bench, addon)
    answer = await bench.put(addon.id, {"plan": bench.another_plan(addon)}, addon=addon)
    not_crashed(answer, "A plan change while the resource is being provisioned")
    await background.end(bench, addon, in_spite_of="a plan change meanwhile")


REQUIREMENTS: list[Requirement] = [
    plan_change_works,
    plan_change_is_answered_within_three_seconds,
    plan_change_again_is_harmless,
    change_to_the_same_plan_succeeds,
    change_there_and_back_leaves_it_working,
    change_to_an_unknown_plan_is_refused,
    refused_change_changes_nothing,
    change_without_a_plan_is_refused,
    unknown_fields_in_a_plan_change_are_accepted,
    change_of_an_unknown_resource_is_refused,
    change_while_provisioning_does_no_harm,
]

"""A provision that is answered 202: config vars, then the announcement, each once, however often Heroku asks."""

import json
from collections import Counter

from app.conformance.bench import Bench
from app.conformance.requirement import NotApplicable, Requirement, Unmet, must, should
from app.conformance.wire import Answer
from app.simulator.records import AddOn, Exchange

from . import background
from .answers import same_resource, served
from .docs import ASYNC_PROVISIONING

_QUIET_SECONDS = 0.3


async def _provisioned(bench: Bench) -> AddOn:
    return await bench.provisioned(await bench.plan_answered(202))


def _done(exchanges: list[Exchange]) -> list[Exchange]:
    return [one for one in exchanges if one.status is not None and 200 <= one.status < 300]


@must("asynchronous-provisioning", ASYNC_PROVISIONING)
async def background_provision_ends(bench: Bench) -> None:
    """What was answered 202 becomes provisioned: the add-on calls actions/provision within Heroku's twelve hours."""
    addon = await _provisioned(bench)
    if addon.provisioned_at is not None:
        seconds = (addon.provisioned_at - addon.created_at).total_seconds()
        bench.measured["provisioned in the background"] = f"{seconds:.2f} s"


@must("asynchronous-provisioning", ASYNC_PROVISIONING, needs=["background-provision-ends"])
async def config_comes_before_the_announcement(bench: Bench) -> None:
    """Config vars are set before actions/provision is called: that call restarts the app, which then needs them."""
    addon = await _provisioned(bench)
    if not bench.offer.config_vars:
        raise NotApplicable("The manifest declares no config vars.")
    await bench.until(lambda: _done(background.announcements(bench, addon)))
    announced = _done(background.announcements(bench, addon))
    everything = background.calls(bench, addon)
    pushes = _done(background.pushes(bench, addon))
    if not pushes:
        raise Unmet(
            "Config vars are set with PATCH before actions/provision.",
            "None were set; those in an answer of 202 do not count.",
            announced[0] if announced else None,
        )
    late = [one for one in pushes if announced and everything.index(one) > everything.index(announced[0])]
    if late:
        raise Unmet("Config vars are set before actions/provision is called.", "Some were set after it.", late[0])


@should("asynchronous-provisioning", ASYNC_PROVISIONING, needs=["background-provision-ends"])
async def nothing_is_said_twice(bench: Bench) -> None:
    """Each config var is set once and actions/provision is called once when nothing went wrong."""
    addon = await _provisioned(bench)
    await bench.until(lambda: len(_done(background.announcements(bench, addon))) > 1, within=_QUIET_SECONDS)
    announced = _done(background.announcements(bench, addon))
    if len(announced) > 1:
        raise Unmet("actions/provision is called once.", f"It was called {len(announced)} times.", announced[-1])
    pushes = _done(background.pushes(bench, addon))
    times = Counter(name for one in pushes for name in _names(one))
    again = sorted(name for name, count in times.items() if count > 1)
    if again:
        raise Unmet("Each config var is set once.", f"{', '.join(again)} was set more than once.", pushes[-1])


def _names(push: Exchange) -> list[str]:
    """Return the config vars that a push sets."""
    return [pair["name"] for pair in json.loads(push.request_body)["config"]]


def _work(bench: Bench, addon: AddOn) -> int:
    """Count what was done at Heroku for it: config vars set, announcements made."""
    return len(_done(background.pushes(bench, addon))) + len(_done(background.announcements(bench, addon)))


@must(
    "asynchronous-provisioning",
    ASYNC_PROVISIONING,
    needs=["background-provision-ends", "provision-again-gets-the-same-answer"],
)
async def repeat_while_provisioning_starts_nothing(bench: Bench) -> None:
    """A request repeated while the work goes on is answered 202, or 200, with the same id; the work is done once."""
    usual = await _provisioned(bench)
    addon = await background.draft(bench)
    body = bench.body_of(addon)
    answers = [await bench.post(body, addon=addon) for _ in range(3)]
    ids = {served(answer, "A provision request, repeated at once").get("id") for answer in answers}
    if len(ids) > 1:
        raise Unmet("One uuid has one id.", f"Three requests got {len(ids)} ids.", answers[-1].exchange)
    await background.end(bench, addon, in_spite_of="requests that were repeated")
    await _is_done_once(bench, usual, addon, answers[-1])


@must(
    "asynchronous-provisioning",
    ASYNC_PROVISIONING,
    needs=["background-provision-ends", "provision-works", "provision-again-gets-the-same-answer"],
)
async def repeat_when_provisioned_starts_nothing(bench: Bench) -> None:
    """A request repeated after the work is done is answered with the same id, and config as it is; no work is done."""
    usual, addon = await _provisioned(bench), await _provisioned(bench)
    again = await bench.post(bench.body_of(addon), addon=addon)
    same_resource(addon, again, "A repeat after the work was done")
    await _is_done_once(bench, usual, addon, again)


async def _is_done_once(bench: Bench, usual: AddOn, addon: AddOn, repeat: Answer) -> None:
    """Demand that as much was done for `addon` as is `usual`, and that its config vars stay as they are."""
    config = dict(addon.config)
    await bench.until(lambda: _work(bench, addon) > _work(bench, usual), within=_QUIET_SECONDS)
    if addon.config != config:
        raise Unmet("A repeat issues no new credentials.", "After it the config vars were changed.", repeat.exchange)
    if _work(bench, addon) > _work(bench, usual):
        raise Unmet(
            "The work is done once, however often Heroku asks.",
            "Config vars were set, or the resource was announced, once more after a repeated request.",
            background.calls(bench, addon)[-1],
        )


@should("asynchronous-provisioning", ASYNC_PROVISIONING)
async def answer_202_has_no_config(bench: Bench) -> None:
    """An answer of 202 has no config, which Heroku would not look at: it is sent with PATCH when it is ready."""
    addon = await background.draft(bench)
    answer = await bench.post(bench.body_of(addon), addon=addon)
    if answer.status == 202 and served(answer, "A provision request").get("config"):
        raise Unmet("A 202 has no config.", "The answer of 202 has config.", answer.exchange)


REQUIREMENTS: list[Requirement] = [
    background_provision_ends,
    config_comes_before_the_announcement,
    nothing_is_said_twice,
    repeat_while_provisioning_starts_nothing,
    repeat_when_provisioned_starts_nothing,
    answer_202_has_no_config,
]

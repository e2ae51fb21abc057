"""Answers that are lost, a Heroku that is not well, an add-on that is killed: what was begun is finished.

These belong to the group of the races: whatever comes back meets what went on meanwhile.
"""

from app.conformance.bench import Bench
from app.conformance.requirement import NotApplicable, Unmet, must
from app.simulator import AddOnFailed
from app.simulator.records import AddOn, Direction

from . import background
from .docs import BEST_PRACTICES, PARTNER_API, PLATFORM_API
from .restarting import restart


@must(
    "races",
    PARTNER_API,
    needs=[
        "pushed-config-is-accepted",
        "background-provision-ends",
        "config-vars-can-be-used",
        "plan-change-works",
        "change-to-the-same-plan-succeeds",
    ],
)
async def lost_answers_are_found_again(bench: Bench) -> None:
    """When the answer to a provision or a plan change was lost, Heroku asks again and gets the answer it missed."""
    for plan in await background.and_at_once(bench):
        bench.simulator.faults.add("lost_answer", method="POST")
        _same_twice(bench, await bench.provisioned(plan), "POST")
    addon = await bench.provisioned()
    bench.simulator.faults.add("lost_answer", method="PUT")
    try:
        await bench.simulator.calls.change_plan(addon, bench.another_plan(addon))
    except NotApplicable:
        return  # with one plan there is no change to lose
    except AddOnFailed as error:
        if error.partner_status != 422:
            raise
    _same_twice(bench, addon, "PUT")


def _same_twice(bench: Bench, addon: AddOn, method: str) -> None:
    """Raise Unmet for what the simulator found when it compared the answers to the repeated call."""
    for one in bench.exchanges(addon, "add-on"):
        for finding in one.findings:
            if one.method == method and finding.level == "problem":
                raise Unmet("The second answer is the first one again.", finding.text, one)


@must("races", PLATFORM_API, needs=["config-push-is-repeated-after-503"])
async def provisioning_outlives_errors_of_heroku(bench: Bench) -> None:
    """When Heroku's API answers 503 for a while, provisioning goes on as soon as it is well again."""
    addon = await background.draft(bench)
    bench.simulator.faults.add("error", direction="platform", path=addon.id, count=3)
    await background.begin(bench, addon)
    await background.end(bench, addon, in_spite_of="three answers of 503")


@must(
    "races",
    PLATFORM_API,
    needs=["config-push-is-repeated-after-503", "config-push-is-repeated-after-a-dropped-connection"],
)
async def announcement_is_repeated_until_heroku_took_it(bench: Bench) -> None:
    """actions/provision that is answered 503, or whose connection breaks, is called again: Heroku waits for it."""
    for kind in ("error", "drop"):
        addon = await background.draft(bench)
        path = f"/{addon.id}/actions/provision"
        bench.simulator.faults.add(kind, direction="platform", path=path)
        await background.begin(bench, addon)
        await background.end(bench, addon, in_spite_of=f"an actions/provision that met {kind}")


@must("races", BEST_PRACTICES, needs=["config-push-is-repeated-after-503"])
async def provisioning_outlives_a_restart(bench: Bench) -> None:
    """An add-on that is killed while it makes a resource goes on afterwards, or tells Heroku that it failed."""
    if bench.target.restart_command is None:
        raise NotApplicable("Give the command that kills and starts the add-on: --restart-command.")
    troubles: dict[Direction, str] = {"tokens": "it waited for a token", "platform": "it talked to Heroku's API"}
    for direction, when in troubles.items():
        addon = await background.draft(bench)
        # Refused a few times, the call is neither done nor under way when the add-on is killed.
        path = addon.id if direction == "platform" else None
        bench.simulator.faults.add("error", direction=direction, path=path, count=3)
        await background.begin(bench, addon)
        if not await bench.until(lambda: bench.exchanges(addon, direction)):  # noqa: B023 - it is called here only
            raise NotApplicable("Nothing was asked of Heroku while the resource was provisioned.")
        await restart(bench)
        if not await bench.until(lambda: addon.state != "provisioning"):  # noqa: B023 - as above
            raise Unmet(
                "After the restart the resource is finished, or given up.",
                f"Killed while {when}, it was still provisioning after {bench.target.patience:g} s.",
                bench.exchanges(addon)[-1],
            )


REQUIREMENTS = [
    lost_answers_are_found_again,
    provisioning_outlives_errors_of_heroku,
    announcement_is_repeated_until_heroku_took_it,
    provisioning_outlives_a_restart,
]

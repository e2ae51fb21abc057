"""What a correct add-on may answer to Heroku's three calls: all that the documentation leaves free passes."""

from addon_faults_altered import removal_is_answered_404_the_second_time, unknown_options_are_refused
from checking import check
from passing import Passing
from tampering import DeprovisionsInTheBackground, tampered

from app.conformance.requirements import ALL


async def outcome(name, kind):
    (result,) = await check([one for one in ALL if one.id == name], kind=kind)
    assert not result.reason.startswith("The checker itself"), result.reason
    return result.outcome


async def test_a_second_removal_may_be_answered_404():
    kind = tampered(removal_is_answered_404_the_second_time)
    assert await outcome("deprovision-again-is-harmless", kind) == "passed"


async def test_options_may_be_refused_with_a_message():
    kind = tampered(unknown_options_are_refused)
    assert await outcome("options-of-every-kind-get-an-answer", kind) == "passed"


async def test_a_removal_in_the_background_that_is_announced_is_right():
    name = "deprovision-in-the-background-is-announced"
    assert await outcome(name, DeprovisionsInTheBackground) == "passed"


async def test_an_add_on_that_refuses_every_plan_change_is_right():
    def refuse(passing: Passing) -> None:
        if passing.method == "PUT" and passing.status < 300:
            passing.status, passing.answer = 422, {"message": "Plans cannot be changed. Please install another."}

    kind = tampered(refuse)
    assert await outcome("plan-change-works", kind) == "passed"
    assert await outcome("change-to-the-same-plan-succeeds", kind) == "skipped"
    assert await outcome("change-there-and-back-leaves-it-working", kind) == "skipped"

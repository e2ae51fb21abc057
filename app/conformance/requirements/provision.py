"""A customer installs the add-on: what the answer holds, and that asking again changes nothing."""

from app.conformance.bench import Answer, Bench
from app.conformance.requirement import Unmet, must, should

from .docs import PARTNER_API


@must("provision", PARTNER_API)
async def provision_works(bench: Bench) -> None:
    """A provision request is answered 200 or 201 with an id and config, or 202 and finished in the background."""
    await bench.provisioned()


def _same(first: Answer, again: Answer) -> None:
    if not again.is_success:
        raise Unmet("The same request again gets the same answer.", f"The second time: {again.said}", again.exchange)
    if not isinstance(first.body, dict) or not isinstance(again.body, dict):
        raise Unmet("The answer is a JSON object.", "One of the answers is not.", again.exchange)
    for name in ("id", "config"):
        if name in first.body and name in again.body and first.body[name] != again.body[name]:
            raise Unmet(
                "The same request again gets the same id and the same config.",
                f"The second answer has another {name}.",
                again.exchange,
            )


@must("provision", PARTNER_API, needs=["provision-works"])
async def provision_again_gets_the_same_answer(bench: Bench) -> None:
    """A provision request that is repeated, because its answer was lost, gets the same id and the same config vars."""
    addon = bench.draft()
    body = bench.body_of(addon)
    first = await bench.post(body, addon=addon)
    _same(first, await bench.post(body, addon=addon))


@should("provision", PARTNER_API, needs=["provision-works"])
async def provision_is_answered_within_three_seconds(bench: Bench) -> None:
    """A provision request is answered within three seconds; after 25 Heroku gives up."""
    addon = bench.draft()
    answer = await bench.post(bench.body_of(addon), addon=addon)
    bench.measured["provision"] = f"{answer.seconds:.2f} s"
    if answer.seconds > 3:
        raise Unmet("Within three seconds.", f"It took {answer.seconds:.1f} s.", answer.exchange)


REQUIREMENTS = [
    provision_works,
    provision_again_gets_the_same_answer,
    provision_is_answered_within_three_seconds,
]

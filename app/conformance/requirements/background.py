"""A provision that goes on in the background, step by step: what several groups of requirements work with."""

from contextlib import suppress
from urllib.parse import urlsplit

from app.conformance.bench import Bench
from app.conformance.requirement import NotApplicable, Unmet
from app.simulator.records import AddOn, Exchange


async def draft(bench: Bench) -> AddOn:
    """Make an add-on that the partner will be asked for, of a plan answered 202; NotApplicable when there is none.

    Trouble for it can be ordered by its id, which is in the path of every call about it.
    """
    return bench.draft(await bench.plan_answered(202))


async def and_at_once(bench: Bench) -> list[str]:
    """List a plan that is made at once and one that is made in the background, as far as there are any."""
    found = []
    for status in (200, 202):
        with suppress(NotApplicable):
            found.append(await bench.plan_answered(status))
    return found or [bench.plan]


async def begin(bench: Bench, addon: AddOn) -> Exchange:
    """Send its provision request, which must be taken."""
    answer = await bench.post(bench.body_of(addon), addon=addon)
    if not answer.is_success:
        raise Unmet("A provision request for this plan is answered 202, as before.", answer.said, answer.exchange)
    return answer.exchange


async def end(bench: Bench, addon: AddOn, *, in_spite_of: str | None = None) -> None:
    """Wait until it is provisioned."""
    if not await bench.until(lambda: addon.state != "provisioning"):
        seen = f"It was still provisioning after {bench.target.patience:g} s."
    elif addon.state == "provisioned":
        return
    else:
        seen = "The add-on gave it up."
    about = calls(bench, addon)
    expected = "The resource is provisioned" + (f" in spite of {in_spite_of}." if in_spite_of else ".")
    raise Unmet(expected, seen, about[-1] if about else None)


def calls(bench: Bench, addon: AddOn) -> list[Exchange]:
    """List its changes by the add-on through the platform API, oldest first, also after its token was taken away."""
    return [
        one
        for one in bench.world.exchanges
        if one.direction == "platform" and one.method != "GET" and addon.id in {one.addon_id, _id_in(one.url)}
    ]


def _id_in(url: str) -> str:
    """Return what follows `/addons/` in a path of the platform API."""
    parts = urlsplit(url).path.split("/")
    return parts[2] if len(parts) > 2 and parts[1] == "addons" else ""


def pushes(bench: Bench, addon: AddOn) -> list[Exchange]:
    """List the attempts to set its config vars."""
    return [one for one in calls(bench, addon) if one.method == "PATCH" and urlsplit(one.url).path.endswith("/config")]


def announcements(bench: Bench, addon: AddOn) -> list[Exchange]:
    """List the attempts to say that it is provisioned."""
    return [one for one in calls(bench, addon) if urlsplit(one.url).path.endswith("/actions/provision")]

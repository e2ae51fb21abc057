"""A customer removes the add-on: it always works, it is final, and it touches nothing else."""

from urllib.parse import urlsplit

from app.conformance.bench import Bench
from app.conformance.requirement import NotApplicable, Requirement, Unmet, must, should
from app.conformance.wire import Answer
from app.simulator.records import AddOn

from . import background
from .answers import gone, same_resource, served
from .docs import ASYNC_DEPROVISIONING, PARTNER_API

_GROUP = "deprovision"
_SECOND_TRY_WITHIN_SECONDS = 5
_LONGEST_WAIT_SECONDS = 10
_QUIET_SECONDS = 0.3


def _removed(answer: Answer, sent: str) -> None:
    """Demand success; 202 is for add-ons that Heroku lets deprovision in the background."""
    if not answer.is_success:
        raise Unmet("DELETE is answered 200 or 204.", f"{sent}: {answer.said}", answer.exchange)


async def _deprovisioned(bench: Bench) -> AddOn:
    """Return an add-on that was removed, in the order in which Heroku does it: first the customer is rid of it."""
    addon = await bench.provisioned()
    bench.world.remove(addon, "by the conformance checker.")
    _removed(await bench.delete(addon.id, addon=addon), "DELETE of a provisioned resource")
    return addon


@must(_GROUP, PARTNER_API, needs=["provision-works"])
async def deprovision_works(bench: Bench) -> None:
    """A provisioned resource is removed: DELETE, which has no body and no Content-Type, is answered 200 or 204."""
    await _deprovisioned(bench)


@should(_GROUP, PARTNER_API, needs=["provision-works", "deprovision-works"])
async def deprovision_is_answered_within_three_seconds(bench: Bench) -> None:
    """A removal is answered within three seconds; after 25 Heroku takes it for a failure and asks again."""
    addon = await bench.provisioned()
    answer = await bench.delete(addon.id, addon=addon)
    bench.measured["deprovision"] = f"{answer.seconds:.2f} s"
    if answer.seconds > 3:
        raise Unmet("Within three seconds.", f"It took {answer.seconds:.1f} s.", answer.exchange)


@must(_GROUP, PARTNER_API, needs=["provision-works", "deprovision-works"])
async def deprovision_again_is_harmless(bench: Bench) -> None:
    """A second DELETE, because the first answer was lost, is answered 410, or with success; 404 will do."""
    addon = await _deprovisioned(bench)
    again = await bench.delete(addon.id, addon=addon)
    if not again.is_success and again.status not in {404, 410}:
        raise Unmet("It is answered 410, or with success.", f"A second DELETE: {again.said}", again.exchange)


@must(_GROUP, PARTNER_API, needs=["provision-works"])
async def deprovision_of_the_unknown_is_harmless(bench: Bench) -> None:
    """DELETE of a uuid that the add-on never met is answered 410, 404 or with success: Heroku asks until it is."""
    answer = await bench.delete(bench.draft().id)
    if not answer.is_success and answer.status not in {404, 410}:
        raise Unmet("It is answered 410, or 404.", f"DELETE of an unknown uuid: {answer.said}", answer.exchange)


@must(_GROUP, PARTNER_API, needs=["provision-again-gets-the-same-answer", "provision-works", "deprovision-works"])
async def provision_after_deprovision_is_410(bench: Bench) -> None:
    """A provision request that arrives after the removal, late or repeated, is answered 410 and revives nothing."""
    addon = await _deprovisioned(bench)
    body = bench.body_of(addon)
    for sent in ("POST after DELETE", "POST after DELETE, repeated"):
        answer = await bench.post(body, addon=addon)
        if answer.status != 410:
            raise Unmet("It is answered 410.", f"{sent}: {answer.said}", answer.exchange)


@must(_GROUP, PARTNER_API, needs=["provision-works", "deprovision-works"])
async def plan_change_after_deprovision_is_refused(bench: Bench) -> None:
    """A plan change of a removed resource is answered 410, or 404."""
    addon = await _deprovisioned(bench)
    gone(await bench.put(addon.id, {"plan": addon.plan}, addon=addon), "PUT after DELETE")


@should(_GROUP, PARTNER_API, needs=["provision-works", "deprovision-works"])
async def what_is_gone_is_410(bench: Bench) -> None:
    """A removed resource is answered 410 on PUT and DELETE: it says that the add-on knew it, and that it is gone."""
    addon = await _deprovisioned(bench)
    for verb, answer in (
        ("PUT", await bench.put(addon.id, {"plan": addon.plan}, addon=addon)),
        ("DELETE", await bench.delete(addon.id, addon=addon)),
    ):
        if answer.status != 410 and not (verb == "DELETE" and answer.is_success):
            raise Unmet("It is answered 410.", f"{verb} after DELETE: {answer.said}", answer.exchange)


@must(_GROUP, PARTNER_API, needs=["provision-again-gets-the-same-answer", "provision-works", "deprovision-works"])
async def deprovision_right_after_provision_works(bench: Bench) -> None:
    """A removal may follow the provision request at once, before the grant was exchanged: it succeeds and is final."""
    addon = bench.draft()
    body = bench.body_of(addon)
    await bench.post(body, addon=addon)
    bench.world.remove(addon, "by the conformance checker.")
    _removed(await bench.delete(addon.id, addon=addon), "DELETE right after the provision request")
    again = await bench.post(body, addon=addon)
    if again.status != 410:
        raise Unmet("It is answered 410.", f"POST after DELETE: {again.said}", again.exchange)


@must(
    _GROUP,
    PARTNER_API,
    needs=["background-provision-ends", "provision-again-gets-the-same-answer", "provision-works", "deprovision-works"],
)
async def deprovision_while_provisioning_is_final(bench: Bench) -> None:
    """A resource removed while the work goes on is gone: DELETE succeeds, and the finished work does not revive it."""
    addon = await background.draft(bench)
    body = bench.body_of(addon)
    served(await bench.post(body, addon=addon), "A provision request")
    bench.world.remove(addon, "by the conformance checker.")
    removed = await bench.delete(addon.id, addon=addon)
    _removed(removed, "DELETE while it was being provisioned")
    for sent, pause in (("right after its removal", 0.0), ("a moment after its removal", _QUIET_SECONDS)):
        await bench.until(lambda: False, within=pause)
        gone(await bench.put(addon.id, {"plan": addon.plan}, addon=addon), f"PUT {sent}")
        again = await bench.post(body, addon=addon)
        if again.status != 410:
            raise Unmet("It is answered 410.", f"POST {sent}: {again.said}", again.exchange)


@must(
    _GROUP,
    PARTNER_API,
    needs=["provision-works", "provision-again-with-a-new-grant-changes-nothing", "deprovision-works"],
)
async def deprovision_touches_nothing_else(bench: Bench) -> None:
    """The removal of one resource leaves the others as they are, also those of the same app."""
    app = bench.app()
    removed = await bench.provisioned(app=app)
    stays = await bench.provisioned(app=app if "many_per_app" in bench.offer.requires else None)
    bench.world.remove(removed, "by the conformance checker.")
    _removed(await bench.delete(removed.id, addon=removed), "DELETE of one of two resources")
    same_resource(stays, await bench.post(bench.body_of(stays), addon=stays), "The other one's provision request again")


@should(_GROUP, PARTNER_API, needs=["provision-works", "background-provision-ends", "deprovision-works"])
async def work_ends_with_the_resource(bench: Bench) -> None:
    """Work that was under way for a resource ends with its removal: nothing more is set or announced at Heroku."""
    addon = await background.draft(bench)
    bench.simulator.faults.add(
        "error", direction="platform", status=503, method="PATCH", path=f"/addons/{addon.id}/config", count=1000
    )
    await background.begin(bench, addon)
    await bench.until(lambda: len(background.pushes(bench, addon)) > 1, within=_SECOND_TRY_WITHIN_SECONDS)
    tries = background.pushes(bench, addon)
    if len(tries) < 2:
        raise NotApplicable("The add-on's work cannot be seen: it repeats no failed call within some seconds.")
    _removed(await bench.delete(addon.id, addon=addon), "DELETE while work was under way")
    before = len(background.calls(bench, addon))
    # Two more tries, each after a pause twice as long as the one before; one call may have been on its way.
    pause = (tries[1].at - tries[0].at).total_seconds()
    within = min(8 * pause, _LONGEST_WAIT_SECONDS) + _QUIET_SECONDS
    await bench.until(lambda: len(background.calls(bench, addon)) > before + 1, within=within)
    after = background.calls(bench, addon)[before:]
    if len(after) > 1:
        raise Unmet(
            "The work ends with the resource.", f"{len(after)} calls about it came after its DELETE.", after[-1]
        )


@must(_GROUP, ASYNC_DEPROVISIONING, needs=["provision-works", "deprovision-works"])
async def deprovision_in_the_background_is_announced(bench: Bench) -> None:
    """A DELETE answered 202 is finished with actions/deprovision; only add-ons that Heroku allowed it may do so."""
    addon = await bench.provisioned()
    answer = await bench.delete(addon.id, addon=addon)
    if answer.status != 202:
        raise NotApplicable("This add-on does not deprovision in the background: it never answers DELETE with 202.")
    calls = background.calls(bench, addon)
    is_said = await bench.until(
        lambda: any(urlsplit(one.url).path.endswith("/actions/deprovision") for one in background.calls(bench, addon))
    )
    if not is_said:
        raise Unmet(
            "The add-on calls actions/deprovision when it is done.",
            f"It did not within {bench.target.patience:g} s.",
            calls[-1] if calls else answer.exchange,
        )


REQUIREMENTS: list[Requirement] = [
    deprovision_works,
    deprovision_is_answered_within_three_seconds,
    deprovision_again_is_harmless,
    deprovision_of_the_unknown_is_harmless,
    provision_after_deprovision_is_410,
    plan_change_after_deprovision_is_refused,
    what_is_gone_is_410,
    deprovision_right_after_provision_works,
    deprovision_while_provisioning_is_final,
    deprovision_touches_nothing_else,
    work_ends_with_the_resource,
    deprovision_in_the_background_is_announced,
]

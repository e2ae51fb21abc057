"""A customer installs the add-on: what the answer holds, and that asking again changes nothing."""

from app.conformance.bench import Bench
from app.conformance.requirement import NotApplicable, Unmet, must, should
from app.conformance.wire import Answer

from .answers import UNKNOWN_PLAN, is_known, refused, same_resource, served, served_or_refused
from .config_values import must_be_usable
from .docs import BUILDING, LOG_DRAINS, MANIFEST, PARTNER_API, SHARING


@must("provision", PARTNER_API)
async def provision_works(bench: Bench) -> None:
    """A provision request is answered 200 or 201 with an id and config, or 202 and finished in the background."""
    await bench.provisioned()


@should("provision", PARTNER_API, needs=["provision-works"])
async def provision_is_answered_within_three_seconds(bench: Bench) -> None:
    """A provision request is answered within three seconds; after 25 Heroku gives up."""
    addon = bench.draft()
    answer = await bench.post(bench.body_of(addon), addon=addon)
    bench.measured["provision"] = f"{answer.seconds:.2f} s"
    if answer.seconds > 3:
        raise Unmet("Within three seconds.", f"It took {answer.seconds:.1f} s.", answer.exchange)


def _same(first: Answer, again: Answer, sent: str) -> None:
    before, after = served(first, "The first request"), served(again, sent)
    for name in ("id", "config"):
        if name in before and name in after and before[name] != after[name]:
            raise Unmet(
                "One uuid is one resource: it has the same id and the same config.",
                f"{sent}: the answer has another {name}.",
                again.exchange,
            )


@must("provision", PARTNER_API, needs=["provision-works"])
async def provision_again_gets_the_same_answer(bench: Bench) -> None:
    """A provision request that is repeated, because its answer was lost, gets the same id and the same config vars."""
    addon = bench.draft()
    body = bench.body_of(addon)
    first = await bench.post(body, addon=addon)
    _same(first, await bench.post(body, addon=addon), "The same request again")


@must("provision", PARTNER_API, needs=["provision-works"])
async def provision_again_with_a_new_grant_changes_nothing(bench: Bench) -> None:
    """The uuid decides which resource it is: a repeat with a new grant and a new name finds what the first one made."""
    addon = await bench.provisioned()
    body = bench.body_of(addon) | {"name": f"{addon.name}-renamed"}
    same_resource(addon, await bench.post(body, addon=addon), "A repeat with a new grant and a new name")


@must("provision", PARTNER_API, needs=["provision-works"])
async def provision_again_for_another_plan_changes_nothing(bench: Bench) -> None:
    """A second provision request for one uuid that names another plan makes no second resource and alters none."""
    addon = await bench.provisioned()
    body = bench.body_of(addon)
    another = await bench.post(body | {"plan": bench.another_plan(addon)}, addon=addon)
    if another.is_success:
        same_resource(addon, another, "A repeat for another plan")
    elif another.status is None or another.status >= 500:
        raise Unmet(
            "It finds the first resource, or is answered 4xx.",
            f"A repeat for another plan: {another.said}",
            another.exchange,
        )
    same_resource(addon, await bench.post(body, addon=addon), "The first request again, after it")


@must("provision", PARTNER_API, needs=["provision-works"])
async def every_resource_has_its_own_id(bench: Bench) -> None:
    """The id in the answer is the resource's own: two resources have different ones."""
    ids = []
    for _ in range(2):
        draft = bench.draft()
        answer = await bench.post(bench.body_of(draft), addon=draft)
        ids.append(served(answer, "A provision request").get("id"))
    if ids[0] == ids[1]:
        raise Unmet("Every resource has an id of its own.", "Two resources were given the same id.")


@must("provision", SHARING, needs=["provision-works"])
async def one_app_can_have_several(bench: Bench) -> None:
    """With many_per_app in the manifest an app may have the add-on twice, as two resources with their own ids."""
    if "many_per_app" not in bench.offer.requires:
        raise NotApplicable("The manifest does not have many_per_app.")
    app = bench.app()
    first, second = await bench.provision(app=app), await bench.provision(app=app)
    if first.provider_id == second.provider_id:
        raise Unmet("Every resource has an id of its own.", "Two resources of one app were given the same id.")


@must("provision", PARTNER_API, needs=["provision-works"])
async def config_vars_can_be_used(bench: Bench) -> None:
    """An app can boot with the config vars: URLs have a scheme and a host that the app can reach."""
    addon = await bench.provisioned()
    if not addon.config:
        raise NotApplicable("The add-on sets no config vars.")
    must_be_usable(bench, addon.config)


@should("provision", MANIFEST, needs=["provision-works"])
async def every_declared_config_var_is_set(bench: Bench) -> None:
    """Every config var that the manifest declares has a value once the resource is provisioned."""
    addon = await bench.provisioned()
    missing = [name for name in bench.offer.config_vars if name not in addon.config]
    if missing:
        raise Unmet("Every declared config var is set.", f"{', '.join(missing)} was not set.")


@must("provision", LOG_DRAINS)
async def log_drain_url_is_given(bench: Bench) -> None:
    """An add-on whose manifest requires syslog_drain answers with a log_drain_url of https or syslog."""
    if "syslog_drain" not in bench.offer.requires:
        raise NotApplicable("The manifest does not require syslog_drain.")
    addon = bench.draft()
    answer = await bench.post(bench.body_of(addon), addon=addon)
    url = served(answer, "A provision request").get("log_drain_url")
    schemes = ("https://", "syslog://", "syslog+tls://", *(["http://"] if bench.is_on_loopback else []))
    if not isinstance(url, str) or not url.startswith(schemes):
        raise Unmet(
            "The answer has a log_drain_url of https or syslog.",
            "The answer has none." if url is None else "The answer's log_drain_url has another scheme.",
            answer.exchange,
        )


@must("provision", PARTNER_API, needs=["provision-works"])
async def unknown_plan_is_refused_with_a_message(bench: Bench) -> None:
    """A plan that the add-on does not have is refused at once: 422 with a message, which the customer reads."""
    addon = bench.draft()
    body = bench.body_of(addon) | {"plan": UNKNOWN_PLAN}
    refused(await bench.post(body, addon=addon), "A provision request for an unknown plan")
    if await is_known(bench, addon.id):
        raise Unmet("A refused request makes nothing.", "The refused request made a resource all the same.")


@must("provision", PARTNER_API, needs=["provision-works"])
async def incomplete_provision_is_refused(bench: Bench) -> None:
    """A provision request without a uuid or without a plan is refused with a status of 4xx: nothing is guessed."""
    whole = bench.body_of(bench.draft())
    for missing in ("uuid", "plan"):
        answer = await bench.post({name: value for name, value in whole.items() if name != missing})
        if answer.is_success and isinstance(answer.body, dict) and isinstance(answer.body.get("id"), str):
            await bench.delete(answer.body["id"])
        if answer.status is None or not 400 <= answer.status < 500:
            raise Unmet("It is answered 4xx.", f"A provision request without {missing}: {answer.said}", answer.exchange)


@must("provision", BUILDING, needs=["provision-works"])
async def every_region_gets_an_answer(bench: Bench) -> None:
    """Any region is served, or refused with 422 and a message: Heroku gets new ones, and they are just texts."""
    for region in ("amazon-web-services::xx-conform-1", "conform-cloud::nowhere"):
        draft = bench.draft()
        answer = await bench.post(bench.body_of(draft) | {"region": region}, addon=draft)
        served_or_refused(answer, f"A provision request for the region {region}")


@should("provision", BUILDING, needs=["provision-works"])
async def region_that_is_not_sold_is_refused_with_a_message(bench: Bench) -> None:
    """A region that the manifest does not name is refused: 422 with a message, rather than served from far away."""
    if "*" in bench.offer.regions:
        raise NotApplicable("The manifest names every region.")
    draft = bench.draft()
    body = bench.body_of(draft) | {"region": "amazon-web-services::xx-conform-1"}
    refused(await bench.post(body, addon=draft), "A provision request for a region that is not in the manifest")


@should("provision", MANIFEST, needs=["provision-works"])
async def every_region_of_the_manifest_is_served(bench: Bench) -> None:
    """The add-on can be installed in every region that its manifest names."""
    for region in bench.offer.app_regions:
        draft = bench.draft(region=region)
        served(await bench.post(bench.body_of(draft), addon=draft), f"A provision request for the region {region}")


REQUIREMENTS = [
    provision_works,
    provision_is_answered_within_three_seconds,
    provision_again_gets_the_same_answer,
    provision_again_with_a_new_grant_changes_nothing,
    provision_again_for_another_plan_changes_nothing,
    every_resource_has_its_own_id,
    one_app_can_have_several,
    config_vars_can_be_used,
    every_declared_config_var_is_set,
    log_drain_url_is_given,
    unknown_plan_is_refused_with_a_message,
    incomplete_provision_is_refused,
    every_region_gets_an_answer,
    region_that_is_not_sold_is_refused_with_a_message,
    every_region_of_the_manifest_is_served,
]

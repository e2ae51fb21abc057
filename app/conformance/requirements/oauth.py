"""The add-on's tokens: the grant becomes one, expired ones are renewed, and neither by force nor twice."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Literal

from app.conformance.bench import Bench
from app.conformance.requirement import NotApplicable, Unmet, must, should
from app.simulator.records import AddOn, Direction, Exchange
from app.simulator.troubles import expire_access_tokens

from . import background
from .docs import BUILDING, PLATFORM_API

_NEEDS = ("provision-works", "grant-is-exchanged")
_IN_BACKGROUND = ("background-provision-ends",)
_WITHOUT_PAUSES = 10
_WITHOUT_END = 40
_WATCHED_SECONDS = 0.5
_QUIET_SECONDS = 0.3
_OVERLAP_SECONDS = 0.1
_TOKEN_LIVES_SECONDS = 2


class _Watch:
    """The add-on's requests to Heroku from now on."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._known = {one.id for one in bench.world.exchanges}

    def of(self, direction: Direction, addon: AddOn | None = None) -> list[Exchange]:
        """List them; those of other add-ons, which may be at work still, are left out when one is given."""
        return [
            one
            for one in self._bench.world.exchanges
            if one.direction == direction and one.id not in self._known and (addon is None or one.addon_id == addon.id)
        ]

    def token_requests(
        self, grant_type: Literal["authorization_code", "refresh_token"], addon: AddOn
    ) -> list[Exchange]:
        return [one for one in self.of("tokens", addon) if _grant_type(one) == grant_type]


def _grant_type(exchange: Exchange) -> str:
    """Return what was asked for, wherever it was written: fields of a form, of JSON, or of the query."""
    text = f"{exchange.request_body}\n{exchange.url}"
    return "authorization_code" if "authorization_code" in text else "refresh_token" if "refresh_token" in text else ""


def _has_token(bench: Bench, addon: AddOn) -> bool:
    return any(one.used_at for one in bench.world.grants.values() if one.addon_id == addon.id)


async def _with_token(bench: Bench, plan: str | None = None) -> AddOn:
    """Provision, and wait until the grant was exchanged."""
    addon = await bench.provisioned(plan)
    await _gets_token(bench, addon)
    return addon


async def _gets_token(bench: Bench, addon: AddOn) -> None:
    if not await bench.until(lambda: _has_token(bench, addon)):
        raise Unmet(
            "The grant is exchanged within its five minutes.",
            f"After {bench.target.patience:g} s it has not been exchanged.",
        )


@must("oauth", BUILDING, needs=["provision-works"])
async def grant_is_exchanged(bench: Bench) -> None:
    """The grant of every provision request is exchanged for a token: without one the add-on can never change config."""
    for status in (200, 202):
        try:
            plan = await bench.plan_answered(status)
        except NotApplicable:
            continue
        await _gets_token(bench, await bench.provision(plan))


@must("oauth", BUILDING, needs=[*_NEEDS, "provision-again-gets-the-same-answer"])
async def grant_is_exchanged_once(bench: Bench) -> None:
    """A grant works once: it is exchanged once, also when the provision request comes again."""
    addon, watch = bench.draft(), _Watch(bench)
    body = bench.body_of(addon)
    await bench.post(body, addon=addon)
    await bench.post(body, addon=addon)
    await _gets_token(bench, addon)
    await bench.until(lambda: len(watch.token_requests("authorization_code", addon)) > 1, within=_QUIET_SECONDS)
    requests = watch.token_requests("authorization_code", addon)
    if len(requests) > 1:
        raise Unmet("It is exchanged once.", f"The grant was sent {len(requests)} times.", requests[-1])


@must("oauth", BUILDING, needs=_NEEDS)
async def token_requests_have_no_secrets_in_their_url(bench: Bench) -> None:
    """Grant and client secret go in the request's body: what is in a URL ends up in logs."""
    watch = _Watch(bench)
    await _with_token(bench)
    for request in watch.of("tokens"):
        if "?" in request.url:
            raise Unmet("They are in the body.", "The token was asked for with fields in the URL.", request)


@must("oauth", BUILDING, needs=_NEEDS)
async def exchange_is_repeated_after_an_error(bench: Bench) -> None:
    """When Heroku answers the exchange of a grant with 503, it is repeated until it succeeds."""
    bench.simulator.faults.add("error", direction="tokens", count=2)
    await _with_token(bench)


@must("oauth", BUILDING, needs=_NEEDS)
async def exchange_is_repeated_after_a_dropped_connection(bench: Bench) -> None:
    """When the connection is cut during the exchange of a grant, it is repeated until it succeeds."""
    bench.simulator.faults.add("drop", direction="tokens")
    await _with_token(bench)


@should("oauth", BUILDING, needs=[*_NEEDS, "provision-is-answered-within-three-seconds"])
async def provision_does_not_wait_for_the_exchange(bench: Bench) -> None:
    """The provision request is answered within three seconds also when Heroku's token endpoint takes four."""
    bench.simulator.faults.add("slow", direction="tokens", seconds=4)
    addon = bench.draft()
    answer = await bench.post(bench.body_of(addon), addon=addon)
    if answer.seconds > 3:
        raise Unmet("Within three seconds.", f"It took {answer.seconds:.1f} s.", answer.exchange)


@should("oauth", BUILDING, needs=_NEEDS)
async def failing_exchange_is_repeated_with_pauses(bench: Bench) -> None:
    """While Heroku's token endpoint answers 503, it is asked again with pauses, and not as fast as possible."""
    watch = _Watch(bench)
    bench.simulator.faults.add("error", direction="tokens", count=1000)
    addon = bench.draft()
    await bench.post(bench.body_of(addon), addon=addon)
    await _no_storm(bench, lambda: watch.of("tokens", addon), most=_WITHOUT_PAUSES)


@should("oauth", PLATFORM_API, needs=[*_NEEDS, "expired-token-is-renewed"])
async def revoked_tokens_are_given_up(bench: Bench) -> None:
    """When Heroku accepts neither the access token nor the refresh token, the add-on does not hammer at the door."""
    addon, watch = await background.draft(bench), _Watch(bench)
    bench.simulator.faults.add("revoke_token", direction="platform", path=addon.id)
    await background.begin(bench, addon)
    await _no_storm(bench, lambda: watch.of("tokens") + watch.of("platform"), most=_WITHOUT_END)


async def _no_storm(bench: Bench, requests: Callable[[], list[Exchange]], *, most: int) -> None:
    def failed() -> list[Exchange]:
        return [one for one in requests() if one.status is None or one.status >= 400]

    if not await bench.until(failed):
        raise NotApplicable("The add-on did not ask Heroku for anything while this was watched.")
    await bench.until(lambda: len(failed()) >= most, within=_WATCHED_SECONDS)
    if len(failed()) >= most:
        raise Unmet(
            "There is a pause between two tries.",
            f"{len(failed())} requests that failed came within half a second.",
            failed()[-1],
        )


@must("oauth", PLATFORM_API, needs=[*_NEEDS, *_IN_BACKGROUND])
async def expired_token_is_renewed(bench: Bench) -> None:
    """When Heroku answers 401 because the access token has expired, it is refreshed and the call repeated."""
    addon = await background.draft(bench)
    bench.simulator.faults.add("expire_token", direction="platform", path=addon.id)
    await background.begin(bench, addon)
    await background.end(bench, addon, in_spite_of="an expired token")


@should("oauth", PLATFORM_API, needs=[*_NEEDS, "expired-token-is-renewed"])
async def expired_token_is_renewed_once(bench: Bench) -> None:
    """One expired token is refreshed once, however many calls find out at the same time."""
    addon, watch = await background.draft(bench), _Watch(bench)
    # The first call finds out when the second has found out already, if there is one beside it.
    bench.simulator.faults.add("slow", direction="platform", path=addon.id, seconds=_OVERLAP_SECONDS)
    bench.simulator.faults.add("expire_token", direction="platform", path=addon.id)
    await background.begin(bench, addon)
    await background.end(bench, addon, in_spite_of="an expired token")
    _is_renewed_once(watch, addon)


def _is_renewed_once(watch: _Watch, addon: AddOn) -> None:
    refreshes = watch.token_requests("refresh_token", addon)
    if len(refreshes) > 1:
        raise Unmet("It is refreshed once.", f"It was refreshed {len(refreshes)} times.", refreshes[-1])


@must("oauth", PLATFORM_API, needs=[*_NEEDS, "expired-token-is-renewed"])
async def new_refresh_token_is_used(bench: Bench) -> None:
    """A refresh may bring a new refresh token: the next refresh uses it, for the old one is good no more."""
    addon = await background.draft(bench)
    for path in ("config", "actions/provision"):
        bench.simulator.faults.add("expire_token", direction="platform", path=f"{addon.id}/{path}")
    bench.world.rotates_refresh_tokens = True
    try:
        await background.begin(bench, addon)
        await background.end(bench, addon, in_spite_of="tokens that expired twice")
    finally:
        bench.world.rotates_refresh_tokens = False


@must("oauth", PLATFORM_API, needs=[*_NEEDS, *_IN_BACKGROUND])
async def tokens_of_two_resources_are_not_mixed_up(bench: Bench) -> None:
    """A token is for one resource: two that are provisioned at the same time each get their own calls right."""
    plan, watch = await bench.plan_answered(202), _Watch(bench)
    addons = await asyncio.gather(bench.provision(plan), bench.provision(plan))

    def refused() -> list[Exchange]:
        """List calls about the two that were refused: with another's token they count as that one's."""
        calls = [one for one in watch.of("platform") if any(addon.id in one.url for addon in addons)]
        return [one for one in calls if one.status in {401, 403, 404}]

    await bench.until(lambda: refused() or all(addon.state != "provisioning" for addon in addons))
    if calls := refused():
        raise Unmet("Each call has its resource's token.", f"A call was answered {calls[0].status}.", calls[0])


@should("oauth", PLATFORM_API, needs=[*_NEEDS, "expired-token-is-renewed", "new-refresh-token-is-used"])
async def calls_at_once_refresh_once(bench: Bench) -> None:
    """When several pieces of work for one resource meet an expired token, one refresh serves them all."""
    addon = await _with_token(bench, await bench.plan_answered(202))
    expire_access_tokens(bench.world, addon)
    watch = _Watch(bench)
    others = [plan.name for plan in bench.offer.plans if plan.name != addon.plan]
    wishes = [plan for other in others for plan in (other, addon.plan)] * 2
    bench.simulator.faults.add("slow", direction="platform", count=max(len(wishes), 1), seconds=_OVERLAP_SECONDS)
    answers = await asyncio.gather(*(bench.put(addon.id, {"plan": plan}, addon=addon) for plan in wishes))
    if any(answer.status == 202 for answer in answers):
        await bench.until(lambda: len(watch.of("platform", addon)) >= 4, within=_WATCHED_SECONDS)
    if len(watch.of("platform", addon)) < 2:
        raise NotApplicable("Changing the plan to and fro does not make this add-on call Heroku.")
    _is_renewed_once(watch, addon)


@should("oauth", PLATFORM_API, needs=[*_NEEDS, "expired-token-is-renewed"])
async def token_is_renewed_before_its_end(bench: Bench) -> None:
    """An access token that is about to expire is refreshed before it is used, not after Heroku has refused it."""
    usual = bench.world.oauth.access_token_lives
    bench.world.oauth.access_token_lives = timedelta(seconds=_TOKEN_LIVES_SECONDS)
    try:
        for _ in range(3):
            if await _is_used_in_time(bench):
                return
    finally:
        bench.world.oauth.access_token_lives = usual
    raise NotApplicable("The add-on's call came too late to tell, three times.")


async def _is_used_in_time(bench: Bench) -> bool:
    """Have it call Heroku in the last moments of a token; False when the call came after them."""
    addon = await _with_token(bench)
    world, lives = bench.world, _TOKEN_LIVES_SECONDS

    def left() -> float:
        ends = [one.expires_at for one in world.access_tokens.values() if one.addon_id == addon.id]
        return (max(ends) - world.now()).total_seconds()

    await bench.until(lambda: left() < lives * 0.22, within=lives)
    watch = _Watch(bench)
    for plan in bench.offer.plans:
        if plan.name != addon.plan and (await bench.put(addon.id, {"plan": plan.name}, addon=addon)).status == 202:
            break
    else:
        raise NotApplicable("No change of plan makes this add-on call Heroku in the background.")
    await bench.until(lambda: watch.of("platform", addon), within=1)
    calls = watch.of("platform", addon)
    if not calls:
        raise NotApplicable("A change of plan does not make this add-on call Heroku.")
    if (
        watch.token_requests("refresh_token", addon)
        and watch.token_requests("refresh_token", addon)[0].at <= calls[0].at
    ):
        return True
    if calls[0].status == 401 or left() > 0:
        raise Unmet("It is refreshed before.", "The call was made with a token that was about to expire.", calls[0])
    return False


REQUIREMENTS = [
    grant_is_exchanged,
    grant_is_exchanged_once,
    token_requests_have_no_secrets_in_their_url,
    exchange_is_repeated_after_an_error,
    exchange_is_repeated_after_a_dropped_connection,
    provision_does_not_wait_for_the_exchange,
    failing_exchange_is_repeated_with_pauses,
    tokens_of_two_resources_are_not_mixed_up,
    expired_token_is_renewed,
    expired_token_is_renewed_once,
    new_refresh_token_is_used,
    revoked_tokens_are_given_up,
    calls_at_once_refresh_once,
    token_is_renewed_before_its_end,
]

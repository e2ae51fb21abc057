"""Config vars that the add-on pushes through Heroku's API: what they hold, and that no trouble loses them."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.conformance.bench import Bench
from app.conformance.requirement import NotApplicable, Unmet, must, should
from app.simulator.records import AddOn, Exchange
from app.simulator.world import Event

from . import background
from .config_values import must_be_usable
from .docs import ASYNC_PROVISIONING, MANIFEST, PLATFORM_API

_RETRY_AFTER_SECONDS = 1
_MOST_REPETITIONS = 5


async def _provisioned(
    bench: Bench, order: Callable[[AddOn], object] = lambda _: None, *, in_spite_of: str | None = None
) -> AddOn:
    """Return an add-on whose config vars were pushed, after the trouble that `order` orders for it."""
    if not bench.offer.config_vars:
        raise NotApplicable("The manifest names no config vars.")
    addon = await background.draft(bench)
    order(addon)
    await background.begin(bench, addon)
    await background.end(bench, addon, in_spite_of=in_spite_of)
    if not background.pushes(bench, addon):
        raise NotApplicable("No config vars were pushed for a plan that is provisioned in the background.")
    return addon


def _order(bench: Bench, kind: str, *, status: int = 503, count: int = 1) -> Callable[[AddOn], object]:
    """Return what orders that trouble for the next pushes of one add-on's config."""
    return lambda addon: bench.simulator.faults.add(
        kind,  # type: ignore[arg-type]  # a fault's kind by its name, which `add` checks
        direction="platform",
        method="PATCH",
        path=f"/{addon.id}/config",
        status=status,
        count=count,
        seconds=_RETRY_AFTER_SECONDS,
    )


async def _survives(bench: Bench, kind: str, trouble: str, *, status: int = 503) -> AddOn:
    addon = await _provisioned(bench, _order(bench, kind, status=status), in_spite_of=trouble)
    if not addon.config:
        raise Unmet(
            "A push that failed is repeated before the resource is said to be provisioned.",
            f"It was provisioned without config vars after {trouble}.",
            background.pushes(bench, addon)[0],
        )
    return addon


@must("config", ASYNC_PROVISIONING, needs=["provision-works"])
async def pushed_config_is_accepted(bench: Bench) -> None:
    """Config that is pushed has only names of the manifest and only strings, so that Heroku takes it."""
    if not bench.offer.config_vars:
        raise NotApplicable("The manifest names no config vars.")
    addon = await background.draft(bench)
    await background.begin(bench, addon)
    await bench.until(lambda: addon.state != "provisioning" or _refused(bench, addon))
    for refused in _refused(bench, addon):
        said = " ".join(one.text for one in refused.findings if one.level == "problem")
        raise Unmet("Heroku takes every config push.", said or f"Heroku answered {refused.status}.", refused)
    if not background.pushes(bench, addon):
        raise NotApplicable("No config vars were pushed for a plan that is provisioned in the background.")


def _refused(bench: Bench, addon: AddOn) -> list[Exchange]:
    return [one for one in background.pushes(bench, addon) if one.status in {400, 422}]


@should("config", MANIFEST, needs=["pushed-config-is-accepted", "background-provision-ends"])
async def every_config_var_of_the_manifest_is_pushed(bench: Bench) -> None:
    """A resource that is provisioned in the background has a value for each config var that the manifest names."""
    if not bench.offer.config_vars:
        raise NotApplicable("The manifest names no config vars.")
    addon = await background.draft(bench)
    await background.begin(bench, addon)
    await background.end(bench, addon)
    missing = [name for name in bench.offer.config_vars if name not in addon.config]
    if missing:
        calls = background.calls(bench, addon)
        raise Unmet(
            "Each config var of the manifest has a value.",
            f"Never pushed: {', '.join(missing)}.",
            calls[-1] if calls else None,
        )


@must("config", MANIFEST, needs=["pushed-config-is-accepted", "background-provision-ends"])
async def pushed_config_is_usable(bench: Bench) -> None:
    """Pushed config vars are texts an app can boot with; what is named _URL has a scheme and a host elsewhere."""
    must_be_usable(bench, (await _provisioned(bench)).config)


@must(
    "config",
    PLATFORM_API,
    needs=["pushed-config-is-accepted", "background-provision-ends", "config-comes-before-the-announcement"],
)
async def config_push_is_repeated_after_429(bench: Bench) -> None:
    """A config push that meets Heroku's rate limit (429) is sent again, and the resource is provisioned with it."""
    await _survives(bench, "rate_limit", "a 429")


@should("config", PLATFORM_API, needs=["config-push-is-repeated-after-429"])
async def config_push_waits_as_long_as_retry_after_says(bench: Bench) -> None:
    """After a 429 with Retry-After the config push is not repeated earlier than Heroku asked for."""
    addon = await _survives(bench, "rate_limit", "a 429")
    first, again, *_ = background.pushes(bench, addon)
    waited = (again.at - first.at).total_seconds()
    bench.measured["pause after Retry-After: 1"] = f"{waited:.1f} s"
    if waited < _RETRY_AFTER_SECONDS * 0.9:
        raise Unmet(
            f"With `Retry-After: {_RETRY_AFTER_SECONDS}` nothing is sent for that many seconds.",
            f"It was repeated after {waited:.2f} s.",
            again,
        )


@must(
    "config",
    PLATFORM_API,
    needs=["pushed-config-is-accepted", "background-provision-ends", "config-comes-before-the-announcement"],
)
async def config_push_is_repeated_after_503(bench: Bench) -> None:
    """A config push that Heroku answers with 503 is sent again, and the resource is provisioned with it."""
    await _survives(bench, "error", "a 503")


@must(
    "config",
    PLATFORM_API,
    needs=["pushed-config-is-accepted", "background-provision-ends", "config-comes-before-the-announcement"],
)
async def config_push_is_repeated_after_a_dropped_connection(bench: Bench) -> None:
    """A config push whose connection broke is sent again, and the resource is provisioned with it."""
    await _survives(bench, "drop", "a dropped connection")


@must("config", PLATFORM_API, needs=["config-push-is-repeated-after-a-dropped-connection"])
async def config_push_is_repeated_with_the_same_values(bench: Bench) -> None:
    """A config push whose answer was lost is sent again with the same values: no new credentials for a repetition."""
    with _values_set(bench) as values:
        addon = await _survives(bench, "lost_answer", "a lost answer")
    for name in addon.config:
        if len(values[addon.id, name]) > 1:
            raise Unmet(
                "A push that is repeated carries the values it carried before.",
                f"{name} had another value the second time.",
                background.pushes(bench, addon)[-1],
            )


@contextmanager
def _values_set(bench: Bench) -> Iterator[dict[tuple[str, str], set[str]]]:
    """Yield what will hold every value that a config var ever had meanwhile, by add-on and name."""
    values: dict[tuple[str, str], set[str]] = defaultdict(set)

    def notice(event: Event) -> None:
        if event.kind == "addon":
            for name, value in event.thing.config.items():
                values[event.thing.id, name].add(value)

    bench.world.listeners.append(notice)
    try:
        yield values
    finally:
        bench.world.listeners.remove(notice)


@should("config", PLATFORM_API, needs=["pushed-config-is-accepted", "config-comes-before-the-announcement"])
async def config_push_that_is_refused_is_not_repeated(bench: Bench) -> None:
    """A config push that Heroku refuses (422) is not sent again and again: the same request gets the same answer."""
    if not bench.offer.config_vars:
        raise NotApplicable("The manifest names no config vars.")
    addon = await background.draft(bench)
    _order(bench, "error", status=422, count=1000)(addon)
    await background.begin(bench, addon)
    if not await bench.until(lambda: background.pushes(bench, addon) or addon.state != "provisioning"):
        raise NotApplicable("No config vars were pushed for a plan that is provisioned in the background.")
    # An add-on that says nothing more has given up, which takes no longer than a repetition would.
    await bench.until(
        lambda: len(background.pushes(bench, addon)) > _MOST_REPETITIONS or addon.state != "provisioning", within=0.7
    )
    pushed = background.pushes(bench, addon)
    if addon.state == "provisioned":
        raise Unmet(
            "A resource is not said to be provisioned while its config vars were refused.",
            "It was, and the app has no config vars.",
            (pushed or background.calls(bench, addon))[-1],
        )
    if len(pushed) > _MOST_REPETITIONS:
        raise Unmet("It is given up after a few attempts.", f"It was sent {len(pushed)} times at once.", pushed[-1])


@should("config", ASYNC_PROVISIONING, needs=["pushed-config-is-accepted"])
async def provision_that_cannot_succeed_is_given_up(bench: Bench) -> None:
    """When the config is refused for good, Heroku is told that provisioning failed; it is not left waiting 12 hours."""
    if not bench.offer.config_vars:
        raise NotApplicable("The manifest names no config vars.")
    addon = await background.draft(bench)
    _order(bench, "error", status=422, count=1000)(addon)
    await background.begin(bench, addon)
    await bench.until(lambda: addon.state != "provisioning")
    pushed = background.pushes(bench, addon)
    if not pushed:
        raise NotApplicable("No config vars were pushed for a plan that is provisioned in the background.")
    if addon.state == "provisioning":
        raise Unmet(
            "A provision that came to nothing ends with actions/deprovision.",
            f"It was still provisioning after {bench.target.patience:g} s.",
            pushed[-1],
        )


REQUIREMENTS = [
    pushed_config_is_accepted,
    every_config_var_of_the_manifest_is_pushed,
    pushed_config_is_usable,
    config_push_is_repeated_after_429,
    config_push_waits_as_long_as_retry_after_says,
    config_push_is_repeated_after_503,
    config_push_is_repeated_after_a_dropped_connection,
    config_push_is_repeated_with_the_same_values,
    config_push_that_is_refused_is_not_repeated,
    provision_that_cannot_succeed_is_given_up,
]

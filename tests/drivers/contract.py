"""The suite that every driver passes: the three rules of `app/drivers/base.py`, and what customers may rely on.

Use it by subclassing in the driver's own test file and giving two fixtures (in the class, the file or a conftest.py):

    from contract import DriverContract

    class TestMyDriver(DriverContract):
        @pytest.fixture
        def driver(self):                 # a ready driver; what it talks to may outlive the test
            return MyDriver(...)

        @pytest.fixture
        def works(self, driver):          # asks the sold service itself whether it lets this config in now
            async def works(config): ...
            return works

`new_resource` and `follow` are for a driver's own tests too.
"""

import asyncio
import gc
import secrets
import warnings
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from app.drivers.base import Driver, Provisioned, ResourceInfo

Works = Callable[[Mapping[str, str]], Awaitable[bool]]


def new_resource(plan: str = "basic", *, generation: int = 1) -> ResourceInfo:
    """A resource nobody has seen before."""
    return ResourceInfo(
        uuid=uuid4(),
        plan=plan,
        region="amazon-web-services::us-east-1",
        generation=generation,
        seed=secrets.token_bytes(32),
    )


def follow(resource: ResourceInfo, made: Provisioned, **changes: object) -> ResourceInfo:
    """The resource at the next call, after `made` has been recorded."""
    return replace(resource, details=made.details, **changes)


def secret_parts(config: Mapping[str, str]) -> set[str]:
    """The values of a config, and the passwords inside those that are URLs."""
    passwords = {urlsplit(value).password for value in config.values() if "://" in value}
    return set(config.values()) | {password for password in passwords if password}


async def _cut_off(call: Awaitable[object], *, after_turns: int) -> None:
    """Run a call for a few turns of the event loop and drop it, as a process does that is told to stop."""
    task = asyncio.ensure_future(call)
    for _ in range(after_turns):
        await asyncio.sleep(0)
    task.cancel()
    with warnings.catch_warnings():
        # psycopg leaves a connection to the collector when it is cut off between opening and handing it out.
        warnings.simplefilter("ignore", ResourceWarning)
        await asyncio.gather(task, return_exceptions=True)
        del task, call
        gc.collect()


class DriverContract:
    @pytest.fixture(autouse=True)
    async def _open_and_close(self, driver: Driver):
        await driver.open()
        yield
        await driver.close()

    async def test_what_is_provisioned_works(self, driver: Driver, works: Works):
        made = await driver.provision(new_resource())
        assert made.config
        assert await works(made.config)

    async def test_config_is_texts_under_names_of_config_vars(self, driver: Driver):
        made = await driver.provision(new_resource())
        assert all(name == name.upper() and name.isidentifier() for name in made.config)
        assert all(isinstance(value, str) and value for value in made.config.values())

    async def test_provision_again_gives_the_same(self, driver: Driver, works: Works):
        resource = new_resource()
        first = await driver.provision(resource)
        second = await driver.provision(resource)  # the first answer was lost: details are still empty
        third = await driver.provision(follow(resource, second))
        assert first == second == third
        assert await works(first.config)

    async def test_provision_twice_at_once_gives_the_same(self, driver: Driver, works: Works):
        resource = new_resource()
        first, second = await asyncio.gather(driver.provision(resource), driver.provision(resource))
        assert first == second
        assert await works(first.config)

    @pytest.mark.parametrize("turns", [1, 2, 5, 10, 20, 40])
    async def test_provision_cut_off_anywhere_is_completed_by_the_next(self, driver: Driver, works: Works, turns: int):
        resource = new_resource()
        await _cut_off(driver.provision(resource), after_turns=turns)
        made = await driver.provision(resource)
        assert await works(made.config)

    @pytest.mark.parametrize("turns", [1, 5, 20])
    async def test_a_half_made_resource_can_be_deprovisioned(self, driver: Driver, works: Works, turns: int):
        resource = new_resource()
        await _cut_off(driver.provision(resource), after_turns=turns)
        await driver.deprovision(resource)
        other = await driver.provision(new_resource())
        assert await works(other.config)

    async def test_two_resources_share_nothing(self, driver: Driver, works: Works):
        one, other = new_resource(), new_resource()
        made_one, made_other = await asyncio.gather(driver.provision(one), driver.provision(other))
        assert not secret_parts(made_one.config) & secret_parts(made_other.config)
        await driver.deprovision(follow(one, made_one))
        assert not await works(made_one.config)
        assert await works(made_other.config)

    async def test_after_rotate_the_old_credential_works_until_it_is_retired(self, driver: Driver, works: Works):
        resource = new_resource()
        old = await driver.provision(resource)
        resource = follow(resource, old, generation=2)
        new = await driver.rotate(resource)
        assert new.config != old.config
        assert new.config.keys() == old.config.keys()
        assert await works(old.config)
        assert await works(new.config)
        await driver.retire(follow(resource, new))
        assert not await works(old.config)
        assert await works(new.config)

    async def test_rotate_again_or_twice_at_once_gives_the_same(self, driver: Driver, works: Works):
        resource = new_resource()
        resource = follow(resource, await driver.provision(resource), generation=2)
        first, second = await asyncio.gather(driver.rotate(resource), driver.rotate(resource))
        third = await driver.rotate(follow(resource, second))
        assert first == second == third
        assert await works(first.config)

    async def test_every_verb_speaks_of_the_current_credential(self, driver: Driver):
        resource = new_resource()
        resource = follow(resource, await driver.provision(resource), generation=2)
        rotated = await driver.rotate(resource)
        resource = follow(resource, rotated)
        assert (await driver.change_plan(resource)).config == rotated.config
        assert (await driver.provision(resource)).config == rotated.config

    async def test_retire_twice_or_with_nothing_to_retire_is_fine(self, driver: Driver, works: Works):
        resource = new_resource()
        made = await driver.provision(resource)
        await driver.retire(follow(resource, made))
        resource = follow(resource, made, generation=3)  # two rotations, and only the last reached the driver
        made = await driver.rotate(resource)
        await driver.retire(follow(resource, made))
        await driver.retire(follow(resource, made))
        assert await works(made.config)

    async def test_change_plan_keeps_the_credential(self, driver: Driver, works: Works):
        resource = new_resource()
        made = await driver.provision(resource)
        changed = await driver.change_plan(follow(resource, made, plan="bigger"))
        again = await driver.change_plan(follow(resource, made, plan="bigger"))
        assert changed == again
        assert changed.config == made.config
        assert await works(made.config)

    async def test_deprovision_stops_every_credential(self, driver: Driver, works: Works):
        resource = new_resource()
        old = await driver.provision(resource)
        resource = follow(resource, old, generation=2)
        new = await driver.rotate(resource)
        await driver.deprovision(follow(resource, new))
        assert not await works(old.config)
        assert not await works(new.config)

    async def test_deprovision_twice_or_at_once_or_without_provision_is_fine(self, driver: Driver, works: Works):
        resource = new_resource()
        await driver.deprovision(resource)
        made = await driver.provision(resource)
        resource = follow(resource, made)
        await asyncio.gather(driver.deprovision(resource), driver.deprovision(resource))
        await driver.deprovision(resource)
        assert not await works(made.config)

    async def test_no_secret_shows_in_texts_of_things_or_in_the_log(
        self, driver: Driver, caplog: pytest.LogCaptureFixture
    ):
        caplog.set_level(0)
        resource = new_resource()
        made = await driver.provision(resource)
        resource = follow(resource, made, generation=2)
        rotated = await driver.rotate(resource)
        await driver.retire(follow(resource, rotated))
        things = (driver, resource, follow(resource, rotated), made, rotated, driver.snippets(), vars(driver).values())
        shown = " ".join((*map(repr, things), *map(str, things), caplog.text))
        for secret in secret_parts(made.config) | secret_parts(rotated.config) | {repr(resource.seed)}:
            assert secret not in shown

    async def test_measures_are_numbers_of_this_resource(self, driver: Driver):
        resource = new_resource()
        resource = follow(resource, await driver.provision(resource))
        measures = await driver.usage(resource)
        assert len({measure.name for measure in measures}) == len(measures)
        assert all(measure.used >= 0 and measure.limit > 0 for measure in measures)

    async def test_a_restriction_may_be_repeated_and_lifted(self, driver: Driver, works: Works):
        resource = new_resource()
        made = await driver.provision(resource)
        resource = follow(resource, made)
        for read_only in (True, True, False, False):
            await driver.restrict(resource, read_only=read_only)
            assert await works(made.config)

    async def test_snippets_name_config_vars_and_have_titles(self, driver: Driver):
        made = await driver.provision(new_resource())
        titles = [snippet.title for snippet in driver.snippets()]
        assert len(set(titles)) == len(titles)
        assert all(any(name in snippet.text for name in made.config) for snippet in driver.snippets())

    async def test_a_suspended_resource_lets_nobody_in_until_it_is_resumed(self, driver: Driver, works: Works):
        if not driver.can_suspend:
            pytest.skip("this driver cannot suspend")
        resource = new_resource()
        old = await driver.provision(resource)
        resource = follow(resource, old, generation=2)
        new = await driver.rotate(resource)
        suspended = follow(resource, new, is_suspended=True)
        for _ in range(2):
            await driver.suspend(suspended)
            assert not await works(old.config)
            assert not await works(new.config)
        for _ in range(2):
            await driver.resume(follow(resource, new))
            assert await works(old.config)
            assert await works(new.config)

    async def test_two_resources_are_not_suspended_together(self, driver: Driver, works: Works):
        if not driver.can_suspend:
            pytest.skip("this driver cannot suspend")
        one, other = new_resource(), new_resource()
        made_one, made_other = await driver.provision(one), await driver.provision(other)
        await driver.suspend(follow(one, made_one, is_suspended=True))
        assert not await works(made_one.config)
        assert await works(made_other.config)

    async def test_no_other_verb_opens_a_suspended_resource(self, driver: Driver, works: Works):
        if not driver.can_suspend:
            pytest.skip("this driver cannot suspend")
        resource = new_resource()
        made = await driver.provision(resource)
        suspended = follow(resource, made, is_suspended=True)
        await driver.suspend(suspended)
        changed = await driver.change_plan(follow(suspended, made, plan="bigger"))
        assert changed.config == made.config
        assert await driver.provision(suspended) == made
        rotated = await driver.rotate(follow(suspended, made, generation=2))
        await driver.usage(suspended)
        await driver.restrict(suspended, read_only=True)
        await driver.restrict(suspended, read_only=False)
        assert not await works(made.config)
        assert not await works(rotated.config)
        await driver.resume(follow(resource, rotated, generation=2))
        assert await works(rotated.config)

    async def test_what_is_suspended_can_be_deprovisioned_and_what_was_never_made_suspended(
        self, driver: Driver, works: Works
    ):
        if not driver.can_suspend:
            pytest.skip("this driver cannot suspend")
        resource = new_resource()
        await driver.suspend(resource)
        await driver.resume(resource)
        made = await driver.provision(resource)
        await driver.suspend(follow(resource, made))
        await driver.deprovision(follow(resource, made))
        await driver.resume(follow(resource, made))
        assert not await works(made.config)

    async def test_what_is_set_aside_lets_nobody_in_and_comes_back_with_another_credential(
        self, driver: Driver, works: Works
    ):
        if not driver.can_set_aside:
            pytest.skip("this driver cannot set anything aside")
        resource = new_resource()
        made = await driver.provision(resource)
        resource = follow(resource, made)
        await asyncio.gather(driver.set_aside(resource), driver.set_aside(resource))
        await driver.set_aside(resource)
        assert not await works(made.config)
        resource = follow(resource, made, generation=2)
        back, again = await driver.bring_back(resource), await driver.bring_back(resource)
        assert back == again
        assert back.config.keys() == made.config.keys()
        assert not secret_parts(back.config) & secret_parts(made.config)
        assert await works(back.config)
        assert not await works(made.config)
        await driver.set_aside(follow(resource, back))
        assert not await works(back.config)
        third = await driver.bring_back(follow(resource, back, generation=3))
        assert await works(third.config)
        await driver.deprovision(follow(resource, third))
        assert not await works(third.config)

    async def test_what_was_suspended_is_set_aside_and_comes_back_open(self, driver: Driver, works: Works):
        if not (driver.can_suspend and driver.can_set_aside):
            pytest.skip("this driver cannot do both")
        resource = new_resource()
        made = await driver.provision(resource)
        await driver.suspend(follow(resource, made, is_suspended=True))
        await driver.set_aside(follow(resource, made))
        back = await driver.bring_back(follow(resource, made, generation=2))
        assert await works(back.config)

    async def test_setting_aside_what_was_never_made_or_is_gone_is_fine(self, driver: Driver, works: Works):
        if not driver.can_set_aside:
            pytest.skip("this driver cannot set anything aside")
        resource = new_resource()
        await driver.set_aside(resource)
        made = await driver.provision(resource)
        resource = follow(resource, made)
        await driver.set_aside(resource)
        await driver.deprovision(resource)
        await driver.set_aside(resource)
        await driver.deprovision(resource)
        assert not await works(made.config)

    async def test_generations_in_use_are_generations_and_numbers(self, driver: Driver):
        resource = new_resource()
        made = await driver.provision(resource)
        in_use = await driver.in_use(follow(resource, made))
        assert in_use is None or all(generation >= 1 and number >= 0 for generation, number in in_use.items())
        await driver.deprovision(follow(resource, made))
        assert not await driver.in_use(follow(resource, made))

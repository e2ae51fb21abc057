import asyncio
import json
import stat

import pytest

from app.simulator import StateUnreadable


async def test_yesterdays_world_is_there_today(make, tmp_path):
    path = tmp_path / "deep" / "world.json"
    first = make(state_path=path)
    async with first.running():
        installed = await first.calls.provision("shop", "basic", options={"fast": True})
        first.world.rotates_refresh_tokens = True
    second = make(state_path=path)
    assert second.world.addons == {installed.id: installed}
    assert second.world.apps == first.world.apps
    assert second.world.exchanges == first.world.exchanges
    assert second.world.customers == first.world.customers
    assert second.world.grants == first.world.grants
    assert second.world.rotates_refresh_tokens is True


async def test_the_file_is_its_owners_only_and_nothing_else_is_left(make, tmp_path):
    path = tmp_path / "world.json"
    make(state_path=path).save()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


async def test_an_unconfirmed_removal_goes_on_after_a_restart(make, addon, tmp_path, clock):
    path = tmp_path / "world.json"
    addon.answers["DELETE"] = (500, {})
    first = make(state_path=path)
    async with first.running():
        await first.calls.deprovision(await first.calls.provision("shop", "basic"))
    second = make(state_path=path)
    addon.answers["DELETE"] = (204, None)
    clock.move(minutes=1)
    await second.calls.retry_due()
    assert second.world.pending_deletes == {}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is not one the simulator wrote"),
        ("[]", "is not one the simulator wrote"),
        ('{"version": 99, "records": {}}', "has version 99; this simulator reads 1"),
        ('{"version": 1, "records": {"slug": "acme-postgres", "apps": 5}}', "is damaged at apps"),
        ('{"version": 1, "records": {"slug": "other"}}', "belongs to the add-on 'other'"),
    ],
)
def test_a_file_that_cannot_be_read_says_so_in_a_sentence(make, tmp_path, content, reason):
    path = tmp_path / "world.json"
    path.write_text(content)
    with pytest.raises(StateUnreadable, match=reason) as refusal:
        make(state_path=path)
    assert str(path) in str(refusal.value)
    assert "Move the file away" in str(refusal.value)
    assert path.read_text() == content


async def test_the_file_is_json_with_a_version(make, tmp_path):
    path = tmp_path / "world.json"
    make(state_path=path).save()
    assert json.loads(path.read_bytes())["version"] == 1


@pytest.mark.parametrize("manifest", [{}, {"id": "a"}, {"id": "a", "api": {"password": "", "sso_salt": "x"}}])
def test_a_manifest_that_lacks_what_is_needed_is_refused(make, manifest):
    with pytest.raises(ValueError, match="manifest"):
        make(manifest=manifest)


async def test_a_change_is_saved_while_the_simulator_runs(make, tmp_path):
    path = tmp_path / "world.json"
    simulator = make(state_path=path)
    async with simulator.running(), asyncio.timeout(5):
        while not path.exists():
            await asyncio.sleep(0.01)
        assert b"shop" in path.read_bytes()


async def test_the_rounds_do_what_is_due(make, addon, clock):
    simulator = make()
    addon.answers["POST"] = (202, {"id": "x"})
    slow = await simulator.calls.provision("shop", "basic")
    clock.move(hours=12)
    gone = asyncio.Event()

    async def tell(body):
        gone.set()

    addon.before_answer = tell
    async with simulator.running():
        await asyncio.wait_for(gone.wait(), 5)
    assert slow.state == "deprovisioned"

"""`reconcile` and `alerts` on the command line, with Heroku, mail and webhook on real sockets."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn
from receivers import Webhook, listening
from rig import Rig
from sqlalchemy import update

from app.operations import alerts
from app.resources.models import Resource, State


@pytest.fixture
async def heroku_url(key_rig: Rig) -> AsyncIterator[str]:
    """The rig's Heroku, where other processes find it, too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(key_rig.simulator.app, lifespan="off", log_config=None, ws="none")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve(sockets=[listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await serving


@pytest.fixture
def command_settings(heroku_url: str) -> dict[str, str]:
    """Commands find the rig's Heroku."""
    return dict.fromkeys(("heroku_api_url", "heroku_id_url", "heroku_addons_url"), heroku_url)


async def test_a_comparison_is_made_shown_and_an_orphan_ended(key_rig: Rig, command):
    app = key_rig.simulator.world.create_app("shop")
    addons = [await key_rig.simulator.calls.provision(app.name, "test") for _ in range(7)]
    await key_rig.work()
    async with key_rig.context.database.transaction() as session:
        # The command has the real clock.
        long_ago = key_rig.clock.now.replace(year=2020)
        await session.execute(update(Resource).values(created_at=long_ago, provisioned_at=long_ago))
    assert "Nothing has been compared yet" in (await command("reconcile", "--last")).output
    assert "Heroku and we agree on everything that is older than an hour" in (await command("reconcile")).output
    key_rig.simulator.world.remove(addons[0], "in silence.")

    found = await command("reconcile", "--json")
    assert found.exit_code == 0, found.output
    (orphan,) = json.loads(found.stdout)
    assert (orphan["uuid"], orphan["kind"], orphan["repair"]) == (addons[0].id, "orphan", "deprovision")
    assert "7 resources here, 6 at Heroku, 1 difference." in found.stderr

    why_not = await command("reconcile", "--apply", str(orphan["id"]))
    assert (why_not.exit_code, "Say why" in why_not.output) == (1, True)
    done = await command("reconcile", "--apply", str(orphan["id"]), "--reason", "Gone at Heroku", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)[0]["over"] is True
    assert (await key_rig.resource(addons[0].id)).state is State.DEPROVISIONED
    last = json.loads((await command("reconcile", "--last", "--json")).stdout)
    assert [one["repair"] for one in last] == ["done"]
    unknown = await command("reconcile", "--apply", "999999", "--reason", "because")
    assert (unknown.exit_code, "There is no difference 999999." in unknown.output) == (1, True)


async def test_a_list_that_is_not_to_be_had_is_one_sentence_and_a_failure(key_rig: Rig, command, monkeypatch):
    monkeypatch.setenv("ADDON_PASSWORD", "another-password")
    monkeypatch.setenv("ADDON_PASSWORD_PREVIOUS", "")
    failed = await command("reconcile")
    assert failed.exit_code == 1
    assert "it takes neither ADDON_PASSWORD nor a previous one" in failed.output


async def test_alerts_are_listed_and_a_trial_is_sent(key_rig: Rig, command, monkeypatch):
    assert "No alert is open." in (await command("alerts", "list")).output
    assert "No alert is over yet." in (await command("alerts", "list", "--past")).output
    assert "No way to the team is set up" in (await command("alerts", "test")).output
    await key_rig.simulator.calls.provision(key_rig.simulator.world.create_app("shop").name, "test")
    async with key_rig.context.database.transaction() as session:
        await session.execute(update(Resource).values(failures=9))
    await alerts.check(key_rig.context)
    (shown,) = json.loads((await command("alerts", "list", "--json")).stdout)
    assert (shown["what"], shown["until"]) == ("Work fails again and again", None)

    webhook = Webhook(answers=[200, 500])
    async with listening(webhook):
        monkeypatch.setenv("ALERT_WEBHOOK_URL", f"http://127.0.0.1:{webhook.port}/hook")
        sent = await command("alerts", "test")
        assert (sent.exit_code, "webhook: sent" in sent.output) == (0, True)
        failed = await command("alerts", "test")
        assert (failed.exit_code, "webhook: The webhook answered 500." in failed.output) == (1, True)
    assert "nothing is wrong" in webhook.texts[0]

"""One resource on the command line: the panel's facts, the panel's actions, and the panel's rules."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from deeds import installed
from rig import Rig
from sqlalchemy import select
from typer.main import get_group
from typer.testing import Result

from app import job_queue
from app.commands import resources
from app.operations.actions import ACTIONS
from app.operators import accounts
from app.operators.roles import Actor, Role
from app.resources.models import State
from app.resources.traces import Event, Exchange

PROJECT = Path(__file__).parents[2]
MACHINE = Actor(name="root@machine", role=Role.OWNER)
WHY = ("--reason", "The customer asked for it")


@pytest.fixture
def command_settings() -> dict[str, str]:
    """Nobody answers commands for Heroku."""
    return {"heroku_api_url": "http://127.0.0.1:1"}


@pytest.fixture
def command(command: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Runs a command of the group of resources."""
    return partial(command, "resources")


def sentence(result: Result) -> str:
    """The one line with which a command refused."""
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    (line,) = result.stderr.splitlines()
    return line


async def deeds(rig: Rig, uuid: str) -> list[tuple[str, str, str]]:
    async with rig.context.database.transaction() as session:
        query = select(Event.kind, Event.actor, Event.reason).where(
            Event.resource_uuid == UUID(uuid), Event.reason.is_not(None)
        )
        return [tuple(row) for row in await session.execute(query.order_by(Event.id))]


async def add(rig: Rig, role: Role) -> str:
    email = f"{role.word}@acme.example"
    await accounts.add(rig.context, MACHINE, email=email, name=role.word, role=role, password=None)
    return email


def test_there_is_a_command_for_every_action_and_it_says_who_may():
    commands = get_group(resources.cli).commands
    for action in ACTIONS.values():
        assert commands[action.id].help == f"{action.title}. Takes the role {action.role.word}."
        options = {parameter.name for parameter in commands[action.id].params}
        assert options == {"resource", "reason", "yes", "actor", *(parameter.name for parameter in action.parameters)}


class TestNaming:
    async def test_a_uuid_its_beginning_and_the_name_mean_the_same(self, rig: Rig, command):
        _, addon = await installed(rig)
        for which in (addon.id, addon.id[:8].upper(), addon.id.replace("-", ""), addon.name):
            result = await command("jobs", which)
            assert (result.exit_code, result.stdout) == (0, "Nothing: all that was asked for is done.\n")

    async def test_what_nothing_is_called_is_refused(self, rig: Rig, command):
        assert sentence(await command("show", "acme-nowhere-1")) == "There is no resource acme-nowhere-1."
        assert sentence(await command("show", "%")) == "There is no resource %."

    async def test_a_name_of_two_resources_names_both_and_does_nothing(self, rig: Rig, command):
        app, first = await installed(rig)
        second = await rig.simulator.calls.provision(app.name, "test")
        async with rig.context.database.transaction() as session:
            (await session.get_one(type(await rig.resource(first.id)), UUID(second.id))).name = first.name
        line = sentence(await command("suspend", first.name, *WHY, "--yes", first.name))
        assert first.id in line
        assert second.id in line
        assert line.endswith("say which by its uuid.")
        assert await deeds(rig, first.id) == await deeds(rig, second.id) == []


class TestLooking:
    async def test_show_tells_scripts_what_the_page_tells_and_no_secret(self, rig: Rig, command):
        _, addon = await installed(rig)
        result = await command("show", addon.name, "--json")
        told = json.loads(result.stdout)
        assert list(told) == [
            "troubles", "resource", "heroku", "usage", "config_vars", "credentials", "tokens", "jobs", "exchanges",
            "sign_ins", "actions",
        ]  # fmt: skip
        assert told["resource"]["uuid"] == addon.id
        assert (told["resource"]["state"], told["resource"]["driver"]) == ("provisioned", "Postgres")
        assert told["config_vars"] == {"ACME_POSTGRES_URL": "hidden"}
        assert told["credentials"]["generation"] == 1
        assert told["tokens"]["given"] is True
        assert {"action": "resume", "role": "operator", "why_not": "It is not suspended."} in told["actions"]
        (secret,) = (await rig.config(addon.id)).values()
        assert secret not in result.stdout

    async def test_show_for_people_fits_80_columns_and_names_what_is_wrong_first(self, rig: Rig, command, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        _, addon = await installed(rig)
        async with rig.context.database.transaction() as session:
            resource = await session.get_one(type(await rig.resource(addon.id)), UUID(addon.id))
            resource.failures, resource.last_error = 3, "[red]no[/red] " + "x" * 200
        lines = (await command("show", addon.id[:8])).stdout.splitlines()
        assert max(map(len, lines)) <= 80
        assert lines[1] == "What is wrong"
        assert any("[red]no[/red]" in line for line in lines)
        assert any(line.startswith("push-config") and "support" in line for line in lines)

    async def test_find_fits_80_columns_with_uuids_that_can_be_copied(self, rig: Rig, command, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        _, addon = await installed(rig)
        lines = (await command("find", "plan:test")).stdout.splitlines()
        assert max(map(len, lines)) <= 80
        assert any(addon.id in line.split() for line in lines)

    async def test_the_timeline_has_events_and_exchanges_with_the_same_names_in_every_line(self, rig: Rig, command):
        _, addon = await installed(rig)
        rig.clock.forward(seconds=1)
        async with rig.context.database.transaction() as session:
            row = {"at": rig.clock(), "direction": "out", "method": "GET", "milliseconds": 12.4, "status": None}
            session.add(Exchange(resource_uuid=UUID(addon.id), path=f"/addons/{addon.id}", **row))
        lines = json.loads((await command("timeline", addon.id, "--json")).stdout)
        assert {tuple(sorted(line)) for line in lines} == {("at", "kind", "line", "reason", "text", "who")}
        assert {"event", "exchange"} == {line["line"] for line in lines}
        assert lines == sorted(lines, key=lambda line: line["at"], reverse=True)
        assert all(line["at"].endswith("+00:00") for line in lines)
        only = json.loads((await command("timeline", addon.id, "--only", "events", "--limit", "2", "--json")).stdout)
        assert [line["line"] for line in only] == ["event", "event"]
        talk = await command("exchanges", addon.id)
        assert "no answer in 12 ms" in " ".join(talk.stdout.split())
        told = json.loads((await command("exchanges", addon.id, "--limit", "1", "--json")).stdout)[0]
        assert (told["direction"], told["path"], told["status"]) == ("out", f"/addons/{addon.id}", None)

    async def test_config_values_are_shown_for_a_reason_that_is_kept(self, rig: Rig, command):
        _, addon = await installed(rig)
        assert sentence(await command("show-config", addon.id, "--reason", " ")).startswith("Say why")
        assert await deeds(rig, addon.id) == []
        shown = await command("show-config", addon.name, *WHY, "--as", await add(rig, Role.SUPPORT))
        assert shown.stdout == f"ACME_POSTGRES_URL={(await rig.config(addon.id))['ACME_POSTGRES_URL']}\n"
        assert await deeds(rig, addon.id) == [("config_shown", "support@acme.example", WHY[1])]
        viewer = await add(rig, Role.VIEWER)
        assert "takes the role support" in sentence(await command("show-config", addon.id, *WHY, "--as", viewer))


class TestDoing:
    async def test_it_says_what_will_happen_asks_and_does_it(self, rig: Rig, command):
        _, addon = await installed(rig)
        declined = await command("push-config", addon.name, *WHY, typed="n\n")
        assert declined.exit_code == 1
        assert f"Heroku gets the config vars of {addon.name} once more" in declined.stderr
        assert declined.stderr.endswith("Nothing was done.\n")
        assert await deeds(rig, addon.id) == []
        done = await command("push-config", addon.name, *WHY, typed="y\n")
        assert done.exit_code == 0, done.output
        assert done.stdout.endswith("The config vars are on their way to Heroku.\n")
        [(kind, who, why)] = await deeds(rig, addon.id)
        assert (kind, why) == ("push_requested", WHY[1])
        assert "@" in who
        [job] = json.loads((await command("jobs", addon.id, "--json")).stdout)
        assert (job["job"], job["status"], job["begun_times"]) == ("push_config", "waiting", 0)
        await rig.work()
        assert not (await rig.resource(addon.id)).needs_push

    async def test_a_grave_one_wants_the_name_typed(self, rig: Rig, command):
        _, addon = await installed(rig)
        for words, typed in (((), "yes\n"), (("--yes", addon.id), None)):
            refused = await command("suspend", addon.id, *WHY, *words, typed=typed)
            assert refused.exit_code == 1
            assert f"Type the add-on's name, {addon.name}, to confirm. Nothing was done." in refused.stderr
        assert (await rig.resource(addon.id)).suspended_at is None
        done = await command("suspend", addon.id, *WHY, typed=f"{addon.name}\n")
        assert done.exit_code == 0, done.output
        assert (await rig.resource(addon.id)).suspended_at is not None
        await rig.work()
        assert (await command("resume", addon.id, *WHY, "--yes")).exit_code == 0

    async def test_a_script_gives_the_name_and_nobody_is_asked(self, rig: Rig, command):
        _, addon = await installed(rig)
        done = await command("deprovision", addon.id, *WHY, "--yes", addon.name, typed="")
        assert done.exit_code == 0, done.output
        assert done.stdout == "It has ended here. Heroku could not be told and goes on listing it.\n"
        assert (await rig.resource(addon.id)).state is State.DEPROVISIONED
        async with rig.context.database.transaction() as session:
            tried = await session.scalar(
                select(Exchange.path).where(Exchange.direction == "out", Exchange.status.is_(None))
            )
        assert tried is not None
        again = await command("deprovision", addon.id, *WHY, "--yes", addon.name)
        assert sentence(again) == "It has been deprovisioned already."

    async def test_without_anybody_to_ask_nothing_is_done(self, rig: Rig, command):
        _, addon = await installed(rig)
        assert (await command("suspend", addon.id, *WHY, typed="")).exit_code == 1
        assert await deeds(rig, addon.id) == []

    async def test_what_it_must_be_told_is_an_option_that_says_what_is_offered(self, rig: Rig, command):
        _, addon = await installed(rig)
        offered = sentence(await command("move-plan", addon.id, *WHY, "--yes", addon.name))
        assert offered.startswith("Say with --plan which one. There are: ")
        assert "standard ($" in offered
        assert sentence(await command("move-plan", addon.id, *WHY, "--plan", "gold", "--yes", addon.name)) == offered
        words = ("--yes", addon.name) if ACTIONS["move-plan"].is_grave else ("--yes",)
        assert (await command("move-plan", addon.id, *WHY, "--plan", "standard", *words)).exit_code == 0
        assert (await rig.resource(addon.id)).plan == "standard"

    async def test_a_stuck_job_is_skipped_by_its_number(self, rig: Rig, command):
        _, addon = await installed(rig)
        await command("push-config", addon.id, *WHY, "--yes")
        [job] = json.loads((await command("jobs", addon.id, "--json")).stdout)
        assert "push_config" in sentence(await command("skip-job", addon.id, *WHY, "--yes", addon.name))
        done = await command("skip-job", addon.id, *WHY, "--job", str(job["id"]), "--yes", addon.name)
        assert done.stdout == "push_config was given up.\n"
        async with rig.context.database.transaction() as session:
            assert await job_queue.work_of(session, UUID(addon.id)) == []

    async def test_the_role_of_whom_one_types_for_decides_before_anything_else(self, rig: Rig, command):
        _, addon = await installed(rig)
        email = {role: await add(rig, role) for role in Role}
        for action in ACTIONS.values():
            refused = sentence(await command(action.id, addon.id, *WHY, "--as", email[Role(action.role - 1)]))
            assert f"takes the role {action.role.word}" in refused
        assert await deeds(rig, addon.id) == []

    async def test_a_missing_reason_is_a_mistake_of_typing(self, rig: Rig, command):
        assert (await command("rotate", "acme")).exit_code == 2


@pytest.mark.parametrize(("more", "is_red"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_on_a_terminal_a_refusal_is_red_unless_no_color_is_set(more, is_red):
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "app", "resources", "find", "plan:test"]
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        with os.fdopen(theirs, "wb") as screen:
            done = subprocess.run(words, cwd=PROJECT, env={"PATH": "/usr/bin:/bin", **more}, stderr=screen, check=False)
        said = terminal.read(1000)
    assert done.returncode == 1
    assert b"DATABASE_URL is not set." in said
    assert (b"\x1b[31m" in said) is is_red

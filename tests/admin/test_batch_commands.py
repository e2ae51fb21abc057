"""Many at once and plans, on the command line: the same rules, tables for people and JSON for scripts."""

import json
import re

import pytest
from rig import Rig, provision_body
from sqlalchemy import select

from app.operations import batch_work
from app.operators import accounts
from app.operators.roles import Actor, Role
from app.resources.traces import Event

MACHINE = Actor(name="root@machine", role=Role.OWNER)
ORDER = ("batches", "new", "state:provisioned", "--action", "push-config", "--reason", "Heroku had an incident")


async def provision(rig: Rig, number: int) -> None:
    app = rig.simulator.world.create_app("demo")
    for _ in range(number):
        await rig.simulator.calls.provision(app.name, "test")
    await rig.work()


async def test_a_batch_is_ordered_watched_and_listed(key_rig: Rig, command):
    await provision(key_rig, 2)
    assert "There is no batch yet" in (await command("batches", "list")).output
    wrong = await command(*ORDER, typed="3\n")
    assert wrong.exit_code == 1
    assert "Type how many resources it is about, 2" in wrong.output
    ordered = await command(*ORDER, typed="2\n")
    assert ordered.exit_code == 0, ordered.output
    assert "Push config again: 2 resources; 2 on test." in ordered.output
    batch_id = re.search(r"batches show ([0-9a-f-]{36})", ordered.output)[1]

    await batch_work.work(key_rig.context)
    await key_rig.work()
    await batch_work.work(key_rig.context)
    watched = await command("batches", "show", batch_id, "--watch", "--json")
    [line] = json.loads(watched.stdout)
    assert (line["state"], line["done"], line["of"]) == ("done", 2, 2)
    each = json.loads((await command("batches", "show", batch_id, "--only", "done", "--json")).stdout)
    assert [one["outcome"] for one in each] == ["done", "done"]
    assert batch_id in (await command("batches", "list", "--json")).stdout


async def test_a_batch_is_paused_resumed_and_cancelled(key_rig: Rig, command):
    await provision(key_rig, 1)
    ordered = await command(*ORDER, "--number", "1")
    assert "Push config again: 1 resource; 1 on test." in ordered.output
    batch_id = re.search(r"batches show ([0-9a-f-]{36})", ordered.output)[1]
    for verb, said in (("pause", "It is paused."), ("resume", "It goes on."), ("cancel", "It is cancelled.")):
        assert said in (await command("batches", verb, batch_id)).output
    again = await command("batches", "cancel", batch_id)
    assert (again.exit_code, again.output) == (1, "It cannot be cancelled: it is cancelled.\n")


async def test_the_role_of_whom_one_types_for_decides(key_rig: Rig, command):
    await provision(key_rig, 1)
    email = "sue@acme.example"
    await accounts.add(key_rig.context, MACHINE, email=email, name="Sue", role=Role.SUPPORT, password=None)
    refused = await command(*ORDER, "--number", "1", "--as", email)
    assert refused.exit_code == 1
    assert "takes the role operator" in refused.output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--action", "explode"), "There is no action explode"),
        (("--action", "purge"), "one resource at a time"),
        (("--action", "move-plan", "--set", "plan"), "--set takes a name and a value"),
        (("--action", "move-plan", "--set", "plan=gold"), "Choose one of what is offered"),
    ],
)
async def test_what_cannot_be_is_one_sentence(key_rig: Rig, command, words, sentence):
    await provision(key_rig, 1)
    refused = await command(*ORDER[:3], *words, "--reason", "Just so", "--number", "1")
    assert refused.exit_code != 0
    assert sentence in " ".join(refused.output.replace("│", " ").split())


async def test_a_plan_is_withdrawn_and_offered_again(key_rig: Rig, command):
    sentence = "The test plan is full at the moment."
    withdrawn = await command("plans", "withdraw", "test", "--sentence", sentence, "--reason", "The server is full")
    assert withdrawn.exit_code == 0, withdrawn.output
    answer = await key_rig.heroku.post("", json=provision_body(plan="test"))
    assert answer.json()["message"] == sentence
    lines = {line["plan"]: line for line in json.loads((await command("plans", "list", "--json")).stdout)}
    assert lines["test"]["on_sale"] == f"withdrawn: {sentence}"
    assert lines["standard"]["on_sale"] == "on sale"

    assert "is on sale again" in (await command("plans", "offer-again", "test", "--reason", "New server")).output
    assert (await command("plans", "offer-again", "test", "--reason", "New server")).exit_code == 1
    async with key_rig.context.database.transaction() as session:
        reasons = list(await session.scalars(select(Event.reason).where(Event.kind.like("plan_%")).order_by(Event.id)))
    assert reasons == ["The server is full", "New server"]

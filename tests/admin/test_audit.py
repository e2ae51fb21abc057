"""The audit log: everything that happens is in it, and nobody alters it unseen."""

import asyncio
import csv
import hashlib
import io
import json
from datetime import timedelta
from uuid import uuid4

import pytest
from rig import Rig
from sqlalchemy import text

from app.operations import audit_log
from app.operations.audit_chain import NOTHING, find_head, link_events
from app.operations.audit_log import Filter
from app.operations.audit_verification import read_digest, verify, verify_and_record
from app.operators.roles import Actor, NotAllowed, Role
from app.resources.lifecycle import record

OWNER = Actor(name="root@machine", role=Role.OWNER)
VIEWER = Actor(name="viewer@acme.example", role=Role.VIEWER)

FORGED = """
    INSERT INTO events (id, at, kind, actor, text, is_for_customer) VALUES (-7, now(), 'kind', 'Heroku', 'text', false)
"""


async def happen(rig: Rig, *kinds: str, actor: str = "the program", **more: object) -> None:
    """Events, a second apart."""
    async with rig.context.database.transaction() as session:
        for kind in kinds:
            rig.clock.forward(seconds=1)
            record(session, None, rig.clock(), kind, actor, f"{kind} é “so” it was", **more)
            await session.flush()


async def tamper(rig: Rig, *statements: str) -> None:
    """What somebody does who has the database, and whom no constraint stops."""
    async with rig.context.database.transaction() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            await session.execute(text(statement))


async def links(rig: Rig) -> list[tuple[int, int]]:
    """Position and event id."""
    async with rig.context.database.transaction() as session:
        rows = await session.execute(text("SELECT position, event_id FROM audit_links ORDER BY position"))
        return [(position, event_id) for position, event_id in rows]


async def exported(rig: Rig, form: audit_log.Format = "jsonl", wanted: Filter | None = None) -> str:
    return "".join([piece async for piece in audit_log.export(rig.context, OWNER, wanted or Filter(), form)])


def independent_verification(lines: str) -> str:
    """The digest of the last line, after checking every line as the guide says, without a line of the program."""
    position, digest = 0, "0" * 64
    for line in lines.splitlines():
        event = json.loads(line)
        if event.pop("position") == position + 1:
            assert event["previous"] == digest
        content = bytes.fromhex(event.pop("previous"))
        digest, position = event.pop("digest"), position + 1
        for name, value in sorted(event.items()):
            if value is not None:
                for word in (name, value if isinstance(value, str) else json.dumps(value)):
                    content += len(word.encode()).to_bytes(4, "big") + word.encode()
        assert hashlib.sha256(content).hexdigest() == digest
    return digest


async def test_every_event_gets_a_link_in_order_and_the_chain_holds(key_rig: Rig):
    await key_rig.simulator.calls.provision(key_rig.simulator.world.create_app("demo").name, "test")
    await key_rig.work()
    await happen(key_rig, *["bulk"] * 2100)
    await link_events(key_rig.context)
    before = await links(key_rig)
    await link_events(key_rig.context)
    assert await links(key_rig) == before
    assert [position for position, _ in before] == list(range(1, len(before) + 1))
    assert [event_id for _, event_id in before] == sorted(event_id for _, event_id in before)
    steps: list[tuple[int, int]] = []
    verdict = await verify(key_rig.context, progress=lambda done, of: steps.append((done, of)))
    assert (verdict.fault, verdict.links, verdict.waiting) == (None, len(before), 0)
    assert steps[-1] == (len(before), len(before))


async def test_two_linkers_at_once_make_one_chain(key_rig: Rig):
    await happen(key_rig, *["busy"] * 1500)
    await asyncio.gather(*(link_events(key_rig.context) for _ in range(4)))
    assert [position for position, _ in await links(key_rig)] == list(range(1, 1501))
    assert (await verify(key_rig.context)).fault is None


async def test_an_event_whose_transaction_commits_late_gets_its_link_too(key_rig: Rig):
    database, now = key_rig.context.database, key_rig.clock()
    async with database.transaction() as slow:
        record(slow, None, now, "slow", "the program", "Begun first")
        await slow.flush()
        await happen(key_rig, "quick")
        await link_events(key_rig.context)
        key_rig.clock.forward(hours=3)  # the worker was away meanwhile
    await happen(key_rig, "next")
    await link_events(key_rig.context)
    assert [event_id for _, event_id in await links(key_rig)] == [2, 1, 3]
    assert (await verify(key_rig.context)).fault is None


@pytest.mark.parametrize(
    ("statement", "sentence", "position", "event_id"),
    [
        ("UPDATE events SET text = 'nothing' WHERE id = 3", "Event 3 is not what link 3 says", 3, 3),
        ("UPDATE events SET actor = 'Heroku' WHERE id = 5", "Event 5 is not what link 5 says", 5, 5),
        ("UPDATE events SET at = at + interval '1 microsecond' WHERE id = 2", "Event 2 is not", 2, 2),
        ("UPDATE events SET reason = 'other' WHERE id = 4", "Event 4 is not what link 4 says", 4, 4),
        ("UPDATE events SET is_for_customer = NOT is_for_customer WHERE id = 1", "Event 1 is not", 1, 1),
        ("UPDATE audit_links SET digest = sha256(digest) WHERE position = 2", "Event 2 is not", 2, 2),
        ("UPDATE audit_links SET linked_at = linked_at - interval '1 day' WHERE position = 4", "Event 4 is", 4, 4),
        ("DELETE FROM events WHERE id = 3", "Event 3 of link 3 is missing", 3, 3),
        ("DELETE FROM audit_links WHERE position = 4", "Link 4 is missing", 4, None),
        ("DELETE FROM audit_links WHERE position = 1", "Link 1 is missing", 1, None),
        (FORGED, "Event -7 has no link", None, -7),
    ],
)
async def test_the_first_fault_is_named(key_rig: Rig, statement, sentence, position, event_id):
    await happen(key_rig, *"abcdef", reason="because")
    await link_events(key_rig.context)
    key_rig.clock.forward(minutes=11)
    await happen(key_rig, "later")
    await link_events(key_rig.context)
    await tamper(key_rig, statement)
    await link_events(key_rig.context)  # which must not make good again what was done
    verdict = await verify(key_rig.context)
    assert verdict.fault is not None
    assert verdict.fault.startswith(sentence)
    assert (verdict.position, verdict.event_id) == (position, event_id)


async def test_deleting_an_event_with_its_link_and_moving_up_the_rest_is_seen(key_rig: Rig):
    await happen(key_rig, *"abcd")
    await link_events(key_rig.context)
    await tamper(
        key_rig,
        "DELETE FROM audit_links WHERE position = 2",
        "DELETE FROM events WHERE id = 2",
        "UPDATE audit_links SET position = position - 1 WHERE position > 2",
    )
    assert "Event 3 is not what link 2 says" in (await verify(key_rig.context)).fault


async def test_only_a_head_that_was_written_down_shows_that_the_end_was_cut_off(key_rig: Rig):
    await happen(key_rig, *"abc")
    await link_events(key_rig.context)
    head = (await verify(key_rig.context)).head
    await happen(key_rig, "d")
    await link_events(key_rig.context)
    assert (await verify(key_rig.context, expected=read_digest(head))).fault is None
    await tamper(key_rig, "DELETE FROM audit_links WHERE position >= 3", "DELETE FROM events WHERE id >= 3")
    assert (await verify(key_rig.context)).fault is None
    assert "cut off" in (await verify(key_rig.context, expected=read_digest(head))).fault


async def test_an_auditor_proves_an_export_without_the_program(key_rig: Rig):
    await key_rig.simulator.calls.provision(key_rig.simulator.world.create_app("demo").name, "test")
    await key_rig.work()
    await happen(key_rig, "odd", actor="=1+1", operator_id=uuid4(), reason='a "reason",\nin two lines')
    await link_events(key_rig.context)
    whole = await exported(key_rig)
    assert independent_verification(whole) == (await verify(key_rig.context)).head
    with pytest.raises(AssertionError):
        independent_verification(whole.replace("=1+1", "=1+2"))
    part = await exported(key_rig, wanted=Filter(kind="odd"))
    assert independent_verification(part) == (await verify(key_rig.context)).head


async def test_a_spreadsheet_computes_nothing_of_an_export(key_rig: Rig):
    await happen(key_rig, "odd", actor="=1+1")
    await link_events(key_rig.context)
    (row,) = csv.DictReader(io.StringIO(await exported(key_rig, "csv")))
    assert (row["actor"], row["position"], row["previous"]) == ("'=1+1", "1", NOTHING.hex())


async def test_only_an_owner_takes_the_log_away(key_rig: Rig, panel_of):
    with pytest.raises(NotAllowed):
        [piece async for piece in audit_log.export(key_rig.context, VIEWER, Filter(), "csv")]
    viewer, owner = await panel_of(Role.VIEWER), await panel_of(Role.OWNER)
    await link_events(key_rig.context)
    assert (await viewer.http.get("/admin/audit/export.csv")).status_code == 403
    assert "/admin/audit/export" not in (await viewer.http.get("/admin/audit")).text
    answer = await owner.http.get("/admin/audit/export.jsonl?kind=operator_added")
    assert answer.headers["content-type"].startswith("application/jsonl")
    assert {json.loads(line)["kind"] for line in answer.text.splitlines()} == {"operator_added"}
    assert (await owner.http.get("/admin/audit/export.xls")).status_code == 404


async def test_an_export_has_what_has_just_happened(key_rig: Rig, panel_of):
    owner = await panel_of(Role.OWNER)
    await link_events(key_rig.context)
    await happen(key_rig, "old")
    await link_events(key_rig.context)
    await happen(key_rig, *["new"] * 2100)
    page = (await owner.http.get("/admin/audit")).text
    assert "2,100 of the last moments wait for the worker, which comes every ten seconds" in page
    assert "The list below has every event, linked or not." in page
    lines = (await owner.http.get("/admin/audit/export.jsonl")).text
    assert [json.loads(line)["kind"] for line in lines.splitlines()][-2101:] == ["old", *["new"] * 2100]
    assert independent_verification(lines) == (await verify(key_rig.context)).head
    assert "wait for the worker" not in (await owner.http.get("/admin/audit")).text


async def test_an_export_waits_for_the_worker_that_is_linking(key_rig: Rig):
    await happen(key_rig, "new")
    async with key_rig.context.database.transaction() as worker:
        await worker.execute(text("SELECT pg_advisory_xact_lock(hashtext('audit chain'))"))
        export = asyncio.create_task(exported(key_rig))
        while not await worker.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
            assert not export.done()
    assert json.loads(await export)["kind"] == "new"


async def test_links_for_somebody_who_waits_are_made_for_so_long_only(key_rig: Rig):
    await happen(key_rig, *["backlog"] * 1001)
    await link_events(key_rig.context, patience=timedelta(0))
    assert (await audit_log.chain_state(key_rig.context)).waiting == 1
    await link_events(key_rig.context)
    assert (await audit_log.chain_state(key_rig.context)).waiting == 0


async def test_pages_lead_to_and_fro_without_a_gap(key_rig: Rig):
    await happen(key_rig, *(f"kind_{number}" for number in range(12)))
    seen, before = [], None
    while True:
        page = await audit_log.page(key_rig.context, Filter(), before=before, limit=5)
        seen += [event.kind for event in page.events]
        await happen(key_rig, "meanwhile")  # what is new does not move what is old
        before = page.older
        if before is None:
            break
    assert seen == [f"kind_{number}" for number in reversed(range(12))]
    last = audit_log.Key(page.events[0].at, page.events[0].id)
    back = await audit_log.page(key_rig.context, Filter(), after=last, limit=5)
    assert [event.kind for event in back.events] == [f"kind_{number}" for number in (6, 5, 4, 3, 2)]
    assert back.newer is not None
    assert back.older is not None


async def test_the_page_filters_by_everything_that_it_shows(key_rig: Rig, panel_of):
    addon = await key_rig.simulator.calls.provision(key_rig.simulator.world.create_app("demo").name, "test")
    panel = await panel_of(Role.VIEWER)
    await happen(key_rig, "plan_withdrawn", actor="jane@acme.example", operator_id=uuid4(), reason="Costs <too> much")
    today = key_rig.clock().date()
    for query, there, elsewhere in [
        ("kind=provisioned", "Ready on the test plan", "Costs"),
        ("actor=jane@acme.example", "Costs &lt;too&gt; much", "Ready on the test plan"),
        (f"resource={addon.id}", "Ready on the test plan", "Costs"),
        (f"since={today}&until={today}", "Ready on the test plan", "Nothing in the log fits"),
        (f"until={today - timedelta(days=1)}", "Nothing in the log fits", "Ready on the test plan"),
    ]:
        shown = await panel.http.get(f"/admin/audit?{query}")
        assert shown.status_code == 200
        assert there in shown.text
        assert elsewhere not in shown.text


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("since=yesterday", "Write a day as"),
        ("resource=demo", "whole uuid"),
        ("since=2026-02-02&until=2026-01-01", "ends before it begins"),
        ("before=1-x", "address of this page"),
        ("after=1-9999999999999999999", "address of this page"),
        ("operator=me", "is a uuid"),
        ("actor=%00", "cannot be searched for"),
    ],
)
async def test_what_cannot_be_understood_is_said_and_kept(key_rig: Rig, panel_of, query, sentence):
    panel = await panel_of(Role.VIEWER)
    answer = await panel.http.get(f"/admin/audit?{query}")
    assert answer.status_code == 422
    assert sentence in answer.text


async def test_the_page_says_how_far_the_chain_is_and_whether_it_holds(key_rig: Rig, panel_of):
    panel = await panel_of(Role.VIEWER)
    assert "never verified" in (await panel.http.get("/admin/audit")).text
    await link_events(key_rig.context)
    assert (await verify_and_record(key_rig.context)).fault is None
    assert ">whole<" in (await panel.http.get("/admin/audit")).text
    await tamper(key_rig, "UPDATE events SET text = 'x' WHERE id = 1")
    key_rig.clock.forward(minutes=1)
    await verify_and_record(key_rig.context)
    async with key_rig.context.database.transaction() as session:
        head = await find_head(session)
    shown = (await panel.http.get("/admin/audit")).text
    assert ">broken<" in shown
    assert "Keep a copy of that as it is now" in shown
    assert head.digest.hex() in shown


async def test_the_command_verifies_and_its_exit_code_says_what_it_found(key_rig: Rig, command):
    await happen(key_rig, *"abc")
    await link_events(key_rig.context)
    good = await command("audit", "verify")
    assert good.exit_code == 0, good.output
    head = json.loads((await command("audit", "head", "--json")).stdout)[0]["head"]
    assert head in good.stdout
    assert "--expect" in good.stdout
    await link_events(key_rig.context)  # the verification is an event itself
    assert (await command("audit", "verify", "--expect", head)).exit_code == 0
    assert (await command("audit", "verify", "--expect", "00")).exit_code == 1
    lost = await command("audit", "verify", "--json", "--expect", "ab" * 32)
    assert lost.exit_code == 1
    assert "expected digest" in json.loads(lost.stdout)["fault"]
    assert not (await audit_log.chain_state(key_rig.context)).is_broken  # it is not altered: nobody is alerted
    await tamper(key_rig, "UPDATE events SET text = 'x' WHERE id = 2")
    bad = await command("audit", "verify")
    assert bad.exit_code == 1
    assert "Event 2 is not what link 2 says" in bad.stderr


async def test_the_command_lists_and_exports(key_rig: Rig, command):
    await happen(key_rig, *"abc")
    assert json.loads((await command("audit", "head", "--json")).stdout)[0]["waiting"] == 3
    listed = json.loads((await command("audit", "list", "--json", "--kind", "b")).stdout)
    assert [row["text"] for row in listed] == ["b é “so” it was"]
    whole = await command("audit", "export")
    assert independent_verification(whole.stdout) == (await verify(key_rig.context)).head
    none = await command("audit", "export", "--format", "csv", "--until", "2020-01-01")
    assert none.stdout.startswith("position,linked_at,previous,digest,id,")
    assert len(none.stdout.splitlines()) == 1
    assert (await command("audit", "list", "--operator", "nobody@acme.example")).exit_code == 1

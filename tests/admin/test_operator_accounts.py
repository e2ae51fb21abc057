"""Accounts: one's own, and all of them for owners; in the panel and on the command line, by the same rules."""

import asyncio
import json
import re
from collections.abc import Callable

import pytest
from panel import MACHINE, PASSWORD, Panel
from rig import Rig, environment
from sqlalchemy import select
from typer.testing import CliRunner, Result

from app.__main__ import cli
from app.errors import Refused, Retry
from app.operators import accounts, attempts, passwords, sessions
from app.operators.models import Operator
from app.operators.roles import Actor, NotAllowed, Role
from app.resources.traces import Event

ACCOUNT = "/admin/account"
NEW = "another correct horse"
BOB = "bob@acme.example"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


async def operator_of(panel: Panel) -> Operator:
    async with panel.rig.context.database.transaction() as session:
        return await accounts.find(session, panel.email)


async def add(rig: Rig, email: str, role: Role = Role.VIEWER) -> Operator:
    return await accounts.add(rig.context, MACHINE, email=email, name="", role=role, password=PASSWORD)


async def events(rig: Rig) -> list[Event]:
    async with rig.context.database.transaction() as session:
        return list(await session.scalars(select(Event).where(Event.resource_uuid.is_(None)).order_by(Event.id)))


class TestOneself:
    async def test_times_are_told_by_ones_own_clock(self, panel_of):
        panel = await panel_of(Role.VIEWER)
        saved = await panel.post(ACCOUNT, f"{ACCOUNT}/profile", name=" Ada\n Lovelace ", time_zone="Asia/Kolkata")
        assert "Saved." in saved.text
        assert 'value="Ada Lovelace"' in saved.text
        signed_in = (await sessions.alive(panel.rig.context, (await operator_of(panel)).id))[0].created_at
        hour = (signed_in.hour * 60 + signed_in.minute + 330) // 60 % 24
        assert re.search(rf", {hour:02}:\d\d</time>", saved.text)
        assert "Saved." not in (await panel.http.get(ACCOUNT)).text

    @pytest.mark.parametrize("zone", ["", "Mars/Base", "../../etc/passwd", "europe/berlin", "Europe"])
    async def test_a_zone_that_does_not_exist_is_refused_and_what_was_typed_is_kept(self, panel_of, zone: str):
        panel = await panel_of(Role.VIEWER)
        refused = await panel.post(ACCOUNT, f"{ACCOUNT}/profile", name="Ada", time_zone=zone)
        assert refused.status_code == 422
        assert "no such time zone" in refused.text
        assert 'value="Ada"' in refused.text
        assert (await operator_of(panel)).time_zone == "UTC"

    async def test_what_was_typed_is_text_and_never_markup(self, panel_of):
        panel = await panel_of(Role.VIEWER)
        page = await panel.post(ACCOUNT, f"{ACCOUNT}/profile", name='"><script>x</script>', time_zone="UTC")
        assert "<script>x" not in page.text

    async def test_a_new_password_takes_the_old_one_and_ends_every_other_session(self, key_rig: Rig, panel_of):
        here = await panel_of(Role.VIEWER)
        elsewhere = Panel(key_rig, here.email)
        await elsewhere.sign_in()
        done = await here.post(ACCOUNT, f"{ACCOUNT}/password", current=PASSWORD, password=NEW, repeated=NEW)
        assert "You have a new password" in done.text
        assert (await here.http.get(ACCOUNT)).url.path == ACCOUNT
        assert (await elsewhere.http.get(ACCOUNT)).url.path == "/admin/sign-in"
        assert (await elsewhere.sign_in(PASSWORD)).status_code == 422
        assert (await elsewhere.sign_in(NEW)).url.path == "/admin"
        await elsewhere.http.aclose()

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"current": "wrong", "password": NEW, "repeated": NEW}, "That is not your password"),
            ({"password": NEW, "repeated": NEW}, "That is not your password"),
            ({"current": PASSWORD, "password": NEW, "repeated": NEW + "!"}, "two new passwords differ"),
            ({"current": PASSWORD, "password": "short", "repeated": "short"}, "12 to 200 characters"),
            ({"current": PASSWORD, "password": "a" * 20, "repeated": "a" * 20}, "5 different characters"),
            ({"current": PASSWORD, "password": "ab" * 150, "repeated": "ab" * 150}, "12 to 200 characters"),
        ],
    )
    async def test_a_password_that_does_not_do_is_refused_with_the_reason(self, panel_of, fields, said):
        panel = await panel_of(Role.VIEWER)
        refused = await panel.post(ACCOUNT, f"{ACCOUNT}/password", **fields)
        assert refused.status_code == 422
        assert said in refused.text
        assert NEW not in refused.text
        assert (await panel.sign_in(PASSWORD)).url.path == "/admin"

    async def test_guesses_at_the_present_password_are_limited(self, panel_of):
        panel = await panel_of(Role.VIEWER)
        for _ in range(attempts.MOST_FOR_ACCOUNT):
            await panel.post(ACCOUNT, f"{ACCOUNT}/password", current="wrong", password=NEW, repeated=NEW)
        refused = await panel.post(ACCOUNT, f"{ACCOUNT}/password", current=PASSWORD, password=NEW, repeated=NEW)
        assert "too many failed" in refused.text

    async def test_ones_sessions_are_listed_and_ended_one_by_one_or_all_others(self, key_rig: Rig, panel_of):
        panel = await panel_of(Role.VIEWER)
        others = [Panel(key_rig, panel.email) for _ in range(3)]
        agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
        for other in others:
            other.http.headers["User-Agent"] = agent
            await other.sign_in()
        page = (await panel.http.get(ACCOUNT)).text
        ends = re.findall(rf'action="({ACCOUNT}/sessions/[0-9a-f-]+/end)"', page)
        assert (len(ends), page.count(">Firefox on Linux<"), page.count("(this one)")) == (3, 3, 1)
        await panel.post(ACCOUNT, ends[0])
        assert len(re.findall(r"sessions/[0-9a-f-]+/end", (await panel.http.get(ACCOUNT)).text)) == 2
        await panel.post(ACCOUNT, f"{ACCOUNT}/sessions/end-others")
        for other in others:
            assert (await other.http.get(ACCOUNT)).url.path == "/admin/sign-in"
            await other.http.aclose()
        assert (await panel.http.get(ACCOUNT)).url.path == ACCOUNT

    async def test_nobody_ends_anothers_session_but_an_owner(self, key_rig: Rig, panel_of):
        viewer, operator = await panel_of(Role.VIEWER), await panel_of(Role.OPERATOR)
        (session,) = await sessions.alive(key_rig.context, (await operator_of(viewer)).id)
        refused = await operator.post(ACCOUNT, f"{ACCOUNT}/sessions/{session.id}/end")
        assert refused.status_code == 403
        assert (await viewer.http.get(ACCOUNT)).url.path == ACCOUNT
        owner = await panel_of(Role.OWNER)
        page = f"/admin/operators/{session.operator_id}"
        await owner.post(page, f"{page}/sessions/{session.id}/end")
        assert (await viewer.http.get(ACCOUNT)).url.path == "/admin/sign-in"


class TestOwners:
    async def test_who_is_added_comes_with_a_one_time_password_and_must_change_it(self, key_rig: Rig, panel_of):
        owner = await panel_of(Role.OWNER)
        shown = await owner.post("/admin/operators", email="New@Acme.example", name="New One", role="support")
        once = re.search(r'class="key">([a-z2-7-]{16,})<', shown.text)[1]
        assert once not in (await owner.http.get("/admin/operators")).text
        new = Panel(key_rig, "new@acme.example")
        await new.sign_in(once)
        for page in ("/admin/account/second-factor", "/admin/operators"):
            assert (await new.http.get(page)).url.path in {ACCOUNT, page}
        assert "Choose a password" in (await new.http.get(ACCOUNT)).text
        assert (await new.post(ACCOUNT, f"{ACCOUNT}/profile", name="x", time_zone="UTC")).url.path == ACCOUNT
        same = await new.post(ACCOUNT, f"{ACCOUNT}/password", password=once, repeated=once)
        assert "Choose another one" in same.text
        assert (await operator_of(new)).name == "New One"
        await new.post(ACCOUNT, f"{ACCOUNT}/password", password=NEW, repeated=NEW)
        assert "Choose a password" not in (await new.http.get(ACCOUNT)).text
        assert (await new.sign_in(once)).status_code == 422
        assert (await operator_of(new)).role is Role.SUPPORT
        await new.http.aclose()

    async def test_a_one_time_password_is_good_for_three_days(self, key_rig: Rig, panel_of):
        owner = await panel_of(Role.OWNER)
        viewer = await add(key_rig, "v@acme.example")
        page = f"/admin/operators/{viewer.id}"
        shown = await owner.post(page, f"{page}/password")
        once = re.search(r'class="key">([a-z2-7-]{16,})<', shown.text)[1]
        visitor = Panel(key_rig, viewer.email)
        key_rig.clock.forward(days=3)
        assert "too old. Ask an owner" in (await visitor.sign_in(once)).text
        await visitor.http.aclose()

    async def test_a_reset_ends_the_old_password_and_every_session(self, key_rig: Rig, panel_of):
        owner, viewer = await panel_of(Role.OWNER), await panel_of(Role.VIEWER)
        page = f"/admin/operators/{(await operator_of(viewer)).id}"
        await owner.post(page, f"{page}/password")
        assert (await viewer.http.get(ACCOUNT)).url.path == "/admin/sign-in"
        assert (await viewer.sign_in(PASSWORD)).status_code == 422

    async def test_an_account_is_disabled_and_enabled_with_a_reason_in_the_history(self, key_rig: Rig, panel_of):
        owner, viewer = await panel_of(Role.OWNER), await panel_of(Role.VIEWER)
        page = f"/admin/operators/{(await operator_of(viewer)).id}"
        await owner.post(page, f"{page}/disable", reason="has left\nus")
        assert (await viewer.sign_in()).status_code == 422
        await owner.post(page, f"{page}/enable", reason="is back")
        assert (await viewer.sign_in()).url.path == "/admin"
        told = [(event.kind, event.actor, event.reason) for event in await events(key_rig)]
        assert ("operator_disabled", owner.email, "has left us") in told
        assert ("operator_enabled", owner.email, "is back") in told

    async def test_the_list_and_every_page_of_it_show_no_secret(self, key_rig: Rig, panel_of):
        owner = await panel_of(Role.OWNER)
        me = await operator_of(owner)
        for page in ("/admin/operators", f"/admin/operators/{me.id}", ACCOUNT):
            text = (await owner.http.get(page)).text
            assert "argon2" not in text
            assert owner.http.cookies["operator"] not in text

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"email": "nonsense", "role": "viewer"}, "not an e-mail address"),
            ({"email": "a b@c.example", "role": "viewer"}, "not an e-mail address"),
            ({"email": "owner@acme.example", "role": "viewer"}, "already"),
            ({"email": "a@b.example", "role": "king"}, "A role is"),
            ({}, "A role is"),
        ],
    )
    async def test_a_form_that_does_not_do_is_shown_again_with_what_was_typed(self, panel_of, fields, said):
        owner = await panel_of(Role.OWNER)
        refused = await owner.post("/admin/operators", name="Kept Name", **fields)
        assert refused.status_code == 422
        assert said in refused.text
        assert 'value="Kept Name"' in refused.text

    @pytest.mark.parametrize("path", ["nonsense", "00000000-0000-0000-0000-000000000000"])
    async def test_nobody_is_at_an_address_that_does_not_exist(self, panel_of, path):
        owner = await panel_of(Role.OWNER)
        answer = await owner.http.get(f"/admin/operators/{path}")
        assert answer.status_code == 404
        assert "Go to the panel" in answer.text


class TestTheLastOwner:
    @pytest.mark.parametrize("how", ["role", "disable"])
    async def test_the_last_one_stays(self, panel_of, how):
        owner = await panel_of(Role.OWNER)
        page = f"/admin/operators/{(await operator_of(owner)).id}"
        refused = await owner.post(page, f"{page}/{how}", role="viewer")
        assert refused.status_code == 422
        assert "last owner" in refused.text

    async def test_two_who_take_it_from_each_other_at_once_do_not_both_succeed(self, key_rig: Rig):
        one, two = await add(key_rig, "a@acme.example", Role.OWNER), await add(key_rig, "b@acme.example", Role.OWNER)

        def as_actor(operator: Operator) -> Actor:
            return Actor(name=operator.email, role=Role.OWNER, operator_id=operator.id)

        done = await asyncio.gather(
            accounts.change_role(key_rig.context, as_actor(one), two.id, Role.VIEWER),
            accounts.disable(key_rig.context, as_actor(two), one.id),
            return_exceptions=True,
        )
        assert sorted(type(result) for result in done if result is not None) == [Refused]
        assert not any(isinstance(result, Retry) for result in done)
        left = [of for of in await accounts.everybody(key_rig.context) if of.role is Role.OWNER and not of.disabled_at]
        assert len(left) == 1

    async def test_the_same_address_added_twice_at_once_is_one_account(self, key_rig: Rig):
        done = await asyncio.gather(*(add(key_rig, "a@acme.example") for _ in range(4)), return_exceptions=True)
        assert sum(isinstance(result, Operator) for result in done) == 1
        assert {str(result) for result in done if not isinstance(result, Operator)} == {
            "There is an operator a@acme.example already."
        }

    async def test_the_heart_asks_for_the_role_by_itself(self, key_rig: Rig):
        victim = await add(key_rig, "a@acme.example")
        for role in (Role.VIEWER, Role.SUPPORT, Role.OPERATOR):
            actor = Actor(name="x", role=role)
            for deed in (
                accounts.add(key_rig.context, actor, email="b@c.example", name="", role=role, password=None),
                accounts.change_role(key_rig.context, actor, victim.id, Role.OWNER),
                accounts.disable(key_rig.context, actor, victim.id),
                accounts.enable(key_rig.context, actor, victim.id),
                accounts.set_password(key_rig.context, actor, victim.id, NEW),
                sessions.revoke_all(key_rig.context, actor, victim.id),
            ):
                with pytest.raises(NotAllowed):
                    await deed


@pytest.fixture
def run(monkeypatch, database_url: str, log_as_before: None) -> Callable[..., Result]:
    """A command of the operators' group, on this test's database."""
    for name, value in environment(database_url).items():
        monkeypatch.setenv(name, value)
    return lambda *words, typed="": CliRunner().invoke(cli, ["operators", *words], input=typed)


class TestCommandLine:
    def test_a_life_of_an_account(self, run):
        assert "There are no operators yet" in run("list").stdout
        made = run("add", "Ada@acme.example", "--role", "owner", "--name", "Ada", typed=f"{PASSWORD}\n{PASSWORD}\n")
        assert (made.exit_code, PASSWORD in made.output) == (0, False)
        once = run("add", "bob@acme.example", "--one-time", "--reason", "new hand")
        assert re.search(r"One-time password, good for three days: [a-z2-7-]{16,}", once.stdout)
        assert run("role", "bob@acme.example", "support").stdout == "bob@acme.example is support now.\n"
        assert run("disable", "bob@acme.example", "--reason", "gone").exit_code == 0
        listed = {row["email"]: row for row in json.loads(run("list", "--json").stdout)}
        assert listed["bob@acme.example"]["disabled"] is not None
        assert (listed["ada@acme.example"]["role"], listed["ada@acme.example"]["second_factor"]) == ("owner", False)
        assert run("enable", "bob@acme.example").exit_code == 0
        assert run("password", "bob@acme.example", typed=f"{NEW}\n{NEW}\n").exit_code == 0
        assert run("reset-totp", "bob@acme.example").exit_code == 0
        assert run("unbind", "bob@acme.example").exit_code == 0
        assert run("sessions", "bob@acme.example").stdout == "bob@acme.example is not signed in anywhere.\n"

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("role", "nobody@acme.example", "owner"), "There is no operator nobody@acme.example."),
            (("disable", "ada@acme.example"), "This is the last owner. Make somebody else an owner first."),
            (("sessions", "ada@acme.example", "--end", "x"), "That is not the id of a session."),
            (("role", "ada@acme.example", "viewer", "--as", "n@acme.example"), "There is no operator n@acme.example."),
            (("disable", BOB, "--as", BOB), "This takes the role owner; yours is viewer."),
        ],
    )  # fmt: skip
    def test_what_cannot_be_done_is_one_sentence(self, run, words, said):
        run("add", "ada@acme.example", "--role", "owner", "--one-time")
        run("add", BOB, "--one-time")
        refused = run(*words)
        assert (refused.exit_code, refused.stderr.strip()) == (1, said)

    async def test_sessions_are_shown_and_ended(self, key_rig: Rig, panel_of, run):
        panel = await panel_of(Role.VIEWER)
        shown = await asyncio.to_thread(run, "sessions", panel.email, "--json")
        (session,) = json.loads(shown.stdout)
        assert (session["address"], session["with"]) == ("127.0.0.1", "password")
        ended = await asyncio.to_thread(run, "sessions", panel.email, "--end", session["id"])
        assert "not signed in anywhere" in ended.stdout
        assert (await panel.http.get(ACCOUNT)).url.path == "/admin/sign-in"

    async def test_sessions_name_the_browser_as_the_page_does(self, key_rig: Rig, panel_of, run):
        panel = Panel(key_rig, (await panel_of(Role.VIEWER)).email)
        panel.http.headers["User-Agent"] = FIREFOX
        async with panel.http:
            await panel.sign_in()
            assert "Firefox on Linux" in (await panel.http.get(ACCOUNT)).text
        shown = await asyncio.to_thread(run, "sessions", panel.email)
        assert ("Firefox on Linux" in shown.stdout, "Mozilla" in shown.stdout) == (True, False)
        told = json.loads((await asyncio.to_thread(run, "sessions", panel.email, "--json")).stdout)
        assert ("Firefox on Linux", FIREFOX) in [(one["browser"], one["user_agent"]) for one in told]


async def test_passwords_made_up_differ_and_are_long_enough():
    made = {passwords.made_up() for _ in range(50)}
    assert len(made) == 50
    assert all(len(one) >= passwords.SHORTEST for one in made)

"""Coming in with a password: what is told to whom, how often one may try, and how a session begins and ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import httpx2
import pytest
from panel import MACHINE, PASSWORD, Panel
from rig import URL, Rig, provision_body
from sqlalchemy import func, select, update

from app.operators import accounts, attempts, passwords, sessions, signing_in
from app.operators.models import FailedSignIn, Operator, OperatorSession
from app.operators.roles import Role
from app.resources.traces import Event

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


async def add(rig: Rig, email: str = "ada@acme.example", role: Role = Role.VIEWER, **how: object) -> Operator:
    return await accounts.add(rig.context, MACHINE, email=email, name="Ada", role=role, **{"password": PASSWORD} | how)


async def attempt(rig: Rig, email: str, password: str, **headers: str) -> httpx2.Response:
    return await rig.http.post("/admin/sign-in", data={"email": email, "password": password}, headers=headers)


async def number(rig: Rig, table: type, *conditions: object) -> int:
    async with rig.context.database.transaction() as session:
        return await session.scalar(select(func.count()).select_from(table).where(*conditions))


@pytest.fixture
async def proxied(make_rig: Callable[..., Rig]) -> AsyncIterator[Rig]:
    """Behind one proxy, which says where requests come from."""
    async with make_rig(proxies_in_front="1").running() as rig:
        yield rig


class TestWhatIsTold:
    async def test_whatever_is_wrong_the_answer_is_the_same(self, key_rig: Rig):
        await add(key_rig)
        disabled = await add(key_rig, "bob@acme.example")
        await accounts.disable(key_rig.context, MACHINE, disabled.id)
        await add(key_rig, "eve@acme.example", password=None)
        pages = set()
        for email, password in (
            ("ada@acme.example", "wrong"),
            ("ada@acme.example", ""),
            ("ada@acme.example", "x" * 5000),
            ("bob@acme.example", PASSWORD),
            ("eve@acme.example", PASSWORD),
            ("nobody@acme.example", PASSWORD),
            ("no address at all", PASSWORD),
        ):
            answer = await attempt(key_rig, email, password)
            assert answer.status_code == 422
            assert "set-cookie" not in answer.headers
            pages.add(answer.text.replace(f'value="{email}"', "").split('class="foot"')[0])
        assert len({page.partition("<main")[2] for page in pages}) == 1
        assert signing_in.WRONG in pages.pop()

    async def test_one_hash_is_checked_whether_or_not_there_is_an_account(self, key_rig: Rig, monkeypatch):
        """Equal work is equal time, and can be counted."""
        await add(key_rig)
        await add(key_rig, "eve@acme.example", password=None)
        checked, real = [], passwords._verify
        monkeypatch.setattr(passwords, "_verify", lambda *of: (checked.append(of[0]), real(*of))[1])
        for email in ("ada@acme.example", "eve@acme.example", "nobody@acme.example"):
            await attempt(key_rig, email, "a wrong password")
        parameters = {stored.rpartition("$")[0].rpartition("$")[0] for stored in checked}
        assert (len(checked), len(parameters)) == (3, 1)

    async def test_what_was_typed_is_kept_but_for_the_password(self, key_rig: Rig):
        await add(key_rig)
        answer = await attempt(key_rig, "ada@acme.example", "a wrong password")
        assert 'value="ada@acme.example"' in answer.text
        assert "a wrong password" not in answer.text

    async def test_without_any_operator_the_page_says_how_to_make_the_first(self, key_rig: Rig):
        assert "python -m app operators add" in (await key_rig.http.get("/admin/sign-in")).text
        await add(key_rig)
        page = (await key_rig.http.get("/admin/sign-in")).text
        assert "There is no operator yet" not in page
        assert 'name="password"' in page

    async def test_an_address_is_read_as_people_write_it(self, key_rig: Rig):
        await add(key_rig)
        assert (await attempt(key_rig, "  Ada@ACME.example ", PASSWORD)).status_code == 303

    async def test_a_password_hashed_with_older_parameters_is_hashed_anew(self, key_rig: Rig, monkeypatch):
        operator = await add(key_rig)
        weak = passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        async with key_rig.context.database.transaction() as session:
            await session.execute(update(Operator).values(password_hash=weak.hash(PASSWORD)))
        assert (await attempt(key_rig, operator.email, PASSWORD)).status_code == 303
        stored = (await accounts.get(key_rig.context, operator.id)).password_hash
        assert not passwords.is_outdated(stored)
        assert (await attempt(key_rig, operator.email, PASSWORD)).status_code == 303


class TestLimits:
    async def test_of_a_hundred_attempts_at_once_five_reach_an_account(self, proxied: Rig, monkeypatch):
        await add(proxied)
        checked, real = [], passwords._verify
        monkeypatch.setattr(passwords, "_verify", lambda *of: (checked.append(of), real(*of))[1])
        answers = await asyncio.gather(
            *(
                attempt(proxied, "ada@acme.example", f"guess-{i}", **{"X-Forwarded-For": f"10.0.0.{i}"})
                for i in range(100)
            )
        )
        assert len(checked) == attempts.MOST_FOR_ACCOUNT
        assert {answer.status_code for answer in answers} == {422}

    async def test_a_flood_of_attempts_keeps_heroku_from_nothing(self, proxied: Rig):
        flood = [
            asyncio.create_task(attempt(proxied, "a@acme.example", "guess", **{"X-Forwarded-For": f"10.0.1.{i}"}))
            for i in range(200)
        ]
        await asyncio.sleep(0)
        answers = await asyncio.gather(*(proxied.heroku.post("", json=provision_body()) for _ in range(5)))
        assert {answer.status_code for answer in answers} == {200}
        await asyncio.gather(*flood)

    async def test_of_a_hundred_attempts_at_once_twenty_come_from_an_address(self, proxied: Rig, monkeypatch):
        await add(proxied)
        checked, real = [], passwords._verify
        monkeypatch.setattr(passwords, "_verify", lambda *of: (checked.append(of), real(*of))[1])
        await asyncio.gather(
            *(attempt(proxied, f"a{i}@acme.example", "guess", **{"X-Forwarded-For": "10.0.0.1"}) for i in range(100))
        )
        assert len(checked) == attempts.MOST_FROM_ADDRESS

    async def test_the_right_password_does_not_help_during_the_pause_and_does_afterwards(self, key_rig: Rig):
        await add(key_rig)
        for _ in range(attempts.MOST_FOR_ACCOUNT):
            await attempt(key_rig, "ada@acme.example", "wrong")
        refused = await attempt(key_rig, "ada@acme.example", PASSWORD)
        assert "too many failed sign-ins. Please wait 15 minutes" in refused.text
        key_rig.clock.forward(minutes=15)
        assert (await attempt(key_rig, "ada@acme.example", PASSWORD)).status_code == 303

    async def test_who_comes_in_begins_to_count_anew(self, key_rig: Rig):
        await add(key_rig)
        for _ in range(4):
            for _ in range(attempts.MOST_FOR_ACCOUNT - 1):
                await attempt(key_rig, "ada@acme.example", "wrong")
            assert (await attempt(key_rig, "ada@acme.example", PASSWORD)).status_code == 303
        assert await number(key_rig, FailedSignIn) == 0

    async def test_strangers_lock_nobody_out_of_where_they_have_been_before(self, proxied: Rig):
        await add(proxied)
        office, stranger = {"X-Forwarded-For": "192.0.2.7"}, {"X-Forwarded-For": "198.51.100.9"}
        assert (await attempt(proxied, "ada@acme.example", PASSWORD, **office)).status_code == 303
        for _ in range(attempts.MOST_FOR_ACCOUNT):
            await attempt(proxied, "ada@acme.example", "wrong", **stranger)
        elsewhere = await attempt(proxied, "ada@acme.example", PASSWORD, **{"X-Forwarded-For": "203.0.113.5"})
        assert elsewhere.status_code == 422
        assert (await attempt(proxied, "ada@acme.example", PASSWORD, **office)).status_code == 303

    async def test_at_a_known_place_five_wrong_ones_are_too_many_as_well(self, proxied: Rig):
        await add(proxied)
        office = {"X-Forwarded-For": "192.0.2.7"}
        await attempt(proxied, "ada@acme.example", PASSWORD, **office)
        for _ in range(attempts.MOST_FOR_ACCOUNT):
            await attempt(proxied, "ada@acme.example", "wrong", **office)
        assert "too many" in (await attempt(proxied, "ada@acme.example", PASSWORD, **office)).text

    async def test_the_addresses_of_one_ipv6_customer_are_one(self, proxied: Rig):
        for i in range(attempts.MOST_FROM_ADDRESS):
            await attempt(proxied, f"a{i}@acme.example", "guess", **{"X-Forwarded-For": f"2001:db8:1:2::{i + 1:x}"})
        same = await attempt(proxied, "b@acme.example", "guess", **{"X-Forwarded-For": "2001:db8:1:2:3::1"})
        other = await attempt(proxied, "b@acme.example", "guess", **{"X-Forwarded-For": "2001:db8:1:3::1"})
        assert "too many" in same.text
        assert "too many" not in other.text

    async def test_a_password_set_on_the_command_line_ends_the_pause(self, key_rig: Rig):
        operator = await add(key_rig)
        for _ in range(attempts.MOST_FOR_ACCOUNT):
            await attempt(key_rig, operator.email, "wrong")
        await accounts.set_password(key_rig.context, MACHINE, operator.id, PASSWORD)
        assert (await attempt(key_rig, operator.email, PASSWORD)).status_code == 303


class TestAddress:
    @pytest.mark.parametrize(
        ("proxies", "header", "believed"),
        [
            ("0", "192.0.2.1", "127.0.0.1"),
            ("1", "192.0.2.1", "192.0.2.1"),
            ("1", "6.6.6.6, 192.0.2.1", "192.0.2.1"),
            ("2", "6.6.6.6, 192.0.2.1, 10.0.0.1", "192.0.2.1"),
            ("2", "192.0.2.1", "127.0.0.1"),
            ("1", "<script>", "127.0.0.1"),
            ("1", "", "127.0.0.1"),
        ],
    )
    async def test_only_what_our_own_proxies_wrote_is_believed(self, make_rig, proxies, header, believed):
        async with make_rig(proxies_in_front=proxies).running() as rig:
            operator = await add(rig)
            await attempt(rig, operator.email, PASSWORD, **{"X-Forwarded-For": header})
            (session,) = await sessions.alive(rig.context, operator.id)
            assert session.address == believed

    async def test_a_second_header_line_is_the_later_one(self, proxied: Rig):
        operator = await add(proxied)
        await proxied.http.post(
            "/admin/sign-in",
            data={"email": operator.email, "password": PASSWORD},
            headers=[("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "192.0.2.1")],
        )
        (session,) = await sessions.alive(proxied.context, operator.id)
        assert session.address == "192.0.2.1"


class TestSessions:
    async def test_each_sign_in_gets_a_new_token_and_ends_what_the_browser_carried(self, panel_of):
        panel = await panel_of(Role.VIEWER)
        first = panel.http.cookies["operator"]
        await panel.sign_in()
        second = panel.http.cookies["operator"]
        assert first != second
        panel.http.cookies.set("operator", first, domain="addon.test", path="/admin")
        assert (await panel.http.get("/admin/account")).url.path == "/admin/sign-in"

    async def test_a_token_that_somebody_else_chose_is_not_taken_over(self, key_rig: Rig):
        operator = await add(key_rig)
        answer = await key_rig.http.post(
            "/admin/sign-in",
            data={"email": operator.email, "password": PASSWORD},
            headers={"Cookie": "operator=chosen-by-somebody-else"},
        )
        assert "chosen-by-somebody-else" not in answer.headers["set-cookie"]
        async with key_rig.context.database.transaction() as session:
            digests = (await session.scalars(select(OperatorSession.token_digest))).all()
        assert digests == [sessions._digest(answer.cookies["operator"])]

    async def test_the_cookie_is_for_the_panel_alone_and_not_for_scripts(self, make_rig):
        async with make_rig(public_url="https://addon.test").running() as rig:
            operator = await add(rig)
            header = (await attempt(rig, operator.email, PASSWORD)).headers["set-cookie"].lower()
            for part in ("path=/admin", "httponly", "secure", "samesite=lax", "max-age=43200"):
                assert part in header

    async def test_it_ends_after_two_idle_hours(self, key_rig: Rig, panel_of):
        panel = await panel_of(Role.VIEWER)
        for _ in range(3):
            key_rig.clock.forward(minutes=119)
            assert (await panel.http.get("/admin/account")).url.path == "/admin/account"
        key_rig.clock.forward(hours=2)
        assert (await panel.http.get("/admin/account")).url.path == "/admin/sign-in"

    async def test_it_ends_after_twelve_hours_however_busy(self, key_rig: Rig, panel_of):
        panel = await panel_of(Role.VIEWER)
        for _ in range(11):
            key_rig.clock.forward(hours=1)
            assert (await panel.http.get("/admin/account")).url.path == "/admin/account"
        key_rig.clock.forward(hours=1)
        assert (await panel.http.get("/admin/account")).url.path == "/admin/sign-in"

    async def test_signing_out_ends_every_copy_of_the_cookie(self, panel_of):
        panel = await panel_of(Role.VIEWER)
        copied = panel.http.cookies["operator"]
        assert (await panel.post("/admin/account", "/admin/sign-out")).url.path == "/admin/sign-in"
        assert "operator" not in panel.http.cookies
        panel.http.cookies.set("operator", copied, domain="addon.test", path="/admin")
        assert (await panel.http.get("/admin/account")).url.path == "/admin/sign-in"

    async def test_a_disabled_account_is_out_at_the_next_click(self, key_rig: Rig, panel_of):
        panel = await panel_of(Role.VIEWER)
        await accounts.disable(key_rig.context, MACHINE, await panel_id(panel))
        assert (await panel.http.get("/admin/account")).url.path == "/admin/sign-in"

    async def test_a_role_that_was_taken_away_is_gone_at_the_next_click(self, key_rig: Rig, panel_of):
        panel = await panel_of(Role.OWNER)
        await add(key_rig, "other@acme.example", Role.OWNER)
        assert (await panel.http.get("/admin/operators")).status_code == 200
        await accounts.change_role(key_rig.context, MACHINE, await panel_id(panel), Role.OPERATOR)
        assert (await panel.http.get("/admin/operators")).status_code == 403

    async def test_sessions_of_long_ago_are_forgotten(self, key_rig: Rig, panel_of):
        panel = await panel_of(Role.VIEWER)
        key_rig.clock.forward(days=31)
        await panel.sign_in()
        assert await number(key_rig, OperatorSession) == 1

    async def test_a_sign_in_is_in_the_history_and_holds_no_token(self, key_rig: Rig, panel_of):
        panel = await panel_of(Role.VIEWER)
        async with key_rig.context.database.transaction() as session:
            event = await session.scalar(select(Event).where(Event.kind == "operator_signed_in"))
        assert event.text == "Signed in to the panel with password from 127.0.0.1"
        assert (event.actor, event.resource_uuid) == (panel.email, None)

    @pytest.mark.parametrize("cookie", ["", "x", "é" * 20, "x" * 3000])
    async def test_nonsense_in_the_cookie_is_no_session(self, key_rig: Rig, cookie: str):
        answer = await key_rig.http.get("/admin/account", headers={"Cookie": f"operator={cookie}".encode()})
        assert answer.status_code == 303


class TestWhereItLeads:
    @pytest.mark.parametrize(
        ("wanted", "reached"),
        [
            ("/admin/account", "/admin/account"),
            ("/admin?q=1", "/admin?q=1"),
            ("https://evil.example/admin", "/admin"),
            ("//evil.example/admin", "/admin"),
            ("/admin//evil.example", "/admin"),
            ("/\\evil.example", "/admin"),
            ("/admin/\\evil.example", "/admin"),
            ("/administrators", "/admin"),
            ("javascript:alert(1)", "/admin"),
            ("/admin/\r\nSet-Cookie: a=b", "/admin"),
            ("", "/admin"),
        ],
    )
    async def test_only_to_pages_of_the_panel(self, key_rig: Rig, wanted, reached):
        operator = await add(key_rig)
        answer = await key_rig.http.post(
            "/admin/sign-in", data={"email": operator.email, "password": PASSWORD, "next": wanted}
        )
        assert answer.headers["location"] == reached
        again = await key_rig.http.get("/admin/sign-in", params={"next": wanted})
        assert again.headers["location"] == reached

    async def test_who_followed_a_link_gets_there_after_signing_in(self, key_rig: Rig):
        operator = await add(key_rig)
        led = await key_rig.http.get("/admin/account/second-factor?a=b c")
        page = await key_rig.http.get(led.headers["location"])
        assert 'name="next" value="/admin/account/second-factor?a=b%20c"' in page.text
        wanted = "/admin/account/second-factor?a=b%20c"
        answer = await key_rig.http.post(
            "/admin/sign-in", data={"email": operator.email, "password": PASSWORD, "next": wanted}
        )
        assert answer.headers["location"] == wanted


class TestForms:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://addon.test.evil.example"},
            {"Origin": "https://addon.test"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ],
    )
    async def test_another_site_can_neither_sign_anybody_in_nor_send_a_form(self, key_rig: Rig, panel_of, headers):
        panel = await panel_of(Role.VIEWER)
        answer = await attempt(key_rig, panel.email, PASSWORD, **headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
        token = await panel.form_token("/admin/account")
        sent = await panel.http.post("/admin/account/profile", data={"form_token": token, "name": "M"}, headers=headers)
        assert sent.status_code == 403
        assert "another site has sent it" in sent.text
        assert (await accounts.get(key_rig.context, await panel_id(panel))).name == "viewer"

    @pytest.mark.parametrize(
        "headers", [{"Origin": URL}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}]
    )
    async def test_our_own_pages_can(self, key_rig: Rig, headers):
        operator = await add(key_rig)
        assert (await attempt(key_rig, operator.email, PASSWORD, **headers)).status_code == 303

    async def test_a_form_without_its_token_or_with_another_sessions_does_nothing(self, key_rig: Rig, panel_of):
        viewer, owner = await panel_of(Role.VIEWER), await panel_of(Role.OWNER)
        signer = key_rig.app.state.operator_form_signer
        foreign = await viewer.form_token("/admin/account")
        for token in (None, "", "nonsense", foreign, signer.sign(str(uuid4())), signer.sign("")):
            fields = {"email": "new@acme.example", "role": "owner"} | ({} if token is None else {"form_token": token})
            answer = await owner.http.post("/admin/operators", data=fields)
            assert answer.status_code == 422
            assert "another session or too old" in answer.text
        assert await number(key_rig, Operator) == 2

    async def test_looking_changes_nothing(self, key_rig: Rig, panel_of):
        """GET and HEAD at the address of every form."""
        owner = await panel_of(Role.OWNER)
        token = await owner.form_token("/admin/account")
        before = await number(key_rig, Event)
        for path in ("/admin/sign-out", "/admin/operators", "/admin/account/password", "/admin/sign-in"):
            for method in ("GET", "HEAD"):
                await owner.http.request(method, path, params={"form_token": token, "email": "a@b.example"})
        assert await number(key_rig, Event) == before
        assert (await owner.http.get("/admin/account")).url.path == "/admin/account"

    async def test_too_many_fields_are_refused(self, key_rig: Rig):
        answer = await key_rig.http.post("/admin/sign-in", content="a=1&" * 3000)
        assert answer.status_code == 422
        assert "could not be read" in answer.text

    async def test_a_text_that_no_database_takes_is_refused(self, key_rig: Rig, panel_of):
        owner = await panel_of(Role.OWNER)
        for field in ("email", "name", "a\0b"):
            answer = await owner.post("/admin/operators", **{"role": "viewer", "email": "a@b.example", field: "a\0b"})
            assert answer.status_code == 422
            assert "could not be read" in answer.text
        assert await number(key_rig, Operator) == 1


async def panel_id(panel: Panel):
    async with panel.rig.context.database.transaction() as session:
        return (await accounts.find(session, panel.email)).id

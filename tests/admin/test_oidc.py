"""Coming in by an OpenID provider: whose account it is, and everything that does not prove it."""

import asyncio
import io
import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest
from joserfc import jwt
from panel import MACHINE
from provider import CLIENT_ID, CLIENT_SECRET, ISSUER, Provider, shared_secret, unsigned
from rig import URL, Rig
from sqlalchemy import select

from app.log import configure_logging
from app.operators import accounts, openid, sessions
from app.operators.models import Operator
from app.operators.roles import Role
from app.resources.traces import Event

LEAVE = "/admin/sign-in/openid"
CALLBACK = f"{LEAVE}/callback"
UNPROVEN = "could not be verified"
SETTINGS = {"oidc_issuer": ISSUER, "oidc_client_id": CLIENT_ID, "oidc_client_secret": CLIENT_SECRET}


class Visitor:
    """A browser on its way to the provider and back."""

    def __init__(self, rig: Rig, provider: Provider) -> None:
        self.rig = rig
        self.provider = provider
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(rig.app, raise_app_exceptions=False), base_url=URL
        )
        self.there = httpx2.AsyncClient(transport=httpx2.ASGITransport(provider.app))

    async def leave(self, wanted: str = "/admin/account") -> str:
        """Where the browser is sent."""
        answer = await self.http.get(LEAVE, params={"next": wanted})
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def come_back(self, url: str) -> str:
        """Where the provider sends the browser."""
        return (await self.there.get(url)).headers["location"]

    async def sign_in(self) -> httpx2.Response:
        return await self.http.get(await self.come_back(await self.leave()))


@asynccontextmanager
async def visiting(make_rig, **settings: str) -> AsyncIterator[Visitor]:
    rig = make_rig(**SETTINGS | settings)
    provider = Provider(rig.clock)
    rig.open_id_transport = httpx2.ASGITransport(provider.app)
    async with rig.running():
        visitor = Visitor(rig, provider)
        yield visitor
        await visitor.http.aclose()
        await visitor.there.aclose()


@pytest.fixture
async def visitor(make_rig) -> AsyncIterator[Visitor]:
    async with visiting(make_rig) as visitor:
        yield visitor


async def add(rig: Rig, email: str = "ada@acme.example") -> Operator:
    return await accounts.add(rig.context, MACHINE, email=email, name="", role=Role.SUPPORT, password=None)


def alert_in(answer: httpx2.Response) -> str:
    found = re.search(r'role="alert">([^<]+)<', answer.text)
    assert found, answer.text
    assert "operator=" not in str(answer.headers)
    return found[1]


class TestWhoseAccount:
    async def test_an_account_is_found_by_its_verified_address_once_and_by_its_subject_ever_after(
        self, visitor: Visitor
    ):
        operator = await add(visitor.rig)
        answer = await visitor.sign_in()
        assert (answer.status_code, answer.headers["location"]) == (303, "/admin/account")
        assert (await visitor.http.get("/admin/account")).status_code == 200
        visitor.provider.claims["email"] = "married@acme.example"
        assert (await visitor.sign_in()).status_code == 303
        visitor.provider.claims |= {"sub": "somebody-else", "email": "ada@acme.example"}
        assert "belongs to another identity" in alert_in(await visitor.sign_in())
        bound = await accounts.get(visitor.rig.context, operator.id)
        assert bound.oidc_subject == f"{ISSUER} ada-1"
        newest = (await sessions.alive(visitor.rig.context, operator.id))[0]
        assert newest.method == sessions.Method.OPEN_ID

    @pytest.mark.parametrize(
        "claims",
        [
            {"email_verified": False},
            {"email_verified": None},
            {"email_verified": "true"},
            {"email": None},
            {"email": 7},
        ],
    )
    async def test_an_address_that_is_not_verified_opens_nothing(self, visitor: Visitor, claims):
        await add(visitor.rig)
        visitor.provider.claims |= claims
        assert "has not verified your e-mail address" in alert_in(await visitor.sign_in())

    async def test_who_has_no_account_is_told_whom_to_ask(self, visitor: Visitor):
        assert "There is no operator ada@acme.example here. Ask an owner" in alert_in(await visitor.sign_in())
        assert await accounts.everybody(visitor.rig.context) == []

    async def test_who_is_disabled_stays_out(self, visitor: Visitor):
        operator = await add(visitor.rig)
        await accounts.disable(visitor.rig.context, MACHINE, operator.id)
        assert "disabled" in alert_in(await visitor.sign_in())
        assert (await accounts.get(visitor.rig.context, operator.id)).oidc_subject is None

    async def test_where_new_ones_have_a_role_an_account_is_made(self, make_rig):
        async with visiting(make_rig, oidc_role_for_new="viewer") as visitor:
            assert (await visitor.sign_in()).status_code == 303
            (made,) = await accounts.everybody(visitor.rig.context)
            assert (made.email, made.name, made.role, made.password_hash) == (
                "ada@acme.example", "Ada", Role.VIEWER, None,
            )  # fmt: skip
            assert (await visitor.sign_in()).status_code == 303
            assert len(await accounts.everybody(visitor.rig.context)) == 1
            async with visitor.rig.context.database.transaction() as session:
                kinds = (await session.scalars(select(Event.kind).order_by(Event.id))).all()
            assert kinds == ["operator_added", "operator_bound", "operator_signed_in", "operator_signed_in"]

    async def test_a_first_visit_in_two_tabs_at_once_makes_one_account(self, make_rig):
        async with visiting(make_rig, oidc_role_for_new="viewer") as visitor:
            other = Visitor(visitor.rig, visitor.provider)
            await asyncio.gather(visitor.sign_in(), other.sign_in())
            assert len(await accounts.everybody(visitor.rig.context)) == 1
            await other.http.aclose()
            await other.there.aclose()

    async def test_the_provider_has_a_second_factor_of_its_own(self, make_rig):
        async with visiting(make_rig, operators_need_totp="true") as visitor:
            await add(visitor.rig)
            await visitor.sign_in()
            assert (await visitor.http.get("/admin/account")).status_code == 200

    async def test_after_an_owner_unbinds_it_the_next_identity_gets_the_account(self, visitor: Visitor):
        operator = await add(visitor.rig)
        await visitor.sign_in()
        visitor.provider.claims["sub"] = "new-identity"
        assert (await visitor.sign_in()).status_code == 422
        await openid.unbind(visitor.rig.context, MACHINE, operator.id)
        assert (await visitor.sign_in()).status_code == 303

    async def test_the_address_may_come_with_the_user_info(self, visitor: Visitor):
        await add(visitor.rig)
        for name in ("email", "email_verified"):
            visitor.provider.userinfo[name] = visitor.provider.claims.pop(name)
        assert (await visitor.sign_in()).status_code == 303
        visitor.provider.userinfo["sub"] = "somebody-else"
        assert UNPROVEN in alert_in(await visitor.sign_in())


class TestTheWayThere:
    async def test_it_asks_for_a_code_with_state_nonce_and_a_challenge(self, visitor: Visitor):
        first, second = [dict(parse_qsl(urlsplit(await visitor.leave()).query)) for _ in range(2)]
        for name in ("state", "nonce", "code_challenge"):
            assert len(first[name]) >= 43
            assert first[name] != second[name]
        assert first["response_type"] == "code"
        assert first["code_challenge_method"] == "S256"
        assert first["redirect_uri"] == f"{URL}{CALLBACK}"
        assert first["scope"].split()[0] == "openid"
        assert "code_verifier" not in first

    async def test_the_sign_in_page_leads_there(self, visitor: Visitor, key_rig: Rig):
        page = (await visitor.http.get("/admin/sign-in?next=/admin/account")).text
        assert "Sign in with login.test" in page
        assert f'href="{LEAVE}?next=/admin/account"' in page
        assert LEAVE not in (await key_rig.http.get("/admin/sign-in")).text

    async def test_without_the_setting_there_is_no_such_way(self, key_rig: Rig):
        assert (await key_rig.http.get(LEAVE)).status_code == 404
        assert (await key_rig.http.get(CALLBACK, params={"code": "a", "state": "b"})).status_code in {404, 422}

    async def test_it_leads_back_into_the_panel_alone(self, visitor: Visitor):
        await add(visitor.rig)
        url = await visitor.leave("https://evil.example/")
        assert (await visitor.http.get(await visitor.come_back(url))).headers["location"] == "/admin"


class TestTheWayBack:
    async def test_without_the_cookie_or_with_another_state_nothing_opens(self, visitor: Visitor):
        await add(visitor.rig)
        back = await visitor.come_back(await visitor.leave())
        state = parse_qs(urlsplit(back).query)["state"][0]
        for url in (back.replace(state, "x" * 43), back.replace(f"state={state}", ""), back.replace(state, "é")):
            assert "another browser" in alert_in(await visitor.http.get(url))
        # A wrong state has spent the cookie.
        assert "another browser" in alert_in(await visitor.http.get(back))

    async def test_a_callback_that_somebody_else_began_is_not_finished_here(self, visitor: Visitor):
        await add(visitor.rig)
        attacker = Visitor(visitor.rig, visitor.provider)
        back = await attacker.come_back(await attacker.leave())
        await visitor.leave()
        assert "another browser" in alert_in(await visitor.http.get(back))
        await attacker.http.aclose()
        await attacker.there.aclose()

    async def test_it_works_once(self, visitor: Visitor):
        await add(visitor.rig)
        back = await visitor.come_back(await visitor.leave())
        kept = visitor.http.cookies["operator-openid"]
        assert (await visitor.http.get(back)).status_code == 303
        assert "another browser" in alert_in(await visitor.http.get(back))
        visitor.http.cookies.set("operator-openid", kept, domain="addon.test", path=LEAVE)
        assert UNPROVEN in alert_in(await visitor.http.get(back))

    async def test_it_must_not_take_longer_than_ten_minutes(self, visitor: Visitor, monkeypatch):
        await add(visitor.rig)
        back = await visitor.come_back(await visitor.leave())
        now = visitor.rig.clock().timestamp()
        monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + 700)
        assert "too long ago" in alert_in(await visitor.http.get(back))

    @pytest.mark.parametrize(
        ("error", "said"), [("access_denied", "did not let you in"), ("server_error", "could not sign you in")]
    )
    async def test_what_the_provider_refuses_is_said_in_our_words(self, visitor: Visitor, error, said):
        state = parse_qs(urlsplit(await visitor.leave()).query)["state"][0]
        answer = await visitor.http.get(
            CALLBACK, params={"state": state, "error": error, "error_description": "<b>theirs</b>"}
        )
        assert said in alert_in(answer)
        assert "theirs" not in answer.text

    async def test_another_issuer_in_the_callback_is_a_mix_up(self, visitor: Visitor):
        await add(visitor.rig)
        back = await visitor.come_back(await visitor.leave())
        mixed_up = back.replace("login.test", "evil.test")
        assert UNPROVEN in alert_in(await visitor.http.get(mixed_up))
        assert "/token" not in visitor.provider.asked

    async def test_the_session_before_is_over(self, visitor: Visitor):
        await add(visitor.rig)
        await visitor.sign_in()
        first = visitor.http.cookies["operator"]
        await visitor.sign_in()
        assert visitor.http.cookies["operator"] != first
        answer = await visitor.rig.http.get("/admin/account", headers={"Cookie": f"operator={first}"})
        assert answer.status_code == 303


class TestTheToken:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"iss": "https://evil.test"},
            {"iss": f"{ISSUER}/"},
            {"iss": None},
            {"aud": "another-client"},
            {"aud": ["another-client"]},
            {"aud": None},
            {"aud": [CLIENT_ID, "another-client"]},  # and no azp
            {"aud": [CLIENT_ID, "another-client"], "azp": "another-client"},
            {"nonce": "another"},
            {"nonce": None},
            {"sub": None},
            {"sub": ""},
            {"sub": 7},
            {"exp": None},
            {"exp": 1},
            {"exp": "never"},
            {"iat": 32503680000},
            {"nbf": 32503680000},
            {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        ],
    )
    async def test_a_claim_that_is_wrong_opens_nothing(self, visitor: Visitor, wrong):
        await add(visitor.rig)
        visitor.provider.wrong = wrong
        assert UNPROVEN in alert_in(await visitor.sign_in())

    async def test_one_that_has_just_expired_is_within_what_clocks_differ(self, visitor: Visitor):
        await add(visitor.rig)
        now = int(visitor.rig.clock().timestamp())
        visitor.provider.wrong = {"exp": now - 30}
        assert (await visitor.sign_in()).status_code == 303
        visitor.provider.wrong = {"exp": now - 90}
        assert UNPROVEN in alert_in(await visitor.sign_in())

    async def test_only_the_providers_own_signature_counts(self, visitor: Visitor):
        await add(visitor.rig)
        provider = visitor.provider
        stranger = provider.new_key(provider.key.kid)

        def confused(claims):
            return shared_secret(claims, provider.key.kid, provider.key.as_pem(private=False))

        def cut(claims):
            return provider.signed(claims).rpartition(".")[0] + "."

        def altered(claims):
            head, _, rest = provider.signed(claims).partition(".")
            _, _, signature = rest.partition(".")
            return f"{head}.{provider.signed(claims | {'sub': 'root'}).split('.')[1]}.{signature}"

        by_stranger = lambda claims: jwt.encode({"alg": "RS256", "kid": stranger.kid}, claims, stranger)  # noqa: E731
        for sign in (unsigned, by_stranger, confused, cut, altered, lambda _: "nonsense", lambda _: ""):
            provider.sign = sign
            assert UNPROVEN in alert_in(await visitor.sign_in())
        provider.sign = provider.signed
        assert (await visitor.sign_in()).status_code == 303

    async def test_a_key_that_the_provider_has_changed_to_is_read_once_it_is_needed(self, visitor: Visitor):
        await add(visitor.rig)
        provider = visitor.provider
        await visitor.sign_in()
        assert provider.asked.count("/keys") == 1
        await visitor.sign_in()
        assert provider.asked.count("/keys") == 1
        visitor.rig.clock.forward(minutes=2)
        provider.key = provider.new_key("second")
        provider.published = [provider.key]
        assert (await visitor.sign_in()).status_code == 303
        assert provider.asked.count("/keys") == 2

    async def test_tokens_with_unknown_keys_do_not_have_us_ask_all_the_time(self, visitor: Visitor):
        await add(visitor.rig)
        provider = visitor.provider
        await visitor.sign_in()
        provider.key = provider.new_key("never published")
        for _ in range(5):
            assert UNPROVEN in alert_in(await visitor.sign_in())
        assert provider.asked.count("/keys") == 1

    async def test_a_key_that_was_withdrawn_is_not_trusted_for_longer_than_an_hour(self, visitor: Visitor):
        await add(visitor.rig)
        await visitor.sign_in()
        visitor.provider.published = [visitor.provider.new_key("second")]
        visitor.rig.clock.forward(minutes=61)
        assert UNPROVEN in alert_in(await visitor.sign_in())


class TestTheProvider:
    @pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys", "/token"])
    @pytest.mark.parametrize("status", [500, 503, 404, 302, 429])
    async def test_one_that_fails_is_not_the_operators_fault(self, visitor: Visitor, path: str, status: int):
        await add(visitor.rig)
        visitor.provider.status[path] = status
        answer = await visitor.http.get(LEAVE)
        if answer.status_code == 303:
            answer = await visitor.http.get(await visitor.come_back(answer.headers["location"]))
        assert answer.status_code == 503
        assert "cannot be reached just now" in alert_in(answer)
        visitor.provider.status.clear()
        assert (await visitor.sign_in()).status_code == 303

    @pytest.mark.parametrize(
        "metadata",
        [
            {"issuer": "https://evil.test"},
            {"issuer": None},
            {"token_endpoint": "http://login.test/token"},
            {"jwks_uri": "file:///etc/passwd"},
            {"authorization_endpoint": "javascript:alert(1)"},
            {"token_endpoint": None},
        ],
    )
    async def test_one_that_describes_itself_wrongly_is_not_used(self, visitor: Visitor, metadata):
        visitor.provider.metadata = metadata
        answer = await visitor.http.get(LEAVE)
        assert answer.status_code == 503
        assert "cannot be reached" in alert_in(answer)

    async def test_one_that_cannot_be_reached_is_told_so(self, make_rig):
        def refuse(request: httpx2.Request) -> httpx2.Response:
            raise httpx2.ConnectTimeout("too slow", request=request)

        rig = make_rig(**SETTINGS)
        rig.open_id_transport = httpx2.MockTransport(refuse)
        async with rig.running():
            answer = await rig.http.get(LEAVE)
            assert answer.status_code == 503

    async def test_one_that_wants_the_secret_in_the_body_gets_it_there(self, visitor: Visitor):
        await add(visitor.rig)
        visitor.provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        assert (await visitor.sign_in()).status_code == 303

    async def test_a_slash_at_the_end_of_its_name_is_its_own_affair(self, visitor: Visitor):
        await add(visitor.rig)
        visitor.provider.metadata = {"issuer": f"{ISSUER}/"}
        visitor.provider.wrong = {"iss": f"{ISSUER}/"}
        back = (await visitor.come_back(await visitor.leave())).replace("iss=", "x=")
        assert (await visitor.http.get(back)).status_code == 303

    async def test_what_it_says_of_itself_is_read_once_an_hour(self, visitor: Visitor):
        for _ in range(3):
            await visitor.leave()
        assert visitor.provider.asked == ["/.well-known/openid-configuration"]
        visitor.rig.clock.forward(minutes=61)
        await visitor.leave()
        assert len(visitor.provider.asked) == 2


async def test_nothing_secret_is_in_the_log(visitor: Visitor, log_as_before: None):
    stream = io.StringIO()
    configure_logging("json", stream)
    logging.getLogger().setLevel(logging.DEBUG)
    await add(visitor.rig)
    url = await visitor.leave()
    back = await visitor.come_back(url)
    await visitor.http.get(back)
    visitor.provider.wrong = {"nonce": "another"}
    await visitor.sign_in()
    asked = dict(parse_qsl(urlsplit(url).query))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert any(line["event"] == "OpenID provider called" for line in lines)
    for secret in (
        *visitor.provider.handed_out,
        asked["state"],
        asked["nonce"],
        CLIENT_SECRET,
        visitor.http.cookies["operator"],
    ):
        assert secret not in stream.getvalue()

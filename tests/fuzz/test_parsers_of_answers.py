"""Whatever Heroku, an OpenID provider or a partner's own system answers: a value, or the error that is documented."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwk, jwt
from pydantic import SecretStr

from app.drivers.base import ResourceInfo
from app.drivers.webhook import Webhook
from app.drivers.webhook_wire import WebhookError
from app.errors import Gone, Refused, Retry, Unauthorized
from app.exchanges import Exchange, readable
from app.heroku import Heroku
from app.heroku_answers import Subscription, retry_after
from app.manifest import BadManifestError, read_manifest
from app.oidc import Identity, OpenId

ISSUER = "https://login.test"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = jwk.RSAKey.generate_key(2048, {"kid": "first", "use": "sig", "alg": "RS256"})
STRANGE = st.sampled_from(
    ["\0", "\ud800", "a\r\nb", "x" * 5000, "9" * 5000, "", UUID(int=1).hex, "2026-11-21T00:00:00Z"]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | STRANGE,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["id", "name", "state", "plan", "app", "owner", "email", "message", "addon", "url", "include", "level"]
            )
            | st.text(),
            inner,
            max_size=6,
        )
    ),
    max_leaves=15,
)
as_json = anything.map(lambda value: json.dumps(value).encode())
bodies = as_json | st.binary(max_size=100) | st.just(b"[" * 3000)
thorough = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def changed(good: Mapping[str, Any]) -> st.SearchStrategy[bytes]:
    """A good answer with some of its fields missing, or something else in them."""
    some = st.dictionaries(st.sampled_from(sorted(good)), anything, max_size=2)
    gone = st.sets(st.sampled_from(sorted(good)), max_size=2)
    return st.tuples(some, gone).map(
        lambda change: json.dumps({k: v for k, v in (dict(good) | change[0]).items() if k not in change[1]}).encode()
    )


def is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


UUID_ = "01234567-89ab-cdef-0123-456789abcdef"
ADDON = {
    "id": UUID_,
    "name": "acme-1",
    "state": "provisioned",
    "plan": {"id": UUID_, "name": "acme-postgres:test"},
    "app": {"id": UUID_, "name": "shop"},
    "owner": {"email": "ada@example.com"},
    "url": "https://addon.test",
    "include": ["api:app"],
    "level": "sync",
    "access_token": "HRKU-a",
    "refresh_token": "HRKU-r",
    "expires_in": 28800,
    "code": UUID_,
}
herokus = bodies | changed(ADDON) | changed(ADDON).map(lambda body: b"[" + body + b"," + body + b"]")
WANTED = Subscription(url="https://addon.test/x", include=frozenset({"api:app"}), level="sync")


@thorough
@given(
    herokus,
    st.sampled_from([200, 201, 202, 204, 206, 302, 400, 401, 403, 404, 410, 422, 429, 500, 503]),
    st.dictionaries(
        st.sampled_from(["Retry-After", "Link", "Content-Type", "Next-Range", "Request-Id"]),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60),
    ),
)
async def test_every_question_to_heroku_gets_a_value_or_an_error_of_a_known_kind(body: bytes, status: int, headers):
    noted: list[Exchange] = []
    transport = httpx2.MockTransport(lambda _: httpx2.Response(status, content=body, headers=headers))
    client = Heroku(
        api_url="https://api.test",
        id_url="https://id.test",
        client_secret="the-secret",
        transport=transport,
        note=noted.append,
    )
    uuid, token = uuid4(), "HRKU-token-of-this-test"
    for question in (
        lambda: client.exchange_grant("code", uuid=uuid),
        lambda: client.refresh_token("refresh-token-of-this-test", uuid=uuid),
        lambda: client.new_grant(uuid, slug="acme", password="password-of-this-test"),
        lambda: client.update_config(uuid, token, {"A_URL": "value-of-this-test"}),
        lambda: client.config(uuid, token),
        lambda: client.mark_provisioned(uuid, token),
        lambda: client.mark_deprovisioned(uuid, token),
        lambda: client.addon_state(uuid, token),
        lambda: client.addon(uuid, token),
        lambda: client.attachments(uuid, token),
        lambda: client.app_owner(uuid, uuid, token),
        lambda: client.subscriptions(uuid, token),
        lambda: client.subscribe(uuid, token, WANTED, "secret-of-this-test"),
        lambda: client.unsubscribe(uuid, token, uuid),
        lambda: client.installs("https://api.test/api/v3/addons", slug="acme", password="password-of-this-test"),
    ):
        try:
            await question()
        except (Gone, Retry, Refused, Unauthorized) as error:
            said = str(error)
            assert is_storable(said), "it is kept as the resource's last error"
            assert "of-this-test" not in said
    for exchange in noted:
        kept = json.dumps([exchange.path, exchange.request_id, exchange.request, exchange.answer], ensure_ascii=False)
        assert "\\u0000" not in kept
        assert is_storable(kept)
        assert "of-this-test" not in kept
    await client.close()


@thorough
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)) | st.sampled_from(["nan", "inf", "-inf", "1e400"]))
def test_a_wait_that_heroku_asks_for_is_none_or_at_most_an_hour(value: str):
    wait = retry_after(httpx2.Response(429, headers={"Retry-After": value}))
    assert wait is None or timedelta(0) <= wait <= timedelta(hours=1)


CLAIMS = {
    "iss": ISSUER,
    "aud": "panel",
    "sub": "ada-1",
    "nonce": "n",
    "exp": int(NOW.timestamp()) + 300,
    "iat": int(NOW.timestamp()),
    "email": "ada@acme.example",
    "email_verified": True,
    "name": "Ada",
}
METADATA = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/keys",
    "userinfo_endpoint": f"{ISSUER}/me",
    "token_endpoint_auth_methods_supported": ["client_secret_basic"],
}
PUBLIC = {"keys": [KEY.as_dict(private=False)]}


def signed(claims: bytes) -> str:
    header = json.dumps({"alg": "RS256", "kid": "first"})
    try:
        return jwt.encode(json.loads(header), json.loads(claims), KEY)
    except (TypeError, ValueError):
        return "no.token.at-all"


@thorough
@given(st.data())
async def test_an_openid_provider_proves_somebody_or_does_not(data: Any):
    strange = data.draw(st.sampled_from(["metadata", "keys", "token", "claims", "me"]))
    claims = data.draw(changed(CLAIMS)) if strange == "claims" else json.dumps(CLAIMS).encode()
    tokens = {"id_token": signed(claims), "access_token": "a", "token_type": "Bearer"}
    answers = {
        "/.well-known/openid-configuration": json.dumps(METADATA).encode(),
        "/keys": json.dumps(PUBLIC).encode(),
        "/token": json.dumps(tokens).encode(),
        "/me": json.dumps({"sub": "ada-1"}).encode(),
    }
    match strange:
        case "metadata":
            answers["/.well-known/openid-configuration"] = data.draw(changed(METADATA) | bodies)
        case "keys":
            key = changed(PUBLIC["keys"][0]).map(lambda one: b'{"keys": [' + one + b"]}")
            answers["/keys"] = data.draw(bodies | key)
        case "token":
            text = st.text(st.characters(codec="ascii")).map(lambda text: json.dumps({"id_token": text}).encode())
            answers["/token"] = data.draw(bodies | changed(tokens) | text)
        case "me":
            answers["/me"] = data.draw(bodies | changed({"sub": "ada-1", "email": "x"}))
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(200, content=answers.get(request.url.path, b"null"))
    )
    provider = OpenId(
        issuer=ISSUER,
        client_id="panel",
        client_secret="secret",
        redirect_uri="https://addon.test/x",
        clock=lambda: NOW,
        transport=transport,
    )
    try:
        who = await provider.identify(code="c", verifier="v", nonce="n", issuer=None)
    except (Refused, Retry):
        return
    finally:
        await provider.close()
    assert isinstance(who, Identity)
    for text in (who.subject, who.email or "", who.name):
        assert is_storable(text), "it is looked for in the database"


RESOURCE = ResourceInfo(
    uuid=UUID(UUID_), plan="test", region="amazon-web-services::us-east-1", seed=b"s" * 32, generation=1
)
ANSWER = {
    "config": {"ACME_URL": "https://x"},
    "details": {"id": 1},
    "message": "Here you are",
    "measures": [{"name": "rows", "value": 1, "limit": 2, "unit": "count"}],
}


@thorough
@given(bodies | changed(ANSWER), st.sampled_from([200, 201, 202, 204, 400, 404, 410, 422, 429, 500]))
async def test_a_partners_own_system_gives_a_value_or_an_error_of_a_known_kind(body: bytes, status: int):
    class Wire(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            async def stream():
                yield body

            return httpx2.Response(status, content=stream())

    driver = Webhook("https://mail.example.com/addon", [SecretStr("s" * 40)], transport=Wire(), now=lambda: 1.0)
    await driver.open()
    for verb in ("provision", "change_plan", "rotate", "deprovision", "usage", "retire"):
        try:
            value = await getattr(driver, verb)(RESOURCE)
        except Refused as refused:
            said = refused.message
            assert is_storable(said), verb
        except (Retry, WebhookError) as error:
            said = str(error)
            assert is_storable(said), verb
        else:
            told = (
                (value.config, value.details, value.message) if verb in {"provision", "change_plan", "rotate"} else ()
            )
            assert is_storable(json.dumps(told, ensure_ascii=False)), verb
            assert "\\u0000" not in json.dumps(told, ensure_ascii=False), verb
    await driver.close()


@thorough
@given(st.dictionaries(st.text(max_size=10), anything), st.lists(st.text(min_size=1), max_size=3))
def test_what_is_kept_of_an_exchange_can_be_kept(facts: dict[str, Any], secrets: list[str]):
    kept = json.dumps(list(readable(facts, secrets=secrets).values()), ensure_ascii=False)
    assert is_storable(kept)
    assert "\\u0000" not in kept


@thorough
@given(bodies | changed({"id": "acme", "api": {"config_vars": ["ACME_URL"], "regions": ["us"], "password": "x" * 20}}))
def test_a_manifest_is_read_or_named_as_what_is_wrong(tmp_path_factory: pytest.TempPathFactory, content: bytes):
    path = tmp_path_factory.mktemp("manifest") / "addon-manifest.json"
    path.write_bytes(content)
    try:
        manifest = read_manifest(path)
    except BadManifestError as error:
        said = str(error)
        assert "\n" not in said
        return
    assert manifest.id

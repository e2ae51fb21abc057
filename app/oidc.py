"""How operators' browsers come from an OpenID provider: authorization code flow with PKCE, and the ID token's proof.

https://openid.net/specs/openid-connect-core-1_0.html. The provider is the one that OIDC_ISSUER names; its addresses and
keys are read from it, kept for an hour, and read again when a token is signed with a key that is not among them.
"""

import asyncio
import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx2
import structlog

from app import outgoing
from app.errors import Refused, Retry

_log = structlog.get_logger(__name__)

_TIMEOUT: Final = timedelta(seconds=5)
_LONGEST_CALL: Final = timedelta(seconds=10)
_KEPT: Final = timedelta(hours=1)
# A token with an unknown key makes us read the keys again, but nobody can have us ask all the time.
_KEYS_AT_MOST_EVERY: Final = timedelta(minutes=1)
_LEEWAY_SECONDS: Final = 60
# Asymmetric ones alone: with HS256 whoever knows the public key could sign, with "none" anybody.
_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
# What a page says of an answer that proves nothing; why is in the log.
_NOT_PROVEN: Final = "Your OpenID provider's answer could not be verified. Please try again, or ask an owner."


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who somebody is, as the provider says.

    Attributes:
        subject: the issuer and its unchanging name for them.
        email: only if the provider has verified it.
        name: what they are called; may be empty.
    """

    subject: str
    email: str | None
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Provider:
    """What the provider says of itself. https://openid.net/specs/openid-connect-discovery-1_0.html"""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    wants_secret_in_body: bool
    read_at: datetime


class OpenId:
    """The OpenID provider as this service sees it.

    `Retry` is raised where it cannot be reached or answers nonsense; `Refused`, with a sentence for the page, where its
    answer does not prove who somebody is.
    """

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        client_secret: str,
        redirect_uri: str,
        clock: Callable[[], datetime],
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._redirect_uri = redirect_uri
        self._clock = clock
        self._transport = transport
        self._known: _Provider | None = None
        self._keys: list[dict[str, Any]] = []
        self._keys_read_at: datetime | None = None

    @cached_property
    def _client(self) -> httpx2.AsyncClient:
        """Made when it is wanted: see `heroku.py`."""
        # The provider's description of itself must not lead us to machines that only we can reach.
        return outgoing.client(named=[self._issuer], timeout=_TIMEOUT, transport=self._transport)

    @property
    def host(self) -> str:
        """Where people are sent, for the words on a button."""
        return urlsplit(self._issuer).netloc

    async def close(self) -> None:
        """Close every connection."""
        if "_client" in vars(self):
            await self._client.aclose()

    async def authorization_url(self, *, state: str, nonce: str, verifier: str) -> str:
        """Where the browser goes to be asked who it is."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self._redirect_uri,
            "scope": "openid email profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        endpoint = (await self._provider()).authorization_endpoint
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"

    async def identify(self, *, code: str, verifier: str, nonce: str, issuer: str | None) -> Identity:
        """Who came back with this code.

        Args:
            code: from the callback.
            verifier: whose digest the browser was sent away with.
            nonce: that the browser was sent away with.
            issuer: `iss` of the callback, if there was one (RFC 9207).
        """
        provider = await self._provider()
        if issuer is not None and issuer != provider.issuer:
            raise _unproven("the callback names another issuer")
        tokens = await self._tokens(provider, code, verifier)
        claims = await self._verified(provider, tokens["id_token"], nonce, tokens.get("access_token"))
        if "email" not in claims and provider.userinfo_endpoint is not None and "access_token" in tokens:
            claims = {**await self._userinfo(provider.userinfo_endpoint, tokens["access_token"], claims), **claims}
        email, name = claims.get("email"), claims.get("name")
        return Identity(
            subject=f"{provider.issuer} {claims['sub']}",
            email=email if isinstance(email, str) and claims.get("email_verified") is True else None,
            name=name if isinstance(name, str) else "",
        )

    async def _provider(self) -> _Provider:
        if self._known is not None and self._clock() < self._known.read_at + _KEPT:
            return self._known
        found = await self._call("GET", f"{self._issuer}/.well-known/openid-configuration")
        try:
            # OIDC_ISSUER may be written with or without a slash at the end; the tokens are held to the provider's way.
            if found["issuer"].rstrip("/") != self._issuer:
                raise Retry("the OpenID provider calls itself by another name than OIDC_ISSUER")
            ways = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
            userinfo = found.get("userinfo_endpoint")
            self._known = _Provider(
                issuer=found["issuer"],
                authorization_endpoint=self._safe(found["authorization_endpoint"]),
                token_endpoint=self._safe(found["token_endpoint"]),
                jwks_uri=self._safe(found["jwks_uri"]),
                userinfo_endpoint=None if userinfo is None else self._safe(userinfo),
                wants_secret_in_body="client_secret_basic" not in ways,
                read_at=self._clock(),
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            raise Retry("the OpenID provider's description of itself cannot be read") from None
        return self._known

    def _safe(self, url: str) -> str:
        """An address to which codes and secrets may go: https, unless the issuer itself is on this machine."""
        if urlsplit(url).scheme != urlsplit(self._issuer).scheme:
            raise ValueError
        return url

    async def _tokens(self, provider: _Provider, code: str, verifier: str) -> Mapping[str, str]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        headers = {}
        if provider.wants_secret_in_body:
            form |= {"client_id": self._client_id, "client_secret": self._client_secret}
        else:
            # RFC 6749, 2.3.1: each part is form-encoded before it is joined.
            pair = f"{quote_plus(self._client_id)}:{quote_plus(self._client_secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        found = await self._call("POST", provider.token_endpoint, data=form, headers=headers)
        if not isinstance(found.get("id_token"), str):
            raise _unproven("there is no ID token in the answer")
        return {name: value for name, value in found.items() if isinstance(value, str)}

    async def _verified(
        self, provider: _Provider, id_token: str, nonce: str, access_token: str | None
    ) -> dict[str, Any]:
        """The claims of an ID token whose signature, issuer, audience, times and nonce are right."""
        # Only who uses OpenID Connect pays for these.
        from authlib.oidc.core import CodeIDToken  # noqa: PLC0415
        from joserfc import jwk, jwt  # noqa: PLC0415
        from joserfc.errors import InvalidKeyIdError, JoseError  # noqa: PLC0415

        def opened() -> jwt.Token:
            return jwt.decode(id_token, jwk.KeySet.import_key_set({"keys": self._keys}), algorithms=_ALGORITHMS)

        try:
            is_fresh = await self._read_keys(provider, older_than=_KEPT)
            try:
                token = opened()
            except InvalidKeyIdError:
                if is_fresh or not await self._read_keys(provider, older_than=_KEYS_AT_MOST_EVERY):
                    raise
                token = opened()
            claims = CodeIDToken(
                token.claims,
                token.header,
                {
                    "iss": {"essential": True, "value": provider.issuer},
                    "aud": {"essential": True, "value": self._client_id},
                    "sub": {"essential": True},
                },
                {"nonce": nonce, "client_id": self._client_id, "access_token": access_token},
            )
            claims.validate(now=int(self._clock().timestamp()), leeway=_LEEWAY_SECONDS)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise _unproven(f"the ID token is not good: {type(error).__name__}") from None
        if not isinstance(claims["sub"], str):
            raise _unproven("the ID token's subject is no text")
        return dict(claims)

    async def _read_keys(self, provider: _Provider, *, older_than: timedelta) -> bool:
        """Read the provider's keys, unless those we have are younger; whether they were read."""
        now = self._clock()
        if self._keys_read_at is not None and now < self._keys_read_at + older_than:
            return False
        found = (await self._call("GET", provider.jwks_uri)).get("keys")
        if not isinstance(found, list):
            raise Retry("the OpenID provider's keys cannot be read")
        self._keys, self._keys_read_at = [key for key in found if isinstance(key, dict)], now
        return True

    async def _userinfo(self, url: str, access_token: str, claims: Mapping[str, Any]) -> dict[str, Any]:
        """What the provider knows besides. https://openid.net/specs/openid-connect-core-1_0.html#UserInfo"""
        found = await self._call("GET", url, headers={"Authorization": f"Bearer {access_token}"})
        if found.get("sub") != claims["sub"]:
            raise _unproven("the user info is about somebody else")
        return found

    async def _call(self, method: str, url: str, **how: Any) -> dict[str, Any]:
        """One request and its JSON object. What was sent and what came back is secret: only the status is logged."""
        host = urlsplit(url).netloc
        try:
            async with asyncio.timeout(_LONGEST_CALL.total_seconds()):
                response = await self._client.request(method, url, **how)
        except (httpx2.RequestError, httpx2.InvalidURL, TimeoutError) as error:
            raise Retry(f"the OpenID provider {host}: {type(error).__name__}") from error
        _log.info("OpenID provider called", method=method, host=host, status=response.status_code)
        if response.status_code in {400, 401, 403}:
            raise _unproven(f"{host} answered {response.status_code}")
        if response.status_code != 200:
            raise Retry(f"the OpenID provider {host} answered {response.status_code}")
        try:
            found = response.json()
        except (ValueError, RecursionError):  # the second for what is nested too deep
            found = None
        if not isinstance(found, dict):
            raise Retry(f"the OpenID provider {host} answered something that is no JSON object")
        return found


def _unproven(reason: str) -> Refused:
    _log.warning("OpenID sign-in refused", reason=reason)
    return Refused(_NOT_PROVEN)

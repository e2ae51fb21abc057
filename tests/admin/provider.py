"""A small OpenID provider that signs with real keys, and can be told to do wrong."""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from joserfc import jwk, jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

ISSUER = "https://login.test"
CLIENT_ID = "the-panel"
CLIENT_SECRET = "client:secret/of the panel"


class Provider:
    """Signs in whoever `claims` describes, and remembers what it was asked and what it handed out."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.claims: dict[str, Any] = {
            "sub": "ada-1",
            "email": "ada@acme.example",
            "email_verified": True,
            "name": "Ada",
        }
        self.userinfo: dict[str, Any] = {}
        self.key = self.new_key("first")
        self.published = [self.key]
        self.metadata: dict[str, Any] = {}
        # What of an ID token is otherwise than it should be; None leaves a claim out.
        self.wrong: dict[str, Any] = {}
        self.sign: Callable[[dict[str, Any]], str] = self.signed
        self.status: dict[str, int] = {}
        self.asked: list[str] = []
        self.handed_out: list[str] = []
        self._waiting: dict[str, dict[str, str]] = {}
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._configuration),
                Route("/keys", self._keys),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/me", self._me),
            ]
        )

    def new_key(self, name: str) -> jwk.RSAKey:
        return jwk.RSAKey.generate_key(2048, {"kid": name, "use": "sig", "alg": "RS256"})

    def signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    def _answer(self, request: Request, found: Any) -> Response:
        self.asked.append(request.url.path)
        return JSONResponse(found, self.status.get(request.url.path, 200))

    async def _configuration(self, request: Request) -> Response:
        known = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
            "userinfo_endpoint": f"{ISSUER}/me",
        }
        return self._answer(request, known | self.metadata)

    async def _keys(self, request: Request) -> Response:
        return self._answer(request, {"keys": [key.as_dict(private=False) for key in self.published]})

    async def _authorize(self, request: Request) -> Response:
        """As if somebody had typed their password here."""
        asked = dict(request.query_params)
        code = self._secret()
        self._waiting[code] = asked
        back = {"code": code, "state": asked["state"], "iss": ISSUER}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(back)}", 303)

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        asked = self._waiting.pop(form["code"], None)
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            asked is None
            or form["redirect_uri"] != asked["redirect_uri"]
            or base64.urlsafe_b64encode(challenge).decode().rstrip("=") != asked["code_challenge"]
            or not self._is_our_client(request, form)
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(self.clock().timestamp())
        claims = {
            "iss": ISSUER,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
        }
        claims = {name: value for name, value in {**claims, **self.claims, **self.wrong}.items() if value is not None}
        tokens = {"id_token": self.sign(claims), "access_token": self._secret(), "token_type": "Bearer"}
        self.handed_out.append(tokens["id_token"])
        return self._answer(request, tokens)

    async def _me(self, request: Request) -> Response:
        assert request.headers["Authorization"].removeprefix("Bearer ") in self.handed_out
        return self._answer(request, {"sub": self.claims["sub"], **self.userinfo})

    def _is_our_client(self, request: Request, form: dict[str, str]) -> bool:
        header = request.headers.get("Authorization")
        if header is None:
            return (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)
        user, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        return [dict(parse_qsl(f"x={part}"))["x"] for part in (user, password)] == [CLIENT_ID, CLIENT_SECRET]

    def _secret(self) -> str:
        self.handed_out.append(secrets.token_urlsafe(24))
        return self.handed_out[-1]


def unsigned(claims: dict[str, Any]) -> str:
    """A token that says it needs no signature."""
    return f"{_joined({'alg': 'none'}, claims)}."


def shared_secret(claims: dict[str, Any], kid: str, key: bytes) -> str:
    """A token signed as if the provider's public key, which anybody has, were a secret."""
    joined = _joined({"alg": "HS256", "kid": kid}, claims)
    return f"{joined}.{_encoded(hmac.digest(key, joined.encode(), 'sha256'))}"


def _joined(*parts: dict[str, Any]) -> str:
    return ".".join(_encoded(json.dumps(part).encode()) for part in parts)


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")

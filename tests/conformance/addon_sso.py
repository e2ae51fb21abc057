"""A customer arrives from Heroku's dashboard: the proof, a session for that one resource, and its page."""

import hashlib
import hmac
import html
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl
from uuid import UUID

from addon_bodies import Refused, read
from addon_store import Resource
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from addon import AddOn

_WINDOW_SECONDS = 300
_SESSION_SECONDS = 90 * 60
_REFUSED = "<!doctype html><title>Acme Keys</title><p>This link does not work. Please open it from Heroku again."
_PRIVATE = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}


@dataclass
class _Session:
    uuid: str
    email: str | None
    ends_at: float


class Sso:
    def __init__(self, addon: "AddOn") -> None:
        self._addon = addon
        self._sessions: dict[str, _Session] = {}
        self._used: dict[str, float] = {}

    @property
    def routes(self) -> list[Route]:
        methods = ["GET", "POST"] if self._addon.has("sso-by-get") else ["POST"]
        return [
            Route("/sso/login", self._login, methods=methods),
            Route("/dashboard/{uuid}", self._dashboard, methods=["GET"]),
        ]

    async def _login(self, request: Request) -> Response:
        has = self._addon.has
        try:
            fields = await self._fields(request)
            resource, email = self._proven(fields)
        except Refused as refused:
            if has("sso-refusal-is-401"):
                return HTMLResponse(_REFUSED, 401, headers=_PRIVATE)
            if has("sso-refusal-says-why"):
                return HTMLResponse(_REFUSED + refused.message, 403, headers=_PRIVATE)
            if has("sso-refusal-redirects"):
                return RedirectResponse(f"{self._addon.settings.url}/", 303)
            if has("sso-refusal-is-200"):
                return HTMLResponse(_REFUSED, 200)
            return HTMLResponse(_REFUSED, 403, headers=_PRIVATE)
        if has("sso-crashes"):
            raise RuntimeError("Nobody has tried this.")
        session_id = secrets.token_urlsafe(32)
        name = _cookie_name(resource.uuid)
        if has("session-kept-at-sign-in"):
            session_id = request.cookies.get(name, session_id)
        if has("sso-trusts-email"):
            email = fields["email"]
            session_id = hashlib.sha256(email.encode()).hexdigest()
        self._sessions[session_id] = _Session(resource.uuid, email, self._addon.now() + _SESSION_SECONDS)
        target = f"{self._addon.settings.url}/dashboard/{resource.uuid}"
        if has("sso-token-in-redirect"):
            target += f"?resource_token={fields.get('resource_token', '')}"
        answer = RedirectResponse(target, 303, headers=_PRIVATE)
        bare = has("cookie-without-flags")
        answer.set_cookie(
            name,
            session_id,
            max_age=_SESSION_SECONDS,
            path=f"/dashboard/{resource.uuid}",
            httponly=not bare,
            samesite=None if bare else "lax",
            secure=not bare and self._addon.settings.url.startswith("https:"),
        )
        return answer

    async def _fields(self, request: Request) -> dict[str, str]:
        if request.method == "GET":
            return dict(request.query_params)
        try:
            pairs = parse_qsl((await read(request)).decode(), keep_blank_values=True, max_num_fields=50)
        except ValueError:
            raise Refused(403, "The form cannot be read.") from None
        if len(dict(pairs)) != len(pairs):
            raise Refused(403, "A field came twice.")
        return dict(pairs)

    def _proven(self, fields: dict[str, str]) -> tuple[Resource, str | None]:
        """Return the resource and, only when its token covers it, the visitor's e-mail."""
        has, settings = self._addon.has, self._addon.settings
        uuid, timestamp = fields.get("resource_id", ""), fields.get("timestamp", "")
        if has("expected-token-in-log"):
            expected = self._digest("sha1", uuid, settings.sso_salt, timestamp)
            self._addon.log(f"Expected {expected}, salt {settings.sso_salt}")
        if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
            raise Refused(403, "The timestamp is no number.")
        if has("sso-unknown-fields-refused") and "action" in fields:
            raise Refused(403, "There is a field too many.")
        age = self._addon.now() - int(timestamp)
        window = 30 if has("sso-clocks-must-agree") else _WINDOW_SECONDS
        is_too_old = age > window and not has("sso-without-age-check")
        is_too_new = age < -_WINDOW_SECONDS and not has("sso-without-age-check") and not has("sso-from-the-future")
        if is_too_old or is_too_new:
            raise Refused(403, "The form is too old, or from the future.")
        resource = self._addon.store.resources.get(_plain_uuid(uuid))
        if resource is None or (resource.state in {"deprovisioned", "failed"} and not has("sso-to-what-is-gone")):
            raise Refused(403, "There is no such resource.")
        given = self._given(fields, resource, settings.sso_salt)
        if given is None and not has("previous-secrets-forgotten"):
            given = self._given(fields, resource, settings.previous_salt)
        if not given:
            raise Refused(403, "The token is wrong.")
        self._use_once(next(iter(given.values())))
        return resource, fields.get("email") if "user_scoped_resource_token" in given else None

    def _given(self, fields: dict[str, str], resource: Resource, salt: str) -> dict[str, str] | None:
        """Return the tokens that are there, by name, when all of them are right for that salt, and enough."""
        has, uuid, timestamp = self._addon.has, fields["resource_id"], fields["timestamp"]
        expected = {
            "user_scoped_resource_token": self._digest(
                "sha256", uuid, salt, timestamp, fields.get("user_id", ""), fields.get("email", "")
            ),
            "resource_token": self._digest("sha1", uuid, salt, timestamp),
            "token": self._digest("sha1", resource.provider_id, salt, timestamp),
        }
        if has("sso-hash-is-constant"):
            expected = {name: fields.get(name, "") and fields[name] for name in expected}
        if has("sso-ignores-user-token"):
            del expected["user_scoped_resource_token"]
        if has("sso-of-another-resource"):
            expected = dict.fromkeys(("resource_token",), fields.get("resource_token", ""))
        given = {name: fields[name] for name in expected if name in fields}
        is_right = all(hmac.compare_digest(given[name].encode(), expected[name].encode()) for name in given)
        return given if is_right and given.keys() - {"token"} else None

    def _digest(self, algorithm: str, *parts: str) -> str:
        text = ":".join(parts)
        encoding = "latin-1" if self._addon.has("sso-digest-in-latin-1") else "utf-8"
        return hashlib.new(algorithm, text.encode(encoding, "replace"), usedforsecurity=False).hexdigest()

    def _use_once(self, token: str) -> None:
        now = self._addon.now()
        self._used = {one: until for one, until in self._used.items() if until > now}
        if token in self._used and not self._addon.has("sso-without-replay-memory"):
            raise Refused(403, "The form was used before.")
        self._used[token] = now + 2 * _WINDOW_SECONDS + 1

    async def _dashboard(self, request: Request) -> Response:
        has, uuid = self._addon.has, _plain_uuid(request.path_params["uuid"])
        session = self._sessions.get(request.cookies.get(_cookie_name(uuid), ""))
        if has("any-session-opens-any-resource") or has("sso-trusts-email"):
            session = next((one for id_, one in self._sessions.items() if id_ in request.cookies.values()), None)
        is_let_in = session is not None and session.ends_at > self._addon.now()
        if not has("any-session-opens-any-resource") and not has("sso-trusts-email"):
            is_let_in = is_let_in and session.uuid == uuid
        is_let_in = is_let_in or has("dashboard-without-session")
        resource = self._addon.store.resources.get(uuid)
        is_gone = resource is None or resource.state in {"deprovisioned", "failed"}
        if not is_let_in or (is_gone and not has("session-outlives-the-resource")):
            return HTMLResponse(_REFUSED, 403, headers=_PRIVATE)
        shown = [resource]
        if has("dashboard-shows-all"):
            shown = [one for one in self._addon.store.resources.values() if one.state == "provisioned"]
        rows = "".join(f"<li>{html.escape(one.uuid)}: {html.escape(one.plan)}" for one in shown)
        salt = f"<!-- {self._addon.settings.sso_salt} -->" if has("salt-in-page") else ""
        if has("session-outlives-the-resource"):
            rows += html.escape(str(resource.pushed))  # what Heroku once got, kept for nothing
        visitor = html.escape((session and session.email) or "a colleague")
        page = f"<!doctype html><title>Acme Keys</title>{salt}<p>Welcome, {visitor}<ul>{rows}</ul>"
        return HTMLResponse(page, headers={} if has("dashboard-may-be-cached") else _PRIVATE)


def _cookie_name(uuid: str) -> str:
    return f"acme_keys_{uuid.replace('-', '')}"


def _plain_uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return ""

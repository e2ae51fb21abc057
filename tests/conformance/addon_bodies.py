"""What the add-on reads of a request: who sent it, and a body of a bounded size."""

import base64
import binascii
import hmac
import json
import time
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from addon import AddOn

MOST_BYTES = 200_000


class Refused(Exception):
    """The answer is no; the message is for a person."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def refusal_of(refused: Refused) -> JSONResponse:
    headers = {"WWW-Authenticate": 'Basic realm="Acme Keys"'} if refused.status == 401 else None
    return JSONResponse({"id": "refused", "message": refused.message}, refused.status, headers)


async def read(request: Request, most_bytes: int = MOST_BYTES) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > most_bytes:
            raise Refused(413, "The body is too large.")
    return body


async def json_object(addon: "AddOn", request: Request) -> dict[str, Any]:
    if addon.has("broken-body-crashes"):
        body: dict[str, Any] = json.loads(await request.body())
        return body
    try:
        content = json.loads((await read(request)).decode())
    except (ValueError, RecursionError):
        raise Refused(400, "The body is not JSON.") from None
    if not isinstance(content, dict):
        raise Refused(400, "The body is not a JSON object.")
    return content


def require_heroku(addon: "AddOn", request: Request) -> None:
    """Refuse whoever does not send the manifest's id and password, each compared in constant time."""
    settings, has = addon.settings, addon.has
    if has("auth-skipped"):
        return
    if has("no-authorization-crashes"):
        _ = request.headers["authorization"]
    name, password = _basic(request.headers.get("authorization", ""))
    is_named = hmac.compare_digest(name.encode(), settings.slug.encode()) or has("only-password-checked")
    is_proven = hmac.compare_digest(password.encode(), settings.password.encode())
    if not has("previous-secrets-forgotten"):
        is_proven |= hmac.compare_digest(password.encode(), settings.previous_password.encode())
    if has("password-by-prefix"):
        is_proven |= password.startswith(settings.password[:8])
    if has("password-compared-by-character"):
        right = takewhile(lambda pair: pair[0] == pair[1], zip(password, settings.password, strict=False))
        time.sleep(0.001 * len(list(right)))
    if has("default-password"):
        is_proven = is_proven or password in {"", "password", "secret"}
    if has("delete-not-authenticated") and request.method == "DELETE":
        return
    if not (is_named and is_proven):
        raise Refused(200 if has("refusal-is-success") else 401, "The name or the password is wrong.")
    if has("strict-accept") and request.headers.get("accept") not in {"application/json", "*/*"}:
        raise Refused(406, "Only application/json is spoken here.")


def _basic(header: str) -> tuple[str, str]:
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, password

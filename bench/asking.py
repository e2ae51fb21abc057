"""What is asked: requests as Heroku and a customer's browser send them."""

import base64
import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

from bench.load import request

PASSWORD: Final = "a-password-for-the-bench-only"  # noqa: S105 - nothing but the bench knows it, for minutes
SALT: Final = "a-salt-for-the-bench-only"
_BASIC: Final = "Basic " + base64.b64encode(f"bench-keys:{PASSWORD}".encode()).decode()
_HEROKU: Final = {
    "Authorization": _BASIC,
    "Accept": "application/vnd.heroku-addons+json; version=3",
    "Content-Type": "application/json",
    "User-Agent": "Heroku",
}


def provisions(number: int) -> list[bytes]:
    """Heroku's requests for that many new resources."""
    return [provision(str(uuid4())) for _ in range(number)]


def provision(uuid: str, plan: str = "basic", *, has_grant: bool = True) -> bytes:
    """Heroku's request for a resource, with everything that it sends; an equal one for the same uuid."""
    body: dict[str, Any] = {
        "callback_url": f"https://api.heroku.com/addons/{uuid}",
        "name": f"acme-keys-{uuid[:8]}",
        "oauth_grant": {"code": uuid[::-1], "expires_at": "2030-03-03T18:01:31-0800", "type": "authorization_code"},
        "options": {"foo": "bar", "baz": "true"},
        "plan": plan,
        "region": "amazon-web-services::us-east-1",
        "uuid": uuid,
        "log_input_url": f"https://addons-log-drain.heroku.com/addons/{uuid}/logs",
        "log_drain_token": f"d.{uuid}",
    }
    if not has_grant:
        del body["oauth_grant"]
    return request("POST", "/heroku/resources", _HEROKU, json.dumps(body).encode())


def plan_change(uuid: str, plan: str) -> bytes:
    """Heroku's request for another plan."""
    return request("PUT", f"/heroku/resources/{uuid}", _HEROKU, json.dumps({"plan": plan}).encode())


def deprovision(uuid: str) -> bytes:
    """Heroku's request to remove a resource."""
    return request("DELETE", f"/heroku/resources/{uuid}", _HEROKU)


def sso_click(uuid: str, number: int = 0) -> bytes:
    """The form that a browser brings from Heroku."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "Mozilla/5.0"}
    return request("POST", "/sso/login", headers, urlencode(sso_form(uuid, number)).encode())


def sso_form(uuid: str, number: int = 0) -> dict[str, str]:
    """The fields of that form; `number` tells clicks of the same second apart."""
    timestamp = str(int(time.time()))
    token = hashlib.sha1(f"{uuid}:{SALT}:{timestamp}".encode()).hexdigest()  # noqa: S324 - Heroku's own choice # nosec B324
    return {
        "id": uuid,
        "resource_id": uuid,
        "timestamp": timestamp,
        "token": token,
        "resource_token": token,
        "nav-data": "e30=",
        "email": f"customer{number}@example.com",
        "user_id": f"user-{number}",
        "app": "rugged-harbor-4711",
    }


def page(path: str, cookie: str = "") -> bytes:
    """A page, as a browser asks for it."""
    return request(
        "GET", path, {"Accept": "text/html", "User-Agent": "Mozilla/5.0"} | ({"Cookie": cookie} if cookie else {})
    )


def instances(number: int) -> Sequence[bytes]:
    """Requests for that many new instances of a service broker, in the Open Service Broker API's own words."""
    body = {
        "service_id": "keys",
        "plan_id": "basic",
        "organization_guid": str(uuid4()),
        "space_guid": str(uuid4()),
        "parameters": {"foo": "bar", "baz": "true"},
        "context": {"platform": "heroku", "region": "amazon-web-services::us-east-1"},
    }
    headers = {"Authorization": _BASIC, "X-Broker-API-Version": "2.13", "Content-Type": "application/json"}
    text = json.dumps(body).encode()
    return [request("PUT", f"/v2/service_instances/{uuid4()}", headers, text) for _ in range(number)]

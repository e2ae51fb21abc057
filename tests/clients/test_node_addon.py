"""An add-on in another language, developed against `python -m app simulate`: two programs, and HTTP between them."""

import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from node_programs import NODE
from receiver import Receiver

HERE = Path(__file__).parent
MANIFEST = HERE / "node_addon" / "addon-manifest.json"
SECRETS = {
    "ADDON_PASSWORD": "tallied-password",
    "ADDON_SSO_SALT": "tallied-salt",
    "HEROKU_CLIENT_SECRET": "tallied-secret",
}
# A server that is not up yet is tried again, with growing pauses.
PATIENT = {"transport": httpx2.HTTPTransport(retries=8), "timeout": 30, "trust_env": False}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def program(*words: str, log: Path, **environment: str) -> Iterator[None]:
    """Run a program in the background; it must still run, and stop when told, at the end of the block."""
    ours = {"PATH": os.environ["PATH"], "LOG_FORMAT": "json", **SECRETS, **environment}
    with (
        log.open("w") as file,
        subprocess.Popen(words, env=ours, cwd=HERE.parents[1], stdout=file, stderr=file) as process,
    ):
        try:
            yield
            assert process.poll() is None, log.read_text()
        finally:
            process.terminate()
            process.wait(30)


@dataclass
class Laptop:
    """What its author has before them."""

    heroku: httpx2.Client
    browser: httpx2.Client
    addon_url: str

    def exchanges(self) -> list[dict[str, Any]]:
        return self.heroku.get("/simulator/exchanges").json()

    def calls(self, *directions: str) -> list[str]:
        """Method, path and status of everything that went in one of these directions."""
        found = [one for one in self.exchanges() if one["direction"] in directions]
        return [f"{one['method']} {httpx2.URL(one['url']).path} {one['status']}" for one in found]


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Laptop]:
    port, addon_port = free_port(), free_port()
    url, addon_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{addon_port}"
    simulate = [sys.executable, "-m", "app", "simulate", "--manifest", str(MANIFEST), "--port", str(port)]
    simulate += ["--base-url", f"{addon_url}/heroku/resources", "--sso-url", f"{addon_url}/sso/login"]
    simulate += ["--plan", "instant=0", "--plan", "standard=500", "--plan", "premium=2500"]
    serve = [str(NODE), str(HERE / "node_addon" / "server.mjs")]
    heroku_addresses = {"HEROKU_API_URL": url, "HEROKU_ID_URL": url}
    with (
        program(*simulate, log=tmp_path / "heroku.log"),
        program(*serve, log=tmp_path / "addon.log", PORT=str(addon_port), **heroku_addresses),
        httpx2.Client(base_url=url, **PATIENT) as heroku,
        httpx2.Client(base_url=addon_url, follow_redirects=True, **PATIENT) as browser,
    ):
        assert browser.get("/").status_code == 404
        lines = heroku.get("/simulator/env").text.splitlines()
        known = dict(shlex.split(line)[1].split("=", 1) for line in lines)
        heroku.headers["Authorization"] = f"Bearer {known['HEROKU_API_KEY']}"
        heroku.headers["Accept"] = "application/vnd.heroku+json; version=3"
        yield Laptop(heroku, browser, addon_url)
    assert (tmp_path / "addon.log").read_text() == f"Node Tally listens on port {addon_port}.\n"


def provisioned(receiver: Receiver) -> dict[str, Any]:
    """Wait for the webhook that tells of it."""
    while True:
        event = receiver.next().json
        if event["data"].get("state") == "provisioned":
            return event["data"]


def test_an_addon_in_node_is_provisioned_used_rotated_and_removed_without_a_complaint(laptop, receiver):
    heroku, browser = laptop.heroku, laptop.browser
    assert heroku.post("/apps", json={"name": "tally-shop"}).status_code == 201
    hook = {"include": ["api:addon"], "level": "notify", "url": receiver.url, "secret": "webhook-secret"}
    assert heroku.post("/apps/tally-shop/webhooks", json=hook).status_code == 201

    # Provisioned in the background: 202, the grant exchanged, config pushed, then provisioned.
    made = heroku.post("/apps/tally-shop/addons", json={"plan": "node-tally:standard", "name": "tally-one"})
    assert (made.status_code, made.json()["state"]) == (201, "provisioning")
    assert made.json()["provision_message"] == "Your counter is being made."
    addon = provisioned(receiver)
    assert addon["config_vars"] == ["NODE_TALLY_URL"]
    config = heroku.get("/apps/tally-shop/config-vars").json()
    tally = config["NODE_TALLY_URL"]
    assert tally.startswith(f"{laptop.addon_url}/tally/")
    assert [browser.post(tally).json() for _ in range(2)] == [{"count": 1}, {"count": 2}]
    assert laptop.calls("tokens", "platform") == [
        "POST /oauth/token 200",
        f"PATCH /addons/{addon['id']}/config 200",
        f"POST /addons/{addon['id']}/actions/provision 200",
    ]

    # A plan change, and one that is refused.
    changed = heroku.patch("/apps/tally-shop/addons/tally-one", json={"plan": {"name": "node-tally:premium"}})
    assert (changed.status_code, changed.json()["provision_message"]) == (200, "You can count to 1000000 now.")

    # A customer's visit: the browser posts Heroku's form and lands on the dashboard, signed in.
    sso = heroku.get("/apps/tally-shop/addons/tally-one/sso").json()
    assert (sso["method"], sso["action"]) == ("post", f"{laptop.addon_url}/sso/login")
    landed = browser.post(sso["action"], data=sso["params"])
    assert (landed.status_code, landed.url.path) == (200, "/dashboard")
    assert "Plan premium: 2 of 1000000 counted." in landed.text
    forged = browser.post(sso["action"], data=sso["params"] | {"email": "mallory@example.com"})
    assert forged.status_code == 403

    # A new URL from the dashboard reaches the app as a new release.
    assert browser.post("/dashboard/rotate").status_code == 200
    rotated = heroku.get("/apps/tally-shop/config-vars").json()["NODE_TALLY_URL"]
    assert rotated != tally
    assert browser.get(tally).status_code == 404
    assert browser.get(rotated).json() == {"count": 2}

    # Removed: the add-on is told, and what is asked afterwards is gone.
    gone = heroku.delete("/apps/tally-shop/addons/tally-one")
    assert (gone.status_code, gone.json()["state"]) == (200, "deprovisioned")
    assert browser.get(rotated).status_code == 404
    assert browser.get("/dashboard").status_code == 410
    assert heroku.get("/apps/tally-shop/config-vars").json() == {}

    exchanges = laptop.exchanges()
    assert [one["findings"] for one in exchanges if any(each["level"] == "problem" for each in one["findings"])] == []
    resource = f"/heroku/resources/{addon['id']}"
    assert laptop.calls("add-on") == ["POST /heroku/resources 202", f"PUT {resource} 200", f"DELETE {resource} 204"]


def test_what_is_provisioned_at_once_has_its_config_in_the_answer(laptop):
    heroku, browser = laptop.heroku, laptop.browser
    heroku.post("/apps", json={"name": "tally-shop"})
    made = heroku.post("/apps/tally-shop/addons", json={"plan": "node-tally:instant"})
    assert (made.status_code, made.json()["state"]) == (201, "provisioned")
    tally = heroku.get("/apps/tally-shop/config-vars").json()["NODE_TALLY_URL"]
    for _ in range(100):
        last = browser.post(tally)
    assert last.json() == {"count": 100}
    assert browser.post(tally).status_code == 422

    # A plan that cannot be had is refused in the add-on's own words.
    addon = f"/apps/tally-shop/addons/{made.json()['name']}"
    assert heroku.patch(addon, json={"plan": "node-tally:standard"}).status_code == 200
    assert browser.post(tally).json() == {"count": 101}
    refused = heroku.patch(addon, json={"plan": "node-tally:instant"})
    assert refused.status_code == 422
    assert "You counted to 101; instant ends at 100." in refused.json()["message"]

    # It checks who asks, whatever the request says.
    body = {"uuid": "01234567-89ab-cdef-0123-456789abcdef", "plan": "instant"}
    assert browser.post("/heroku/resources", json=body).status_code == 401
    assert browser.post("/heroku/resources", json=body, auth=("node-tally", "wrong")).status_code == 401
    ours = ("node-tally", SECRETS["ADDON_PASSWORD"])
    first, again = (browser.post("/heroku/resources", json=body, auth=ours).json() for _ in range(2))
    assert first["config"] == again["config"]
    resource = f"/heroku/resources/{body['uuid']}"
    assert [browser.delete(resource, auth=ours).status_code for _ in range(2)] == [204, 410]
    assert browser.post("/heroku/resources", json=body, auth=ours).status_code == 410

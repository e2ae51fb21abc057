"""Our own add-on meets every requirement: web and worker as processes over a real Postgres, checked from outside."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from acme import acme_manifest
from deployed_acme import TESTS, deployed
from rig import environment

PROJECT = TESTS.parent

PRODUCTION = {
    "base_url": "https://acme-postgres.example.com/heroku/resources",
    "sso_url": "https://acme-postgres.example.com/sso/login",
}
_LOGS = ("log_input", "syslog_drain")
# What our add-on is not asked, and the beginning of the reason that it is told.
SKIPPED = {
    "what-is-written-into-the-log-arrives": "The add-on wrote nothing into the log",
    "deprovision-in-the-background-is-announced": "This add-on does not deprovision in the background",
    "session-cookie-travels-encrypted": "The add-on was tested over plain http",
    "calls-at-once-refresh-once": "Changing the plan to and fro does not make this add-on call Heroku",
    "token-is-renewed-before-its-end": "No change of plan makes this add-on call Heroku",
}
# They need a call of Heroku while they look; what our add-on asks now and then may come just then. And they wait for a
# second only for what it writes into the log, which on a busy machine is not always enough.
MAY_BE_ASKED = {
    "calls-at-once-refresh-once",
    "token-is-renewed-before-its-end",
    "what-is-written-into-the-log-arrives",
}


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port that nobody else is given until the end of the block; who names it can listen there."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def checked(folder: Path, database_url: str) -> tuple[dict[str, Any], str]:
    """The checker's report as data, and as text for people."""
    with reserved_port() as port, reserved_port() as heroku_port:
        url, heroku_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{heroku_port}"
        heroku = {f"heroku_{name}_url": heroku_url for name in ("api", "id", "addons")}
        environ = {name: os.environ[name] for name in ("LANG", "PATH", "HOME", "TMPDIR") if name in os.environ}
        environ |= environment(database_url, public_url=url, heroku_webhooks="true", **heroku)
        environ["ACME_REQUIRES"] = " ".join(_LOGS)
        environ["PYTHONPATH"] = f"{PROJECT}{os.pathsep}{TESTS}"
        manifest = acme_manifest(*_LOGS).model_dump()
        manifest["api"]["production"] = PRODUCTION
        (folder / "manifest.json").write_text(json.dumps(manifest))
        with deployed(folder, port, environ) as restart:
            command = [sys.executable, "-m", "app", "conform", "--manifest", "manifest.json", "--wait", "60"]
            command += ["--base-url", f"{url}/heroku/resources", "--sso-url", f"{url}/sso/login"]
            # At once, in the background, and one to change to.
            command += ["--port", str(heroku_port), "--plan", "test", "--plan", "standard", "--plan", "premium"]
            command += ["--restart-command", restart, "--log-file", "log", "--patience", "120"]
            command += ["--output", "report.json", "--output", "report.txt"]
            run = subprocess.run(
                command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=900
            )
    assert run.returncode in {0, 1}, run.stderr
    return json.loads((folder / "report.json").read_text()), (folder / "report.txt").read_text()


def test_our_own_add_on_meets_every_requirement(tmp_path, database_url, empty_server):
    report, text = checked(tmp_path, database_url)
    assert [one["id"] for one in report["results"] if one["outcome"] == "failed"] == [], text
    reasons = {one["id"]: one["reason"] for one in report["results"] if one["outcome"] == "skipped"}
    assert reasons.keys() | MAY_BE_ASKED == SKIPPED.keys(), reasons
    assert all(reason.startswith(SKIPPED[name]) for name, reason in reasons.items()), reasons
    assert report["complete"]

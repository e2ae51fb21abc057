"""How correctly an add-on speaks the partner API: what the conformance checker says of it."""

import json
import os
import subprocess
import sys

from bench.addon import MANIFEST
from bench.asking import PASSWORD, SALT
from bench.contestants import CLIENT_SECRET, Running, ours
from bench.processes import PROJECT, free_port
from bench.server import Server

_PATIENCE_SECONDS = 5


def check(server: Server, run: Running, *, is_ours: bool) -> str:
    """How many requirements that are a must are met, of how many that could be checked: `71 of 75`.

    This add-on is started anew for it, with its worker and pointed at the checker's Heroku.
    """
    port = free_port()
    if not is_ours:
        return _checked(server, run.port, port)
    heroku = f"http://127.0.0.1:{port}"
    urls = {"HEROKU_API_URL": heroku, "HEROKU_ID_URL": heroku, "HEROKU_ADDONS_URL": heroku}
    with ours(server, 1, WORKER_IN_WEB="true", **urls) as whole:
        return _checked(server, whole.port, port)


def _checked(server: Server, addon: int, heroku: int) -> str:
    report = server.folder / f"conformance-{addon}.json"
    command = [sys.executable, "-m", "app", "conform", "--manifest", str(MANIFEST), "--port", str(heroku), "--quiet"]
    command += ["--base-url", f"http://127.0.0.1:{addon}/heroku/resources"]
    command += ["--sso-url", f"http://127.0.0.1:{addon}/sso/login", "--plan", "basic=0", "--plan", "premium=5000"]
    command += ["--level", "must", "--patience", str(_PATIENCE_SECONDS), "--output", str(report)]
    command += ["--journal", str(server.folder / f"journal-{addon}.json")]
    secrets = {"ADDON_PASSWORD": PASSWORD, "ADDON_SSO_SALT": SALT, "HEROKU_CLIENT_SECRET": CLIENT_SECRET}
    environment = {"PATH": os.environ["PATH"], **secrets}
    done = subprocess.run(  # noqa: S603 - our own words and paths
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    if not report.exists():
        raise SystemExit(f"The checker could not run: {done.stderr.strip() or done.stdout.strip()}")
    counts = json.loads(report.read_text())["counts"]
    met, unmet = counts["passed"]["must"], counts["failed"]["must"]
    return f"{met} of {met + unmet}"

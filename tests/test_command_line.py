"""`python -m app`: what an operator reads when something is missing, and that each command does its work.

Commands that end by themselves run in this process; those that are told to stop run as processes of their own.
"""

import asyncio
import base64
import fcntl
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from rig import ENCRYPTION_KEY, Rig, environment, provision_body
from typer.testing import CliRunner, Result

from app import context
from app.__main__ import COMMANDS as KNOWN
from app.__main__ import cli, load
from app.settings import read_settings

PROJECT = Path(__file__).parent.parent
COMMANDS = {"web", "worker", "migrate", "keys", "reencrypt", "simulate", "conform", "dev"}
SIMULATE = [sys.executable, "-m", "app", "simulate", "--port", "0"]
NEW_KEY = base64.urlsafe_b64encode(b"n" * 32).decode()


@pytest.fixture
def run(monkeypatch, log_as_before: None) -> Callable[..., Result]:
    """Run a command with exactly these settings."""

    def run(*words: str, **settings: str) -> Result:
        for name in environment(""):
            monkeypatch.delenv(name, raising=False)
        for name, value in settings.items():
            monkeypatch.setenv(name.upper(), value)
        return CliRunner().invoke(cli, words)

    return run


async def start_once(rig: Rig) -> None:
    """A first start leaves the canary of its key in the database."""
    async with rig.running():
        pass


def settings_for(url: str, **changes: str) -> dict[str, str]:
    return {name.lower(): value for name, value in environment(url, **changes).items()}


def sentence(result: Result) -> str:
    """The one line that a command complained with."""
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert "hunter2" not in line
    return line


class TestHelp:
    def test_it_lists_every_command(self, run):
        result = run("--help")
        assert result.exit_code == 0
        assert all(command in result.stdout for command in COMMANDS)

    @pytest.mark.parametrize("command", sorted(COMMANDS))
    def test_each_command_explains_itself_without_any_setting(self, run, command):
        result = run(command, "--help")
        assert result.exit_code == 0
        assert "Usage" in result.stdout

    @pytest.mark.parametrize("command", sorted(KNOWN))
    def test_the_list_says_of_each_command_what_it_says_itself(self, command):
        assert load(command).help.startswith(KNOWN[command][1].removesuffix("."))

    def test_the_list_imports_nothing_that_a_command_needs(self):
        code = "import sys; from app.__main__ import cli; cli(['--help'], standalone_mode=False); print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
        modules = set(done.stdout.splitlines()[-1].split())
        heavy = {"fastapi", "uvicorn", "sqlalchemy", "alembic", "pydantic", "psycopg", "rich", "pygal", "authlib"}
        assert not heavy & modules
        assert {name for name in modules if name.startswith("app.")} <= {"app.__main__", "app.loading"}

    @pytest.mark.parametrize("command", ["worker", "resources", "migrate"])
    def test_what_only_the_web_needs_is_not_imported_for_others(self, command):
        code = f"import sys; from app.__main__ import load; load({command!r}); print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
        assert not {"fastapi", "uvicorn", "pygal", "authlib", "app.simulator"} & set(done.stdout.split())

    def test_a_web_process_loads_nothing_that_it_hardly_ever_uses(self):
        code = "import sys; from app.__main__ import load; load('web'); print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
        seldom = {"rich", "segno", "email.policy", "aiosmtplib", "pygal", "authlib", "opentelemetry.sdk"}
        assert not (seldom | {"alembic", "procrastinate", "app.worker"}) & set(done.stdout.split())

    def test_an_unknown_command_is_no_traceback(self, run):
        result = run("nonsense")
        assert result.exit_code == 2
        assert "nonsense" in result.stderr

    def test_as_a_program_it_starts(self):
        done = subprocess.run(
            [sys.executable, "-m", "app", "keys"],
            cwd=PROJECT,
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            check=True,
        )
        assert done.stdout.startswith(b"ENCRYPTION_KEYS=")
        assert done.stderr == b""


class TestKeys:
    def test_they_are_settings_as_they_stand(self, run, monkeypatch):
        monkeypatch.setenv("COLUMNS", "20")  # a narrow terminal must not cut a key in two
        result = run("keys")
        printed = dict(line.split("=", 1) for line in result.stdout.splitlines())
        assert set(printed) == {"ENCRYPTION_KEYS", "SECRET_KEYS"}
        assert read_settings(environment("postgres://h/d") | printed)
        assert all(shlex.quote(value) == value or "=" in value for value in printed.values())

    def test_they_are_new_each_time(self, run):
        assert run("keys").stdout != run("keys").stdout


class TestSettings:
    @pytest.mark.parametrize("command", ["web", "worker", "reencrypt", "migrate"])
    def test_a_missing_one_is_one_sentence(self, run, command):
        assert sentence(run(command)) == "DATABASE_URL is not set."

    @pytest.mark.parametrize("command", ["web", "worker", "reencrypt"])
    @pytest.mark.parametrize("name", ["ADDON_PASSWORD", "ENCRYPTION_KEYS"])
    def test_the_first_missing_one_is_named(self, run, command, name):
        settings = settings_for("postgres://u:hunter2@127.0.0.1:1/d")
        del settings[name.lower()]
        assert sentence(run(command, **settings)) == f"{name} is not set."

    @pytest.mark.parametrize("command", ["web", "worker", "reencrypt"])
    def test_a_malformed_one_is_one_sentence(self, run, command):
        settings = settings_for("postgres://u:hunter2@h/d", addon_password="hunter2")
        assert sentence(run(command, **settings)).startswith("ADDON_PASSWORD: must have 8 to 72 characters")


class TestDatabase:
    @pytest.mark.parametrize("command", ["web", "worker", "reencrypt"])
    def test_one_that_does_not_answer_is_one_sentence(self, run, command):
        settings = settings_for("postgres://u:hunter2@127.0.0.1:1/d")
        line = sentence(run(command, **settings))
        assert line.startswith("the database is not available just now: connection failed:")
        assert "refused" in line

    def test_for_migrations_too(self, run):
        line = sentence(run("migrate", database_url="postgres://u:hunter2@127.0.0.1:1/d"))
        assert line.startswith("The database is not available: connection failed:")

    def test_a_wrong_password_is_named_as_such(self, run, database_url):
        wrong = f"postgres://postgres:hunter2@{database_url.partition('@')[2]}"
        assert "password authentication failed" in sentence(run("migrate", database_url=wrong))

    @pytest.mark.parametrize("command", ["web", "worker", "reencrypt"])
    def test_one_without_tables_is_told_to_migrate(self, run, database_url, command):
        with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("DROP TABLE encryption_canaries")
        line = sentence(run(command, **settings_for(database_url)))
        assert line == "The database has no tables yet. Run: python -m app migrate"

    @pytest.mark.parametrize("command", ["web", "worker", "reencrypt"])
    def test_a_wrong_key_stops_the_start(self, run, make_rig, database_url, command):
        asyncio.run(start_once(make_rig()))
        line = sentence(run(command, **settings_for(database_url, encryption_keys=NEW_KEY)))
        assert "not in ENCRYPTION_KEYS" in line

    @pytest.mark.parametrize("command", ["web", "worker"])
    def test_a_bad_manifest_stops_the_start(self, run, database_url, monkeypatch, tmp_path, command):
        path = tmp_path / "addon-manifest.json"
        path.write_text(json.dumps({"id": "Not A Slug", "api": {}}))
        monkeypatch.setattr(context, "MANIFEST", path)
        assert sentence(run(command, **settings_for(database_url))).startswith("addon-manifest.json, id: ")


class TestReencrypt:
    async def test_afterwards_the_old_key_may_go(self, key_rig: Rig, database_url, make_rig):
        body = provision_body()
        await key_rig.heroku.post("", json=body)
        before = await key_rig.config(body["uuid"])
        settings = environment(database_url, encryption_keys=f"{NEW_KEY},{ENCRYPTION_KEY}")
        words = [sys.executable, "-m", "app", "reencrypt"]
        result = subprocess.run(words, cwd=PROJECT, env=settings, capture_output=True, text=True, check=True)
        assert "Older keys may leave ENCRYPTION_KEYS now." in result.stdout
        async with make_rig(encryption_keys=NEW_KEY).running() as rig:
            assert await rig.config(body["uuid"]) == before


GOOD = {
    "id": "acme",
    "api": {
        "password": "hunter2hunter2",
        "sso_salt": "hunter2",
        "test": {"base_url": "http://127.0.0.1:1/heroku/resources", "sso_url": "http://127.0.0.1:1/sso/login"},
    },
}


class TestSimulate:
    @pytest.fixture
    def simulate(self, run, tmp_path):
        def simulate(content, *words: str) -> Result:
            path = tmp_path / "manifest.json"
            path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
            return run("simulate", "--port", "0", "--manifest", str(path), *words)

        return simulate

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b'{"id": "acme"\n "api": 1}', "is not JSON. Line 2, column 2: Expecting ',' delimiter."),
            (b"\xff", "is not JSON."),
            (b"[]", "it must be an object with an api in it."),
            ({"id": "acme"}, "it must be an object with an api in it."),
            ({"id": "acme", "api": {"password": "p", "sso_salt": "s"}}, "no http or https URL in api.test.base_url"),
            (
                GOOD | {"api": GOOD["api"] | {"test": {"base_url": "http://x"}}},
                "no http or https URL in api.test.sso_url",
            ),
            (
                GOOD | {"api": GOOD["api"] | {"test": {"base_url": "x", "sso_url": "y"}}},
                "no http or https URL in api.test.base_url",
            ),
            ({"api": GOOD["api"]}, "manifest.json: The manifest lacks id."),
            (GOOD | {"api": GOOD["api"] | {"sso_salt": ""}}, "The manifest lacks api.sso_salt."),
            (GOOD | {"api": GOOD["api"] | {"regions": "us"}}, "api.regions must be a list of names."),
        ],
    )
    def test_a_bad_manifest_is_one_sentence(self, simulate, content, words):
        assert words in sentence(simulate(content))

    def test_a_missing_file_is_one_sentence(self, run, tmp_path):
        line = sentence(run("simulate", "--manifest", str(tmp_path / "nothing.json")))
        assert line.endswith("nothing.json: No such file or directory.")

    def test_without_a_manifest_it_says_what_it_needs(self, run):
        result = run("simulate")
        assert result.exit_code == 2
        assert "--manifest" in result.stderr

    @pytest.mark.parametrize("plan", ["basic=much", "=5", "basic=-1"])
    def test_a_plan_that_cannot_be_read_is_refused(self, simulate, plan):
        result = simulate(GOOD, "--plan", plan)
        assert result.exit_code == 2
        assert "write it as basic=500" in result.stderr

    def test_a_damaged_state_file_is_one_sentence(self, simulate, tmp_path):
        state = tmp_path / "state.json"
        state.write_text("hunter2")
        assert "is not one the simulator wrote" in sentence(simulate(GOOD, "--state", str(state)))

    def test_a_state_file_that_another_simulator_keeps_is_left_to_it(self, simulate, tmp_path):
        state = tmp_path / "state.json"
        state.write_text("yesterday")
        with (tmp_path / ".state.json.lock").open("w") as others:
            fcntl.flock(others, fcntl.LOCK_EX)
            result = simulate(GOOD, "--state", str(state), "--reset")
        assert sentence(result) == f"Another simulator is at work with {state}. Stop it, or name another file."
        assert state.read_text() == "yesterday"

    def test_a_state_file_where_none_can_be_is_one_sentence(self, simulate, tmp_path):
        (tmp_path / "file").write_text("")
        state = tmp_path / "file" / "state.json"
        assert f"The state file {state} cannot be kept there" in sentence(simulate(GOOD, "--state", str(state)))

    def test_resetting_needs_something_to_reset(self, simulate):
        result = simulate(GOOD, "--reset")
        assert result.exit_code == 2
        assert "--state" in result.stderr

    def test_a_port_that_is_taken_is_one_sentence_and_touches_no_state(self, simulate, tmp_path):
        state = tmp_path / "state.json"
        state.write_text("yesterday")
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            result = simulate(GOOD, "--port", str(port), "--state", str(state), "--reset")
        assert sentence(result) == f"Port {port} cannot be had: Address already in use. Choose another."
        assert state.read_text() == "yesterday"

    def test_what_heroku_would_refuse_in_the_manifest_is_said_and_stops_nothing(self, run, tmp_path, monkeypatch):
        monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: None)
        manifest = tmp_path / "manifest.json"
        manifest.write_text(json.dumps(GOOD | {"api": GOOD["api"] | {"config_vars": ["OTHER_URL"]}}))
        result = run("simulate", "--port", "0", "--manifest", str(manifest), "--quiet")
        assert result.exit_code == 0, result.stderr
        assert "Heroku would not publish this manifest yet." in result.stderr
        assert "The config var OTHER_URL must be in capitals and begin with ACME_." in result.stderr
        assert "api.regions must be a list with us or * in it." in result.stderr
        assert "hunter2" not in result.stderr

    def test_it_says_how_to_use_it_and_resetting_forgets_yesterday(self, tmp_path):
        manifest, state = tmp_path / "manifest.json", tmp_path / "state.json"
        manifest.write_text(json.dumps(GOOD))
        state.write_text("yesterday")
        with subprocess.Popen(
            [*SIMULATE, "--reset", "--manifest", str(manifest), "--state", str(state)],
            cwd=PROJECT,
            env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            lines = []
            for line in process.stdout:
                lines.append(line.strip())
                if "startup complete" in line:
                    break
            said = dict(line.removeprefix("export ").split("=", 1) for line in lines if line.startswith("export "))
            assert f"Token endpoint   {said['HEROKU_HOST']}/oauth/token" in lines
            with urllib.request.urlopen(f"{said['HEROKU_HOST']}/simulator/env", timeout=10) as answer:
                assert answer.read().decode().splitlines() == [line for line in lines if line.startswith("export ")]
            process.terminate()
            process.stdout.read()
        assert f"Marketplace      {said['HEROKU_HOST']}/marketplace" in lines
        assert said["HEROKU_API_KEY"] in state.read_text()


class TestProcesses:
    """The two programs of production, started and told to stop as a platform does."""

    def start(self, command: str, database_url: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "app", command],
            cwd=PROJECT,
            env=environment(database_url, port="0") | {"PATH": os.environ["PATH"]} | more,
            stdout=subprocess.PIPE,
            text=True,
        )

    def test_web_runs_until_it_is_told_to_stop(self, database_url):
        with self.start("web", database_url) as process:
            lines = []
            for line in process.stdout:
                lines.append(json.loads(line))
                if "Uvicorn running" in lines[-1]["event"]:
                    process.terminate()
        assert process.returncode in {0, -signal.SIGTERM}
        assert all({"timestamp", "level", "event", "logger"} <= set(line) for line in lines)

    # The second ends a process that has no ear for it; the one that watches the others has, and they come from it.
    @pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGHUP])
    def test_of_several_that_share_the_port_one_that_dies_is_replaced_and_all_stop_together(self, database_url, by):
        def started(number: int) -> list[int]:
            """The ids of so many more that answer."""
            ids: list[int] = []
            for line in process.stdout:
                if found := re.search(r"Started server process \[(\d+)\]", line):
                    ids.append(int(found[1]))
                number -= "startup complete" in line
                if not number:
                    break
            return ids

        with self.start("web", database_url, WEB_CONCURRENCY="2") as process:
            first, second = started(2)
            os.kill(first, by)
            (third,) = started(1)
            assert len({process.pid, first, second, third}) == 4
            # They were forked: they are still called as the first was.
            called = Path(f"/proc/{process.pid}/cmdline")
            assert not called.exists() or called.read_bytes() == Path(f"/proc/{third}/cmdline").read_bytes()
            process.terminate()
            said = process.stdout.read()
        assert process.returncode == 0
        assert said.count("Application shutdown complete") == 2
        for gone in (second, third):
            with pytest.raises(ProcessLookupError):
                os.kill(gone, 0)

    def test_the_worker_runs_until_it_is_told_to_stop(self, database_url):
        with (
            self.start("worker", database_url) as process,
            psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection,
        ):
            # The database does the waiting: each look takes it a twentieth of a second.
            query = "SELECT (SELECT count(*) FROM procrastinate_workers) FROM pg_sleep(0.05)"
            while connection.execute(query).fetchone() == (0,):
                assert process.poll() is None
            process.terminate()
            assert process.wait(timeout=30) == 0
            assert connection.execute("SELECT count(*) FROM procrastinate_workers").fetchone() == (0,)

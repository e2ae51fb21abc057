"""`python -m app conform`: what somebody reads in a terminal or a CI log, and what a script learns from the status."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4
from xml.etree import ElementTree as ET

import pytest
from addon import CLIENT_SECRET, MANIFEST, PLANS
from typer.main import get_command
from typer.testing import CliRunner, Result

from app.__main__ import cli
from app.conformance.listing import listing
from app.conformance.options import Options
from app.conformance.reports import Format
from app.conformance.requirements import ALL, GROUPS

PROJECT = Path(__file__).parents[2]


@contextmanager
def running_addon(port: int, *words: str) -> Iterator[str]:
    """An add-on as a process of its own, which finds its Heroku on that port; the address of its partner API."""
    command = [sys.executable, str(Path(__file__).parent / "addon.py"), "--heroku-url", f"http://127.0.0.1:{port}"]
    with subprocess.Popen([*command, *words], stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.fixture(scope="module")
def port() -> int:
    """A port for Heroku that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.fixture(scope="module")
def addon(port) -> Iterator[str]:
    with running_addon(port) as url:
        yield url


@pytest.fixture
def words(addon, port, tmp_path, monkeypatch) -> list[str]:
    """The options that lead to the running add-on; reports and journals go to a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    for name in ("ADDON_PASSWORD", "ADDON_SSO_SALT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HEROKU_CLIENT_SECRET", CLIENT_SECRET)
    Path("m.json").write_text(json.dumps(MANIFEST))
    plans = [word for plan in PLANS for word in ("--plan", plan["name"])]
    sso_url = addon.replace("/heroku/resources", "/sso/login")
    return ["--manifest", "m.json", "--base-url", addon, "--sso-url", sso_url, "--port", str(port), *plans]


def conform(*words: str) -> Result:
    return CliRunner().invoke(cli, ["conform", *words])


def sentence(result: Result) -> str:
    """The one line that says why it could not run."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


class TestARun:
    def test_of_a_correct_add_on_ends_with_0_and_a_line_for_each_requirement(self, words):
        result = conform(*words, "--only", "authentication", "--only", "provision-works")
        assert result.exit_code == 0, result.output
        assert "  passed  MUST   wrong-password-is-refused" in result.stdout
        assert "acme-keys meets every requirement that was checked." in result.stdout
        assert not Path(".conformance").joinpath("acme-keys.json").exists()

    def test_of_a_faulty_add_on_ends_with_1_and_says_how_to_check_that_again(self, words, port, addon):
        with running_addon(port, "--fault", "auth-skipped") as faulty:
            result = conform(*[word.replace(addon, faulty) for word in words], "--only", "authentication")
        assert result.exit_code == 1, result.output
        assert "  failed  MUST   wrong-password-is-refused" in result.stdout
        assert "--only wrong-password-is-refused" in result.stdout
        assert MANIFEST["api"]["password"] not in result.output

    def test_writes_reports_in_the_formats_of_their_endings(self, words):
        outputs = [word for ending in ("json", "xml", "sarif", "md", "txt") for word in ("--output", f"r.{ending}")]
        result = conform(*words, "--only", "provision-works", *outputs)
        assert result.exit_code == 0, result.output
        assert json.loads(Path("r.json").read_bytes())["manifest"] == "m.json"
        assert ET.parse("r.xml").getroot().get("tests") == "1"
        assert json.loads(Path("r.sarif").read_bytes())["version"] == "2.1.0"
        assert Path("r.md").read_text().startswith("## ✅")
        assert "1 passed" in Path("r.txt").read_text()

    def test_prints_a_report_alone_when_it_is_asked_for_without_a_file(self, words):
        result = conform(*words, "--only", "provision-works", "--format", "json")
        assert json.loads(result.stdout)["passed"] is True
        assert "provision-works" in result.stderr

    def test_is_quiet_about_what_is_well(self, words):
        result = conform(*words, "--only", "authentication", "--quiet")
        assert "wrong-password" not in result.stdout
        assert "passed, 0 failed" in result.stdout

    def test_leaves_out_what_is_skipped_and_what_is_no_must(self, words):
        result = conform(*words, "--only", "provision*", "--skip", "provision-works", "--level", "must")
        assert "MUST   provision-again-gets-the-same-answer" in result.stdout
        assert "provision-works" not in result.stdout
        assert "SHOULD " not in result.stdout

    def test_learns_the_previous_password_from_the_environment_and_tells_nobody(self, words, monkeypatch):
        monkeypatch.setenv("ADDON_PASSWORD_PREVIOUS", "no-longer-valid-4711")
        result = conform(*words, "--only", "previous-password-and-salt-still-work")
        assert result.exit_code == 1
        assert "With the previous one: The answer was 401." in result.stdout
        assert "no-longer-valid-4711" not in result.output

    def test_that_is_interrupted_cleans_up_and_ends_with_130(self, words):
        command = [sys.executable, "-m", "app", "conform", *words, "--output", "r.json"]
        with subprocess.Popen(
            command, env={**os.environ, "PYTHONPATH": str(PROJECT)}, stdout=subprocess.PIPE, text=True
        ) as process:
            for line in process.stdout:
                if "passed " in line:
                    process.send_signal(signal.SIGINT)
                    break
            rest = process.stdout.read()
        assert process.returncode == 130
        assert "Stopping" in rest
        assert "The run was interrupted" in rest
        assert json.loads(Path("r.json").read_bytes())["complete"] is False
        assert not Path(".conformance/acme-keys.json").exists()

    def test_that_is_interrupted_twice_ends_though_the_add_on_hangs_and_says_what_is_left(self, words):
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(20)
            url = f"http://127.0.0.1:{server.getsockname()[1]}/heroku/resources"
            command = [sys.executable, "-m", "app", "conform", *words, "--base-url", url, "--only", "provision-works"]
            with subprocess.Popen(
                command, env={**os.environ, "PYTHONPATH": str(PROJECT)}, stdout=subprocess.PIPE, text=True
            ) as process:
                first, _ = server.accept()  # is anybody there?
                with first:
                    first.recv(10_000)
                    first.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                hanging, _ = server.accept()
                process.send_signal(signal.SIGINT)
                for line in process.stdout:
                    if "Stopping" in line:
                        break
                cleaning_up, _ = server.accept()
                process.send_signal(signal.SIGINT)
                rest = process.stdout.read()
                hanging.close()
                cleaning_up.close()
        assert process.returncode == 130
        assert "1 resource may be left. To remove them: ./run conform" in rest
        (uuid,) = json.loads(Path(".conformance/acme-keys.json").read_bytes())
        assert len(uuid) == 36


class TestWhatKeepsItFromRunning:
    def test_an_add_on_that_does_not_answer(self, words, addon):
        with socket.create_server(("127.0.0.1", 0)) as server:
            nobody = f"http://127.0.0.1:{server.getsockname()[1]}"
        line = sentence(conform(*words, "--base-url", f"{nobody}/heroku/resources", "--wait", "0"))
        assert line.startswith(f"The add-on does not answer at {nobody}/heroku/resources (ConnectError)")

    def test_a_port_that_is_taken(self, words, addon):
        taken = addon.split(":")[2].partition("/")[0]
        line = sentence(conform(*words, "--port", taken))
        assert line == f"Port {taken} cannot be had: Address already in use. Choose another."

    def test_a_simulator_on_the_port_which_has_a_page_for_it(self, words):
        simulate = [sys.executable, "-m", "app", "simulate", "--port", "0", *words[:6]]
        with subprocess.Popen(
            simulate,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            url = ""
            for line in process.stdout:
                if "Marketplace " in line:
                    url = line.split()[-1]
                if "startup complete" in line:
                    break
            said = sentence(conform(*words, "--port", url.rpartition(":")[2].partition("/")[0]))
            process.terminate()
            process.stdout.read()
        assert f"Check the add-on from its page, {url}/conformance" in said

    def test_an_unknown_requirement_and_what_was_meant(self, words):
        line = sentence(conform(*words, "--only", "provison-works"))
        assert line == "There is no requirement or group provison-works. Did you mean provision-works?"

    def test_nothing_left_to_check(self, words):
        assert sentence(conform(*words, "--only", "sso", "--skip", "*")) == "No requirement is left to check."

    def test_a_report_that_cannot_be_written(self, words):
        assert sentence(conform(*words, "--output", "no/r.json")) == "no/r.json: a report cannot be written there."
        assert "its ending tells no format" in sentence(conform(*words, "--output", "report"))

    def test_a_manifest_that_is_none(self, words):
        Path("m.json").write_text("{")
        assert sentence(conform(*words)).startswith("m.json is not JSON.")

    def test_a_journal_that_is_something_else(self, words):
        Path("notes.json").write_text('{"a": 1}')
        assert "notes.json is not a journal" in sentence(conform(*words, "--journal", "notes.json"))

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (["--level", "may"], "must or should"),
            (["--list", "--purge"], "three different things"),
            (["--list", "--format", "sarif"], "text, json and markdown"),
            ([], "--manifest"),
            (["--manifest", str(PROJECT / "addon-manifest.json"), "--port", "0", "--plan", "=5"], "basic=500"),
        ],
    )
    def test_words_that_make_no_sense(self, wrong, said):
        result = conform(*wrong)
        assert result.exit_code == 2
        assert said in " ".join(result.stderr.split())


class TestLeftovers:
    @pytest.fixture
    def left(self) -> str:
        uuid = str(uuid4())
        Path("j.json").write_text(json.dumps([uuid]))
        return uuid

    def test_are_listed_with_the_command_that_removes_them(self, words, left):
        result = conform(*words, "--journal", "j.json", "--leftovers")
        assert result.exit_code == 0
        assert result.stdout.splitlines()[0] == left
        assert "--journal j.json" in result.stdout
        assert result.stdout.rstrip().endswith("--purge")

    def test_are_removed(self, words, left):
        result = conform(*words, "--journal", "j.json", "--purge")
        assert (result.exit_code, result.stdout) == (0, f"{left}  removed\nNothing is left.\n")
        assert not Path("j.json").exists()

    def test_stay_in_the_journal_while_the_add_on_refuses(self, words, left, monkeypatch):
        monkeypatch.setenv("ADDON_PASSWORD", "another-password")
        result = conform(*words, "--journal", "j.json", "--purge")
        assert result.exit_code == 1
        assert result.stdout == f"{left}  not removed. The answer was 401.\n1 resource left.\n"
        assert json.loads(Path("j.json").read_bytes()) == [left]

    def test_of_an_earlier_run_are_mentioned_and_kept(self, words, left):
        result = conform(*words, "--journal", "j.json", "--only", "provision-works")
        assert result.exit_code == 0
        assert "An earlier run left 1 resource." in result.stdout
        assert json.loads(Path("j.json").read_bytes()) == [left]


class TestTheList:
    def test_needs_no_add_on(self):
        result = conform("--list", "--only", "authentication")
        assert result.exit_code == 0
        assert "  MUST   wrong-password-is-refused" in result.stdout
        assert "provision-works" not in result.stdout

    def test_as_json_has_every_requirement(self):
        listed = json.loads(conform("--list", "--format", "json").stdout)
        assert [one["id"] for one in listed] == [one.id for one in ALL]

    def test_in_the_documentation_is_true(self):
        page = PROJECT / "docs" / "conformance-requirements.md"
        assert page.read_text() == listing(ALL, Format.MARKDOWN), (
            "Write it anew: ./run conform --list --format markdown > docs/conformance-requirements.md"
        )


class TestTheGuide:
    @property
    def guide(self) -> str:
        return (PROJECT / "docs" / "conformance.md").read_text()

    def test_explains_every_group(self):
        assert [group for group in GROUPS if f"`{group}`" not in self.guide] == []

    def test_explains_every_option(self):
        names = {name for parameter in get_command(cli).commands["conform"].params for name in parameter.opts}
        assert [name for name in sorted(names) if f"`{name}" not in self.guide] == []


class TestTheCommandThatRepeats:
    def test_names_what_was_given_and_nothing_else(self):
        options = Options(Path("m.json"), port=5200, patience=5.0, plans=["a=1"], log_file=Path("a log"))
        assert options.repeat("sso-works") == (
            "./run conform --manifest m.json --port 5200 --patience 5 --log-file 'a log' --plan a=1 --only sso-works"
        )

    def test_tells_no_password(self):
        options = Options(Path("m.json"), base_url="http://me:hunter2@addon.test/x", restart_command="TOKEN=hunter2 up")
        assert "hunter2" not in options.repeat("sso-works")
        assert '--restart-command "$RESTART_COMMAND"' in options.repeat("sso-works")

    def test_a_slug_makes_no_path(self):
        assert Options(Path("m.json")).journal_path("../../etc/Passwd") == Path(".conformance/------etc-passwd.json")

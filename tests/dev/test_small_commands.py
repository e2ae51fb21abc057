import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from app.dev.check import Step, main, requirement_faults
from app.dev.console import DevConsole
from app.dev.psql import without_password

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("url", "address", "password"),
    [
        ("postgresql+psycopg://me:a%2Fb@db:5432/x", "postgresql://me@db:5432/x", "a/b"),
        ("postgres://me:secret@db/x?sslmode=require", "postgres://me@db/x?sslmode=require", "secret"),
        ("postgresql://me@db/x", "postgresql://me@db/x", None),
        ("postgresql:///x", "postgresql:///x", None),
    ],
)
def test_psql_gets_the_password_beside_its_words(url, address, password):
    assert without_password(url) == (address, password)


def test_psql_without_anything_running_says_what_to_do(tmp_path):
    environment = {"PYTHONPATH": str(PROJECT), "PATH": os.environ["PATH"]}
    script = "from app.dev import folder, psql; psql.running_environment = dict; psql.main([])"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"Nothing runs here: start ./run in another terminal first, or set DATABASE_URL." in done.stderr


def said_by_an_operators_command(tmp_path: Path, running: dict[str, str], *words: str, **environment: str):
    script = f"from app.dev import command; command.running_environment = lambda: {running}; command.main({words})"
    environment |= {"PYTHONPATH": str(PROJECT), "PATH": os.environ["PATH"]}
    return subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )


def test_an_operators_command_is_given_the_settings_of_what_runs(tmp_path):
    running = {"DATABASE_URL": "postgresql+psycopg://me@db/x", "PUBLIC_URL": "http://of-the-running-one"}
    said = said_by_an_operators_command(tmp_path, running, "overview")
    assert said.returncode == 1
    assert "PUBLIC_URL" not in said.stderr
    assert "ADDON_PASSWORD is not set." in said.stderr


def test_an_operators_command_leaves_a_database_that_was_named_alone(tmp_path):
    running = {"PUBLIC_URL": "http://of-the-running-one"}
    said = said_by_an_operators_command(tmp_path, running, "overview", DATABASE_URL="postgresql+psycopg://me@db/x")
    assert "PUBLIC_URL is not set." in said.stderr


def test_an_operators_command_without_anything_running_says_what_to_do_but_explains_itself(tmp_path):
    said = said_by_an_operators_command(tmp_path, {}, "overview")
    assert "Nothing runs here: start ./run in another terminal first, or set DATABASE_URL." in said.stderr
    helped = said_by_an_operators_command(tmp_path, {}, "overview", "--help")
    assert (helped.returncode, "Usage: python -m app overview" in helped.stdout) == (0, True)


def test_a_program_ends_when_its_parent_has_gone():
    script = """
import signal, threading
from app.dev.child import end_with_parent
threading.Thread(target=end_with_parent, daemon=True).start()
print("up", flush=True)
while True:
    signal.pause()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT
    ) as child:
        assert child.stdout.readline() == b"up\n"
        child.stdin.close()  # as the kernel does when a parent is killed
        assert child.wait(20) == -signal.SIGTERM


def test_the_log_of_a_pipe_is_plain_and_markup_means_nothing_in_it():
    out = io.StringIO()
    console = DevConsole(Console(file=out, highlight=False, width=40))
    console.line("web", "\x1b[31m[bold]GET /heroku/resources :smile:\x1b[0m " + "x" * 60)
    console.box("Up", [("Stop", "Ctrl-C")])
    assert out.getvalue().splitlines() == [
        "web       | [bold]GET /heroku/resources :smile: " + "x" * 60,
        "dev       | Up",
        "dev       |   Stop        Ctrl-C",
    ]
    assert not console.is_coloured


def test_the_log_of_a_terminal_has_names_in_colour_and_a_box():
    out = io.StringIO()
    console = DevConsole(Console(file=out, force_terminal=True, color_system="standard", no_color=False, width=60))
    console.line("web", "\x1b[31mred\x1b[0m")
    console.box("Up", [("Stop", "Ctrl-C")])
    assert "\x1b[1;36mweb" in out.getvalue()
    assert "\x1b[31mred" in out.getvalue()
    assert "╭" in out.getvalue()
    assert console.is_coloured


def test_a_closed_terminal_is_spoken_to_no_more():
    class Closed(io.StringIO):
        tries = 0

        def write(self, _text: str) -> int:
            self.tries += 1
            raise OSError(5, "Input/output error")

    out = Closed()
    console = DevConsole(Console(file=out))
    console.line("web", "one")
    console.line("web", "two")
    assert out.tries == 1


def test_check_runs_every_step_and_fails_if_one_does(capsys):
    steps = [Step("first", lambda: "line 3 is wrong"), Step("second", lambda: "")]
    assert main(steps) == 1
    said = capsys.readouterr().out
    assert "FAILED  first" in said
    assert "line 3 is wrong" in said
    assert "ok      second" in said
    assert said.endswith("Not in order: first.\n")


def test_check_is_content_when_every_step_is(capsys):
    assert main([Step("only", lambda: "")]) == 0
    assert capsys.readouterr().out.endswith("All in order.\n")


def test_lists_that_differ_from_what_is_asked_for_are_told_apart(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[project]\ndependencies = ["one>=2", "two[extra]>=1", "three"]\n[dependency-groups]\ndev = ["four"]\n'
    )
    (tmp_path / "requirements.txt").write_text("one==1.0 \\\n    --hash=sha256:0\ntwo==1.5\n")
    (tmp_path / "requirements-dev.txt").write_text("one==1.0\ntwo==1.6\nfour==1\n")
    assert requirement_faults(tmp_path).splitlines() == [
        "one>=2 is 1.0 in requirements.txt",
        "three is missing in requirements.txt",
        "two is 1.5 in requirements.txt and 1.6 in requirements-dev.txt",
        "`./run lock` writes both lists anew.",
    ]

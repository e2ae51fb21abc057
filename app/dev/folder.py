"""The folder `.dev`: what development keeps between starts. Removing it begins anew; git ignores it.

settings.json      secrets made up at the first start; any other setting of the app may be added by hand
environment.json   what the programs have in their environment, while they run
ports.json         the ports of the last start
simulator.json     the simulator's apps and add-ons
operator.json      the password of the operator who was made for this laptop
postgres/          the database server
lock               held by the programs that run, and so given back by the kernel however they end
"""

import base64
import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

PROJECT = Path(__file__).resolve().parents[2]
DEV_FOLDER = PROJECT / ".dev"

_KEPT_AT_RESET = {"lock", "build-lock"}  # removing a file that somebody locks would let a second one lock its successor


class DevError(Exception):
    """Development cannot start or go on; the message says why and what to do."""


@contextmanager
def claimed(
    folder: Path, *, patience_seconds: float = 15, sleep: Callable[[float], None] = time.sleep
) -> Iterator[int]:
    """Own `folder` until the end of the block; yields the lock's file descriptor, for children to hold on to as well.

    A parent that was killed leaves children behind that are about to stop; those are waited for.

    Raises:
        DevError: somebody else runs here, or the folder belongs to another user.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except PermissionError:
        raise DevError(f"{folder} belongs to another user of this machine: remove it, or copy the project.") from None
    try:
        for _ in range(int(patience_seconds / 0.1) + 1):
            if _try_lock(lock):
                break
            if _is_running(_owner(lock)):
                raise DevError(f"It already runs here, as process {_owner(lock)}. Stop that one first, with Ctrl-C.")
            sleep(0.1)
        else:
            raise DevError(f"Programs of an earlier start are still running: see `fuser {folder / 'lock'}`.")
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield lock
    finally:
        os.close(lock)


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(lock: int) -> int:
    return int(os.pread(lock, 20, 0) or 0)


def _is_running(pid: int) -> bool:
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def clear(folder: Path) -> None:
    """Remove everything in a claimed `folder`."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in _KEPT_AT_RESET:
            path.unlink()


def own_settings(folder: Path) -> dict[str, str]:
    """The settings that are made up here rather than agreed with Heroku; the same at every start.

    Raises:
        DevError: the file was edited into something that is not an object of texts.
    """
    path = folder / "settings.json"
    known = read_private(path)
    settings = _made_up() | known
    if settings != known:
        write_private(path, settings)
    return settings


def _made_up() -> dict[str, str]:
    return {
        "ADDON_PASSWORD": secrets.token_urlsafe(24),
        "ADDON_SSO_SALT": secrets.token_urlsafe(24),
        "HEROKU_CLIENT_SECRET": secrets.token_urlsafe(24),
        "ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "SECRET_KEYS": secrets.token_urlsafe(32),
    }


@contextmanager
def announced(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Let other commands find `environment` until the end of the block."""
    path = folder / "environment.json"
    write_private(path, environment)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def running_environment(folder: Path = DEV_FOLDER) -> dict[str, str]:
    """What the programs that run now have in their environment besides the machine's own; empty when none runs."""
    try:
        lock = os.open(folder / "lock", os.O_RDWR)
    except OSError:
        return {}
    try:
        return {} if _try_lock(lock) else read_private(folder / "environment.json")
    finally:
        os.close(lock)


def read_private(path: Path) -> dict[str, str]:
    """What `write_private` has written; empty if it never has.

    Raises:
        DevError: the file was edited into something that is not an object of texts.
    """
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        values = None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise DevError(f"{path} must hold one JSON object of texts: mend it, or remove it.")
    return values


def write_private(path: Path, values: Mapping[str, object]) -> None:
    """Write JSON that only the user can read, whole or not at all."""
    with NamedTemporaryFile("w", dir=path.parent, prefix=path.name, delete=False) as file:  # made with mode 0600
        json.dump(values, file, indent=2)
        file.write("\n")
    Path(file.name).replace(path)

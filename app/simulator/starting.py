"""A simulator started from a command line: the manifest's file, where the add-on is, plans, a port."""

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import StateUnreadable
from .simulator import Simulator

PriceList = Callable[[Mapping[str, Any]], Sequence[Mapping[str, Any]] | None]


class CannotStart(Exception):
    """Something the person who typed the command can mend; the message is one sentence."""


class PortTaken(CannotStart):
    """Somebody else listens there, or only others may."""


@dataclass(frozen=True)
class Started:
    """A simulator that nobody serves yet, and the port that is its own."""

    simulator: Simulator
    listener: socket.socket
    url: str
    manifest: Mapping[str, Any]
    addon_base_url: str
    addon_sso_url: str


@contextlib.contextmanager
def started(
    path: Path,
    environ: Mapping[str, str],
    *,
    port: int,
    base_url: str | None,
    sso_url: str | None,
    plans: PriceList,
    state_path: Path | None = None,
    is_new_world: bool = False,
) -> Iterator[Started]:
    """Read the manifest at `path`, take the port and make the simulator; CannotStart says what keeps it from that.

    `plans` returns what is for sale by that manifest, None for any plan name.
    """
    content = read_manifest(path, environ)
    addon_base_url = base_url or addon_url(content, path, "base_url")
    addon_sso_url = sso_url or addon_url(content, path, "sso_url")
    # Before the state is touched: another simulator may be at work with it.
    with listen(port) as listener, _alone_with(state_path):
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            simulator = Simulator(
                content,
                url,
                addon_base_url,
                addon_sso_url,
                client_secret(environ),
                plans=plans(content),
                state_path=state_path,
                is_new_world=is_new_world,
            )
        except StateUnreadable as error:
            raise CannotStart(str(error)) from None
        except ValueError as error:
            raise CannotStart(f"{path}: {error}") from None
        yield Started(simulator, listener, url, content, addon_base_url, addon_sso_url)


def read_manifest(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """Read the file; ADDON_PASSWORD and ADDON_SSO_SALT of the environment override its placeholders."""
    try:
        content: Any = json.loads(path.read_bytes())
    except OSError as error:
        raise CannotStart(f"{path}: {error.strerror}.") from None
    except json.JSONDecodeError as error:
        place = f"Line {error.lineno}, column {error.colno}"
        raise CannotStart(f"{path} is not JSON. {place}: {error.msg}.") from None
    except ValueError:
        raise CannotStart(f"{path} is not JSON.") from None
    if not isinstance(content, dict) or not isinstance(content.get("api"), dict):
        raise CannotStart(f"{path}: it must be an object with an api in it.")
    for name, variable in (("password", "ADDON_PASSWORD"), ("sso_salt", "ADDON_SSO_SALT")):
        if variable in environ:
            content["api"][name] = environ[variable]
    return content


def client_secret(environ: Mapping[str, str]) -> str:
    """Return what the token endpoint expects."""
    return environ.get("HEROKU_CLIENT_SECRET", "simulated-client-secret")


def addon_url(content: Mapping[str, Any], path: Path, name: str) -> str:
    """Return where the manifest says that the add-on is: `name` is base_url or sso_url."""
    targets = content["api"].get("test") or content["api"].get("production")
    url = targets.get(name) if isinstance(targets, dict) else None
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        option = f"--{name.replace('_', '-')}"
        raise CannotStart(f"{path}: there is no http or https URL in api.test.{name}; add it, or use {option}.")
    return url


def read_plan(text: str) -> dict[str, Any]:
    """Read a plan and its monthly price in cents, written as `basic=500`; ValueError when it is not."""
    name, _, cents = text.partition("=")
    if not name or (cents and not cents.isdecimal()):
        raise ValueError(f"{text}: write it as basic=500")
    return {"name": name, "human_name": name.capitalize(), "price_cents": int(cents or 0)}


@contextlib.contextmanager
def _alone_with(state_path: Path | None) -> Iterator[None]:
    """Keep a second simulator from the same state file: each would write over what the other has saved.

    The lock is on a file beside it, because every save replaces the file itself. It ends with this process.
    """
    if state_path is None:
        yield
        return
    try:
        state_path.parent.mkdir(parents=True, exist_ok=True)
        lock = state_path.with_name(f".{state_path.name}.lock").open("ab")
    except OSError as error:
        raise CannotStart(f"The state file {state_path} cannot be kept there: {error.strerror}.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(
                f"Another simulator is at work with {state_path}. Stop it, or name another file."
            ) from None
        yield


def listen(port: int) -> socket.socket:
    """Take a port of this machine; 0 takes a free one."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise PortTaken(f"Port {port} cannot be had: {os.strerror(error.errno or 0)}. Choose another.") from None

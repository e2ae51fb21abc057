"""Ports that stay the same from start to start: the simulator's world and bookmarks refer to them."""

import json
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from app.dev.folder import DevError, write_private


def choose_ports(folder: Path, wanted: Mapping[str, tuple[int | None, int]], say: Callable[[str], None]) -> list[int]:
    """A free port for each name of `wanted`, in its order: the one asked for, else the last start's, else the usual.

    Args:
        folder: where the choice is kept for the next start.
        wanted: name -> the port asked for, if any, and the usual one.
        say: told in a sentence when another port had to be taken.

    Raises:
        DevError: nothing is free.
    """
    path = folder / "ports.json"
    last = _read(path)
    chosen: dict[str, int] = {}
    for name, (asked, usual) in wanted.items():
        first = asked or last.get(name, usual)
        port = _next_free(first, set(chosen.values()))
        if port != first:
            say(f"Port {first} is taken, so the {name} listens on {port}.")
        chosen[name] = port
    write_private(path, chosen)
    return list(chosen.values())


def _next_free(first: int, ours: set[int]) -> int:
    for port in range(first, min(first + 100, 65536)):
        if port not in ours and is_free(port):
            return port
    raise DevError(f"No port from {first} on is free: choose others with --port and --simulator-port.")


def is_free(port: int) -> bool:
    """Whether we could listen on `port`, on this machine alone and on all its addresses."""
    return all(_binds(address, port) for address in ("127.0.0.1", "0.0.0.0"))  # nosec B104 # tried, never served


def _binds(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a closing connection is no bar
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def _read(path: Path) -> dict[str, int]:
    """What was kept; an unreadable file is no reason not to start."""
    try:
        values = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {name: port for name, port in values.items() if isinstance(port, int)} if isinstance(values, dict) else {}

"""What a simulator is started with on a command line: the manifest's file, where the add-on is, plans, a port."""

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class CannotStart(Exception):
    """Something the person who typed the command can mend; the message is one sentence."""


def read_manifest(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """Read the file; ADDON_PASSWORD and ADDON_SSO_SALT of the environment override its placeholders."""
    try:
        content: Any = json.loads(path.read_bytes())
    except OSError as error:
        raise CannotStart(f"{path}: {error.strerror}.") from None
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


def listen(port: int) -> socket.socket:
    """Take a port of this machine; 0 takes a free one."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise CannotStart(f"Port {port} cannot be had: {os.strerror(error.errno or 0)}. Choose another.") from None

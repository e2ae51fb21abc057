"""The manifests that were pushed: their history, what is refused, and what the latest changes at once.

https://devcenter.heroku.com/articles/add-on-manifest. A push puts the new password, SSO salt, config vars, regions and
requirements in force with the next call; where the add-on is reached stays as the simulator was told at its start.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from app.simulator.offer import read_offer
from app.simulator.world import World

from .records import ManifestVersion

_KEPT = 100
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_CONFIG_VAR = re.compile(r"[A-Z][0-9A-Z_]+")
_REQUIRES = frozenset({"log_input", "syslog_drain", "attachable", "many_per_app"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class ManifestRefused(Exception):
    """The manifest cannot be published; `reasons` are sentences for the one who pushed it."""

    def __init__(self, *reasons: str) -> None:
        super().__init__(" ".join(reasons))
        self.reasons = reasons


class EditConflict(Exception):
    """Somebody pushed another manifest since this one was pulled."""


def settle_manifest(world: World, given: Mapping[str, Any]) -> None:
    """Decide at the start which manifest is in force: the last one pushed, unless another was given meanwhile."""
    known, contents = world.portal, _without_base(given)
    digest = hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()
    if not known.manifests or known.given_digest != digest:
        known.given_digest = digest
        _keep(world, contents)
    else:
        _put_in_force(world, known.manifests[-1].contents)


def push_manifest(world: World, pushed: Any) -> ManifestVersion:
    """Publish a manifest. Raises ManifestRefused, or EditConflict when its `$base` is not the latest version."""
    if not isinstance(pushed, dict):
        raise ManifestRefused("The manifest must be a JSON object.")
    base, latest = pushed.get("$base"), world.portal.manifests[-1].number
    if base is not None and str(base) != str(latest):
        raise EditConflict(f"The manifest was pushed by somebody else since: its $base is {latest}. Pull it first.")
    contents = _without_base(pushed)
    reasons = refusals(contents, world.slug)
    if reasons:
        raise ManifestRefused(*reasons)
    version = _keep(world, contents)
    _put_in_force(world, contents)
    world.log(f"Manifest {version.number} was pushed.")
    return version


def with_base(version: ManifestVersion) -> dict[str, Any]:
    """Return the manifest as the portal hands it out."""
    return {**version.contents, "$base": version.number}


def refusals(manifest: Mapping[str, Any], slug: str) -> list[str]:
    """List what keeps a manifest from being published, in sentences."""
    reasons = []
    if manifest.get("id") != slug:
        reasons.append(f"The id of an add-on cannot change: it is {slug}.")
    if not _SLUG.fullmatch(slug):
        reasons.append("id must be lowercase letters and digits, with dashes between them.")
    if not _is_text(manifest.get("name")):
        reasons.append("name must be a text that is not empty.")
    api = manifest.get("api")
    if not isinstance(api, dict):
        return [*reasons, "api must be an object."]
    password = api.get("password")
    if not isinstance(password, str) or not 8 <= len(password) <= 72:
        reasons.append("api.password must have 8 to 72 characters.")
    if not _is_text(api.get("sso_salt")):
        reasons.append("api.sso_salt must be a text that is not empty.")
    if str(api.get("version", "3")) != "3":
        reasons.append('api.version must be "3".')
    return reasons + _list_refusals(api, slug) + _url_refusals(api)


def _list_refusals(api: Mapping[str, Any], slug: str) -> list[str]:
    prefix = api.get("config_vars_prefix") or slug.upper().replace("-", "_")
    config_vars, regions, requires = (api.get(name) or [] for name in ("config_vars", "regions", "requires"))
    reasons = []
    if not isinstance(prefix, str) or not _is_list_of_texts(config_vars):
        reasons.append("api.config_vars must be a list of names, api.config_vars_prefix a text.")
    else:
        reasons += [
            f"The config var {name} must be in capitals and begin with {prefix}_."
            for name in config_vars
            if not _CONFIG_VAR.fullmatch(name) or not name.startswith(f"{prefix}_")
        ]
    if not _is_list_of_texts(regions) or not {"us", "*"}.intersection(regions):
        reasons.append("api.regions must be a list with us or * in it.")
    if not _is_list_of_texts(requires) or not _REQUIRES.issuperset(requires):
        reasons.append(f"api.requires may name {', '.join(sorted(_REQUIRES))}.")
    return reasons


def _url_refusals(api: Mapping[str, Any]) -> list[str]:
    production = api.get("production")
    if not isinstance(production, dict):
        return ["api.production must be an object with a base_url and an sso_url."]
    return [
        f"api.production.{name} must be an https URL."
        for name in ("base_url", "sso_url")
        if not _is_safe_url(production.get(name))
    ]


def _is_safe_url(value: Any) -> bool:
    try:
        url = urlsplit(value if isinstance(value, str) else "")
        host = url.hostname
    except ValueError:
        return False
    return bool(host) and (url.scheme == "https" or (url.scheme == "http" and host in _LOOPBACK))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _without_base(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in manifest.items() if name != "$base"}


def _keep(world: World, contents: dict[str, Any]) -> ManifestVersion:
    kept = world.portal.manifests
    version = ManifestVersion(str(uuid4()), kept[-1].number + 1 if kept else 1, contents, world.now())
    kept.append(version)
    del kept[:-_KEPT]
    world.changed()
    return version


def _put_in_force(world: World, contents: Mapping[str, Any]) -> None:
    """Replace what is for sale; the price list and the client secret are no part of a manifest."""
    fresh = read_offer(contents, client_secret=world.offer.client_secret)
    world.offer = replace(fresh, plans=world.offer.plans)
    world.changed()

"""addon-manifest.json: what Heroku refuses in it, and what would hurt customers later."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from app.conformance.bench import Bench
from app.conformance.requirement import Unmet, must, should
from app.conformance.target import is_loopback
from app.simulator.offer import provider_region

from .docs import MANIFEST, SHARING

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_CONFIG_VAR = re.compile(r"[A-Z][0-9A-Z_]+")
_REQUIRES = frozenset({"log_input", "syslog_drain", "attachable", "many_per_app"})


def _api(bench: Bench) -> Mapping[str, Any]:
    api: Mapping[str, Any] = bench.manifest["api"]
    return api


@must("manifest", MANIFEST)
async def manifest_id_is_a_slug(bench: Bench) -> None:
    """The manifest's id is lowercase letters and digits with dashes between them; it can never be changed."""
    if not _SLUG.fullmatch(bench.offer.slug):
        raise Unmet("id is lowercase letters and digits, with dashes between them.", "The manifest's id is not.")


@must("manifest", MANIFEST)
async def manifest_names_the_add_on(bench: Bench) -> None:
    """The manifest has a name, which is what customers read."""
    name = bench.manifest.get("name")
    if not isinstance(name, str) or not name.strip():
        raise Unmet("name is a text that is not empty.", "The manifest has no name.")


@must("manifest", MANIFEST)
async def manifest_asks_for_version_3(bench: Bench) -> None:
    """The manifest's api.version is "3", or left out, which means the same."""
    if str(_api(bench).get("version", "3")) != "3":
        raise Unmet('api.version is "3".', "The manifest asks for another version of the partner API.")


@must("manifest", MANIFEST)
async def manifest_urls_are_https(bench: Bench) -> None:
    """Both URLs under api.production are https and can be reached: passwords and customers' logins travel there."""
    production = _api(bench).get("production")
    for name in ("base_url", "sso_url"):
        url = production.get(name) if isinstance(production, Mapping) else None
        fault = _fault_of(url, may_have_query=name == "sso_url")
        if fault is not None:
            raise Unmet(f"api.production.{name} is an https URL that Heroku can call.", f"It {fault}.")


def _fault_of(url: Any, *, may_have_query: bool) -> str | None:
    """Say what is wrong with a URL, as the end of a sentence; None when nothing is."""
    if not isinstance(url, str) or not url:
        return "is missing"
    try:
        parts = urlsplit(url)
    except ValueError:
        return "is not a URL"
    faults = {
        "is not an https URL": parts.scheme != "https" or not parts.hostname,
        "leads to the developer's own machine": is_loopback(parts.hostname),
        "has a user or a password in it, which Heroku does not send": "@" in parts.netloc,
        "has a fragment": parts.fragment,
        "has a query, and Heroku appends paths to it": parts.query and not may_have_query,
    }
    return next((fault for fault, is_so in faults.items() if is_so), None)


@must("manifest", MANIFEST)
async def manifest_config_vars_are_well_named(bench: Bench) -> None:
    """Config vars are in capitals and begin with the add-on's prefix: without it they clash with the customer's own."""
    offer = bench.offer
    wrong = [
        name
        for name in offer.config_vars
        if not _CONFIG_VAR.fullmatch(name) or not name.startswith(f"{offer.prefix}_") or name == f"{offer.prefix}_"
    ]
    if wrong:
        raise Unmet(
            f"Every config var is in capitals and begins with {offer.prefix}_.",
            f"The manifest declares {', '.join(wrong)}.",
        )


@must("manifest", MANIFEST)
async def manifest_sells_in_the_common_runtime(bench: Bench) -> None:
    """The manifest's regions are a list with us, where most apps are, or * for all."""
    if not {"us", "*"}.intersection(_api(bench).get("regions") or ()):
        raise Unmet("api.regions has us or * in it.", "The manifest's regions have neither.")


@should("manifest", MANIFEST)
async def manifest_regions_are_herokus(bench: Bench) -> None:
    """Every region of the manifest is one that Heroku has; a mistyped one sells nowhere."""
    unknown = [name for name in bench.offer.regions if name != "*" and provider_region(name) == name]
    if unknown:
        raise Unmet("api.regions names Heroku's regions.", f"The manifest names {', '.join(unknown)}.")


@should("manifest", SHARING)
async def manifest_requires_what_heroku_offers(bench: Bench) -> None:
    """Every entry of the manifest's requires is one that Heroku knows; a mistyped one has no effect."""
    unknown = sorted(bench.offer.requires - _REQUIRES)
    if unknown:
        raise Unmet(
            f"api.requires may have {', '.join(sorted(_REQUIRES))}.", f"The manifest requires {', '.join(unknown)}."
        )


REQUIREMENTS = [
    manifest_id_is_a_slug,
    manifest_names_the_add_on,
    manifest_asks_for_version_3,
    manifest_urls_are_https,
    manifest_config_vars_are_well_named,
    manifest_sells_in_the_common_runtime,
    manifest_regions_are_herokus,
    manifest_requires_what_heroku_offers,
]

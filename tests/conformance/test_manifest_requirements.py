"""What the checker finds in a manifest, before anything is asked of the add-on."""

import pytest
from addon import MANIFEST
from checking import check

from app.conformance.requirements import GROUPS

PRODUCTION = MANIFEST["api"]["production"]


async def unmet(**changes):
    """Check a manifest with those keys of its `api` replaced, or of itself; return what failed, and why."""
    itself = {name: changes.pop(name) for name in ("id", "name") if name in changes}
    manifest = {**MANIFEST, **itself, "api": {**MANIFEST["api"], **changes}}
    results = await check(GROUPS["manifest"], manifest=manifest)
    return {one.requirement.id: one.reason for one in results if one.outcome == "failed"}


async def test_a_good_manifest_meets_every_requirement():
    assert await unmet() == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"regions": ["*"]},
        {"regions": ["us", "eu", "frankfurt", "tokyo"]},
        {"version": 3},
        {"requires": []},
        {"requires": ["log_input", "syslog_drain", "attachable", "many_per_app"]},
        {"config_vars_prefix": "KEYS", "config_vars": ["KEYS_URL", "KEYS_2ND_URL"]},
        {"config_vars": []},
        {"production": PRODUCTION | {"sso_url": "https://addon.test/sso?from=heroku"}},
    ],
)
async def test_what_heroku_allows_is_allowed(changes):
    assert await unmet(**changes) == {}


@pytest.mark.parametrize(
    ("changes", "requirement"),
    [
        ({"id": "Acme_Keys", "config_vars_prefix": "ACME_KEYS"}, "manifest-id-is-a-slug"),
        ({"id": "acme--keys"}, "manifest-id-is-a-slug"),
        ({"name": " "}, "manifest-names-the-add-on"),
        ({"name": None}, "manifest-names-the-add-on"),
        ({"version": "1"}, "manifest-asks-for-version-3"),
        ({"production": None}, "manifest-urls-are-https"),
        ({"production": {"base_url": PRODUCTION["base_url"]}}, "manifest-urls-are-https"),
        ({"regions": ["eu"]}, "manifest-sells-in-the-common-runtime"),
        ({"regions": []}, "manifest-sells-in-the-common-runtime"),
        ({"regions": ["us", "atlantis"]}, "manifest-regions-are-herokus"),
        ({"requires": ["many-per-app"]}, "manifest-requires-what-heroku-offers"),
        ({"config_vars": ["URL"]}, "manifest-config-vars-are-well-named"),
        ({"config_vars": ["ACME_KEYS_"]}, "manifest-config-vars-are-well-named"),
        ({"config_vars": ["ACME_KEYS_url"]}, "manifest-config-vars-are-well-named"),
        ({"config_vars": ["ACME_KEYSTORE"]}, "manifest-config-vars-are-well-named"),
    ],
)
async def test_what_heroku_refuses_is_found(changes, requirement):
    assert list(await unmet(**changes)) == [requirement]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://addon.example.com/heroku/resources", "It is not an https URL."),
        ("https:///heroku/resources", "It is not an https URL."),
        ("addon.example.com", "It is not an https URL."),
        ("https://[::1/heroku", "It is not a URL."),
        ("https://127.0.0.1/heroku/resources", "It leads to the developer's own machine."),
        (
            "https://somebody:secret@addon.example.com/",
            "It has a user or a password in it, which Heroku does not send.",
        ),
        ("https://addon.example.com/heroku?v=3", "It has a query, and Heroku appends paths to it."),
        ("https://addon.example.com/heroku#top", "It has a fragment."),
    ],
)
async def test_a_base_url_that_heroku_cannot_call_is_found(url, reason):
    found = await unmet(production=PRODUCTION | {"base_url": url})
    assert found == {"manifest-urls-are-https": reason}

"""Faults that are in the manifest alone."""

from addon_fault import Fault, in_manifest

_WITHOUT_TLS = {"base_url": "http://addon.test/heroku/resources", "sso_url": "http://addon.test/sso/login"}

FAULTS = [
    in_manifest("id-in-capitals", "The id is no slug", id="Acme_Keys"),
    in_manifest("no-name", "The name is empty", name=""),
    in_manifest("old-version", "Another version of the partner API is asked for", version="1"),
    in_manifest("http-in-production", "The production URLs are not https", production=_WITHOUT_TLS),
    in_manifest("config-var-without-prefix", "A config var lacks the prefix", config_vars=["URL"]),
    in_manifest("nowhere-near-most-apps", "The region of most apps is missing", regions=["eu"]),
    in_manifest("mistyped-region", "A region is none of Heroku's", regions=["us", "atlantis"]),
    in_manifest("mistyped-requires", "Something is required that Heroku does not have", requires=["many-per-app"]),
    in_manifest("short-password", "The password has seven characters", "secrets", password="seven-7"),
    Fault(
        "guessable-password",
        "The password is a placeholder",
        frozenset({"manifest", "secrets"}),
        {"password": "password"},
    ),
    in_manifest(
        "one-secret-for-both", "Password and salt are the same", "secrets", password="a-salt-of-the-tests-0815"
    ),
]

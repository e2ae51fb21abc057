"""All requirements, in the order in which they are checked: a module for each group."""

from app.conformance.requirement import Requirement

from . import authentication, config, manifest, provision, provision_requests, robustness, sso, sso_sessions

GROUPS: dict[str, list[Requirement]] = {
    "manifest": manifest.REQUIREMENTS,
    "authentication": authentication.REQUIREMENTS,
    "provision": [*provision.REQUIREMENTS, *provision_requests.REQUIREMENTS],
    "sso": [*sso.REQUIREMENTS, *sso_sessions.REQUIREMENTS],
    "config": config.REQUIREMENTS,
    "robustness": robustness.REQUIREMENTS,
}
ALL: list[Requirement] = [requirement for group in GROUPS.values() for requirement in group]

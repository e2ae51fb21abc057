"""All requirements, in the order in which they are checked: a module for each group."""

from app.conformance.requirement import Requirement

from . import (
    asynchronous_provisioning,
    authentication,
    config,
    deprovision,
    drains,
    kept_secrets,
    manifest,
    oauth,
    plan_change,
    provision,
    provision_requests,
    races,
    robustness,
    secrets_in_logs,
    sso,
    sso_sessions,
    webhooks,
)

GROUPS: dict[str, list[Requirement]] = {
    "manifest": manifest.REQUIREMENTS,
    "authentication": authentication.REQUIREMENTS,
    "provision": [*provision.REQUIREMENTS, *provision_requests.REQUIREMENTS],
    "asynchronous-provisioning": asynchronous_provisioning.REQUIREMENTS,
    "plan-change": plan_change.REQUIREMENTS,
    "deprovision": deprovision.REQUIREMENTS,
    "sso": [*sso.REQUIREMENTS, *sso_sessions.REQUIREMENTS],
    "oauth": oauth.REQUIREMENTS,
    "config": config.REQUIREMENTS,
    "webhooks": webhooks.REQUIREMENTS,
    "drains": drains.REQUIREMENTS,
    "robustness": robustness.REQUIREMENTS,
    "races": races.REQUIREMENTS,
    "secrets": [*kept_secrets.REQUIREMENTS, *secrets_in_logs.REQUIREMENTS],
}
ALL: list[Requirement] = [requirement for group in GROUPS.values() for requirement in group]

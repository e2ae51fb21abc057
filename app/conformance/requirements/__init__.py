"""All requirements, in the order in which they are checked: a module for each group."""

from app.conformance.requirement import Requirement

from . import authentication, config, provision, robustness

GROUPS: dict[str, list[Requirement]] = {
    "authentication": authentication.REQUIREMENTS,
    "provision": provision.REQUIREMENTS,
    "config": config.REQUIREMENTS,
    "robustness": robustness.REQUIREMENTS,
}
ALL: list[Requirement] = [requirement for group in GROUPS.values() for requirement in group]

"""What is for sale: the facts of one add-on's manifest and, when given, its price list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# https://devcenter.heroku.com/articles/add-on-manifest names regions as on the left; a provision request carries the
# right. Unknown names pass through unchanged: regions are opaque to an add-on.
_PROVIDER_REGIONS = {
    "us": "us-east-1",
    "eu": "eu-west-1",
    "virginia": "us-east-1",
    "dublin": "eu-west-1",
    "frankfurt": "eu-central-1",
    "oregon": "us-west-2",
    "tokyo": "ap-northeast-1",
    "sydney": "ap-southeast-2",
    "singapore": "ap-southeast-1",
    "london": "eu-west-2",
    "montreal": "ca-central-1",
    "mumbai": "ap-south-1",
}


@dataclass(frozen=True)
class Plan:
    """One line of the price list; `price_cents` is US cents per month."""

    name: str
    human_name: str
    price_cents: int

    @property
    def price(self) -> str:
        return price_text(self.price_cents)


def price_text(cents: int) -> str:
    """Say a price per month in US dollars."""
    if cents == 0:
        return "Free"
    dollars, rest = divmod(cents, 100)
    return f"${dollars:,}.{rest:02}/month" if rest else f"${dollars:,}/month"


@dataclass(frozen=True)
class Offer:
    """The manifest as the simulator needs it, and the OAuth client secret that goes with it.

    `plans` is empty when any plan name may be asked for.
    """

    slug: str
    name: str
    password: str = field(repr=False)
    sso_salt: str = field(repr=False)
    client_secret: str = field(repr=False)
    config_vars: tuple[str, ...]
    prefix: str
    regions: tuple[str, ...]
    requires: frozenset[str]
    plans: tuple[Plan, ...]

    @property
    def app_regions(self) -> tuple[str, ...]:
        """The regions an app may be in for this add-on; a wildcard stands for the two every customer knows."""
        return ("us", "eu") if "*" in self.regions else self.regions

    def plan(self, name: str) -> Plan | None:
        """Find a plan by `basic` or `acme-postgres:basic`; without a price list every name is a plan.

        The service's name alone stands for its default plan.
        """
        service, _, bare = name.rpartition(":")
        if not bare or service not in {"", self.slug}:
            return None
        found = next((plan for plan in self.plans if plan.name == bare), None)
        if found is None and name == self.slug:
            return self.default_plan
        return found if self.plans else Plan(bare, bare, 0)

    @property
    def default_plan(self) -> Plan | None:
        """Return the plan of a customer who names none: the first of the price list."""
        return self.plans[0] if self.plans else None

    def config_name(self, attachment_name: str, config_var: str) -> str:
        """Return the name an app sees: the add-on's prefix makes way for the attachment's name."""
        suffix = self.suffix(config_var)
        return config_var if suffix is None else f"{attachment_name}_{suffix}"

    def suffix(self, config_var: str) -> str | None:
        """Return what follows the prefix in a config var's name, None when it does not carry the prefix."""
        start = f"{self.prefix}_"
        return config_var.removeprefix(start) if config_var.startswith(start) else None


def provider_region(region: str) -> str:
    return f"amazon-web-services::{_PROVIDER_REGIONS[region]}" if region in _PROVIDER_REGIONS else region


def read_offer(
    manifest: Mapping[str, Any], *, client_secret: str, plans: Sequence[Mapping[str, Any]] | None = None
) -> Offer:
    """Take what is needed from a parsed `addon-manifest.json`; ValueError names what is missing or misshapen.

    `plans` is a list of `{"name": "basic", "human_name": "Basic", "price_cents": 500}`; only `name` is required.
    """
    api = manifest.get("api")
    if not isinstance(api, Mapping):
        raise ValueError("The manifest lacks api.")  # noqa: TRY004 - all that is wrong with a manifest is a ValueError
    texts = {"id": manifest.get("id"), "api.password": api.get("password"), "api.sso_salt": api.get("sso_salt")}
    for name, text in texts.items():
        if not isinstance(text, str) or not text:
            raise ValueError(f"The manifest lacks {name}.")
    slug, password, sso_salt = (str(text) for text in texts.values())
    return Offer(
        slug=slug,
        name=str(manifest.get("name") or slug),
        password=password,
        sso_salt=sso_salt,
        client_secret=client_secret,
        config_vars=_names(api, "config_vars"),
        prefix=str(api.get("config_vars_prefix") or slug.upper().replace("-", "_")),
        regions=_names(api, "regions") or ("us",),
        requires=frozenset(_names(api, "requires")),
        plans=tuple(
            Plan(str(plan["name"]), str(plan.get("human_name") or plan["name"]), int(plan.get("price_cents", 0)))
            for plan in plans or ()
        ),
    )


def _names(api: Mapping[str, Any], field_name: str) -> tuple[str, ...]:
    names = api.get(field_name) or []
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"The manifest's api.{field_name} must be a list of names.")
    return tuple(names)

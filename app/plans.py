"""What you sell: each plan's name as Heroku knows it, the driver that makes it, and its terms.

This file is yours to edit. Plans and their prices are set up in Heroku's partner portal; the names here must match. A
plan's name never changes, and a plan that customers still have is never removed from here: withdraw it with
`is_withdrawn=True`, then nobody new can have it and everybody who has it keeps it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from app.drivers.base import Driver
from app.drivers.postgres import Postgres, PostgresServer
from app.settings import Settings

# The previous credentials outlive a rotation by hours, sometimes by a day.
SHORTEST_SCHEDULE = timedelta(days=1)
MEGABYTE = 1024**2
GIGABYTE = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One line of the price list.

    Attributes:
        name: the plan's slug: `basic`, not `acme-postgres:basic`.
        driver: makes it, on this plan's terms.
        price_cents: a month, in US cents; what customers are shown. Heroku bills what the partner portal says.
        is_instant: provision within Heroku's request. Only for drivers that take well under two seconds; one that is
            slower on a bad day is finished in the background.
        is_withdrawn: no new installs.
        rotate_every: credentials that are so old are replaced by themselves, at least a day; None leaves that to
            customers and operators. Each rotation restarts the customer's apps.
    """

    name: str
    driver: Driver
    price_cents: int = 0
    is_instant: bool = False
    is_withdrawn: bool = False
    rotate_every: timedelta | None = None

    def __post_init__(self) -> None:
        if self.rotate_every is not None and self.rotate_every < SHORTEST_SCHEDULE:
            raise ValueError(f"plan {self.name}: rotate_every is shorter than a day")


def plans(settings: Settings) -> Mapping[str, Plan]:
    """The price list, by plan name."""
    server = PostgresServer(
        (settings.postgres_driver_admin_url or settings.database_url).get_secret_value(),
        public_host=settings.postgres_driver_public_host,
    )

    def postgres(*, connections: int, statement_timeout: timedelta, storage_bytes: int) -> Postgres:
        return Postgres(
            server,
            config_var="ACME_POSTGRES_URL",
            connections=connections,
            statement_timeout=statement_timeout,
            storage_bytes=storage_bytes,
        )

    return by_name(
        Plan(
            name="test",
            driver=postgres(connections=5, statement_timeout=timedelta(seconds=30), storage_bytes=64 * MEGABYTE),
            is_instant=True,
        ),
        Plan(
            name="standard",
            price_cents=5_000,
            driver=postgres(connections=20, statement_timeout=timedelta(minutes=5), storage_bytes=1 * GIGABYTE),
        ),
        Plan(
            name="premium",
            price_cents=20_000,
            driver=postgres(connections=60, statement_timeout=timedelta(minutes=30), storage_bytes=10 * GIGABYTE),
        ),
    )


def by_name(*all_plans: Plan) -> Mapping[str, Plan]:
    """The plans as a table."""
    return {plan.name: plan for plan in all_plans}

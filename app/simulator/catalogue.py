"""What Heroku has by itself, whoever asks: regions, stacks and dyno sizes.

https://devcenter.heroku.com/articles/regions, https://devcenter.heroku.com/articles/stack and
https://devcenter.heroku.com/articles/dyno-types.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Region:
    """`provider_region` is Amazon's name; only apps in a private space may be in a region that is not `is_common`."""

    name: str
    country: str
    locale: str
    provider_region: str
    is_common: bool = False

    @property
    def description(self) -> str:
        return f"{self.locale}, {self.country}" if not self.is_common else self.country


@dataclass(frozen=True)
class DynoSize:
    """`memory` is GB, `price_cents` US cents per month, `units` what Heroku Enterprise counts."""

    name: str
    price_cents: int
    memory: float
    compute: int
    units: float
    is_dedicated: bool = False
    most_dynos: int = 100


REGIONS = (
    Region("us", "United States", "Virginia", "us-east-1", is_common=True),
    Region("eu", "Europe", "Ireland", "eu-west-1", is_common=True),
    Region("dublin", "Ireland", "Dublin", "eu-west-1"),
    Region("frankfurt", "Germany", "Frankfurt", "eu-central-1"),
    Region("london", "United Kingdom", "London", "eu-west-2"),
    Region("montreal", "Canada", "Montreal", "ca-central-1"),
    Region("mumbai", "India", "Mumbai", "ap-south-1"),
    Region("oregon", "United States", "Oregon", "us-west-2"),
    Region("singapore", "Singapore", "Singapore", "ap-southeast-1"),
    Region("sydney", "Australia", "Sydney", "ap-southeast-2"),
    Region("tokyo", "Japan", "Tokyo", "ap-northeast-1"),
    Region("virginia", "United States", "Virginia", "us-east-1"),
)

# The default first.
STACKS = ("heroku-24", "heroku-22")

DYNO_SIZES = (
    DynoSize("Eco", 500, 0.5, 1, 0.28, most_dynos=1),
    DynoSize("Basic", 700, 0.5, 1, 0.28, most_dynos=1),
    DynoSize("Standard-1X", 2500, 0.5, 1, 1),
    DynoSize("Standard-2X", 5000, 1, 2, 2),
    DynoSize("Performance-M", 25000, 2.5, 2, 8, is_dedicated=True),
    DynoSize("Performance-L", 50000, 14, 8, 16, is_dedicated=True),
    DynoSize("Performance-L-RAM", 50000, 30, 4, 16, is_dedicated=True),
    DynoSize("Performance-XL", 75000, 62, 8, 24, is_dedicated=True),
    DynoSize("Performance-2XL", 150000, 126, 16, 48, is_dedicated=True),
)


def dyno_size(name: str) -> DynoSize | None:
    """Find a size as people write it, `standard-1x` too."""
    return next((size for size in DYNO_SIZES if size.name.lower() == name.lower()), None)

"""How often one account may ask the platform API."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .errors import HerokuError

# https://devcenter.heroku.com/articles/platform-api-reference#rate-limits
_MOST_CALLS = 4500
_CALLS_PER_SECOND = 75 / 60


@dataclass
class RateLimit:
    """A bucket of calls for each caller, refilled by the simulator's clock."""

    most_calls: int = _MOST_CALLS
    _buckets: dict[str, tuple[float, datetime]] = field(default_factory=dict)

    def spend(self, who: str, now: datetime) -> int:
        """Take one call from the bucket and return how many are left; raises 429 when it is empty."""
        left = self._left(who, now)
        if left < 1:
            refusal = HerokuError(
                429, "rate_limit", "Your account reached the API rate limit. Please wait a few minutes."
            )
            refusal.headers["RateLimit-Remaining"] = "0"
            raise refusal
        self._buckets[who] = (left - 1, now)
        return int(left - 1)

    def left(self, who: str, now: datetime) -> int:
        return int(self._left(who, now))

    def _left(self, who: str, now: datetime) -> float:
        left, at = self._buckets.get(who, (float(self.most_calls), now))
        refill = max(now - at, timedelta()).total_seconds() * _CALLS_PER_SECOND
        return min(self.most_calls, left + refill)

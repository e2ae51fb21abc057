"""What this process counts: how often something was done, how it ended, and how long it took.

Counts grow in memory; `operations/metrics.py` adds them to those of all other processes. Every label has few values:
routes and paths are templates, plans are those of the price list. No uuid, name or address is ever a label.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

# The bounds of a metric never change under its name: what was counted with the old ones is in the same rows. Heroku's
# patience (2 and 3 seconds, 12 hours) is among them, so that the share of what was too late is told exactly.
_REQUEST: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5)
_JOB: Final = (0.05, 0.25, 1, 5, 15, 60, 300, 1800)
_HEROKU: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
_DRIVER: Final = (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 15, 60, 300)
_PROVISIONING: Final = (0.5, 1, 2, 5, 15, 60, 300, 1800, 7200, 43200)
_TOKEN_AGE: Final = (600, 3600, 14400, 28800, 86400, 604800, 2592000)


@dataclass(frozen=True, slots=True)
class Count:
    """By how much one line of `/metrics` has grown."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float


class Metrics:
    """The counts of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._taken: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self.requests = self._histogram(
            "addon_http_request_duration_seconds",
            "Requests to this program, by route and class of status.",
            ["method", "route", "status"],
            _REQUEST,
        )
        self.jobs = self._histogram(
            "addon_job_duration_seconds",
            "Runs of jobs and of periodic work, by how they ended: done, gone, retry, failed or given_up.",
            ["job", "outcome"],
            _JOB,
        )
        self.heroku_calls = self._histogram(
            "addon_heroku_call_duration_seconds",
            "Calls to Heroku, by path and status; the status is none where no answer came.",
            ["method", "path", "status"],
            _HEROKU,
        )
        self.driver_calls = self._histogram(
            "addon_driver_call_duration_seconds",
            "Calls of drivers, by how they ended: done, refused, retry, gone, failed or cut_off.",
            ["plan", "call", "outcome"],
            _DRIVER,
        )
        self.provisionings = Counter(
            "addon_provisionings",
            "Resources that became provisioned, or were given_up before.",
            ["plan", "outcome"],
            registry=self._registry,
        )
        self.provisioning_time = self._histogram(
            "addon_provisioning_duration_seconds",
            "From Heroku's request until the resource was provisioned.",
            ["plan"],
            _PROVISIONING,
        )
        self.token_ages = self._histogram(
            "addon_token_age_seconds",
            "How old access tokens were when they were refreshed.",
            [],
            _TOKEN_AGE,
        )
        self.exchanges_dropped = Counter(
            "addon_exchanges_dropped",
            "Exchanges with Heroku that are not in the record, because too many waited to be written.",
            registry=self._registry,
        )

    def _histogram(self, name: str, says: str, labels: Sequence[str], bounds: Sequence[float]) -> Histogram:
        return Histogram(name, says, labels, buckets=bounds, registry=self._registry)

    def expect(self, *, plans: Iterable[str], jobs: Iterable[str]) -> None:
        """What may happen seldom, and should be heard of even once: how provisions end, and that a job is given up."""
        for plan in plans:
            for outcome in ("provisioned", "given_up"):
                self.provisionings.labels(plan, outcome)
        for job in jobs:
            self.jobs.labels(job, "given_up")

    def take(self) -> list[Count]:
        """What was counted since the last time."""
        found = []
        for sample in self._samples():
            key = (sample.name, tuple(sorted(sample.labels.items())))
            before = self._taken.get(key, 0.0)
            if sample.value != before:
                self._taken[key] = sample.value
                found.append(Count(*key, sample.value - before))
        return found

    def give_back(self, counts: Iterable[Count]) -> None:
        """What could not be stored counts as not taken."""
        for count in counts:
            self._taken[count.name, count.labels] -= count.value

    def families(self, stored: Mapping[str, Sequence[tuple[Mapping[str, str], float]]]) -> Iterator[Metric]:
        """Each metric, with the values of all processes.

        Args:
            stored: by the name of a line, its labels and values. Names that this program does not count are left out.
        """
        for known in self._registry.collect():
            family = Metric(known.name, known.documentation, known.type)
            endings = ("_bucket", "_sum", "_count") if known.type == "histogram" else ("_total",)
            samples = [
                Sample(name, dict(labels), value)
                for name in (known.name + ending for ending in endings)
                for labels, value in stored.get(name, ())
            ]
            there = {(sample.name, *sorted(sample.labels.items())) for sample in samples}
            # What has never happened is told as 0, as far as it is expected: or its first time could not be seen.
            samples += [
                Sample(one.name, one.labels, 0)
                for one in known.samples
                if (one.name, *sorted(one.labels.items())) not in there and not one.name.endswith("_created")
            ]
            family.samples = sorted(samples, key=_place)
            yield family

    def _samples(self) -> Iterator[Sample]:
        for family in self._registry.collect():
            for sample in family.samples:
                if not sample.name.endswith("_created"):
                    yield sample


def _place(sample: Sample) -> tuple[object, ...]:
    """Lines of one histogram beside each other, its bounds in order."""
    labels = {name: value for name, value in sample.labels.items() if name != "le"}
    return (sorted(labels.items()), sample.name, float(sample.labels.get("le", 0)))

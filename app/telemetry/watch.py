"""One look at each kind of work that gives both its counts and its span."""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Final
from uuid import UUID

from app.errors import Gone, Refused, Retry
from app.telemetry.metrics import Metrics
from app.telemetry.tracing import Tracing

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Asked every few seconds by machines, or a picture of a page: no trace is wanted of them.
_UNTRACED: Final = ("/health/", "/metrics", "/static/")
_ID: Final = re.compile(r"(?<=/)[0-9a-fA-F-]{36}(?=/|$)")
_OTHER: Final = "other"


@dataclass(slots=True)
class Request:
    """What became of a request: its route's template, its status (0 while there is none), and whom it was about."""

    route: str = "none"
    status: int = 0
    resource: str | None = None


@dataclass(slots=True)
class HerokuCall:
    """What became of a call: the status, or None without an answer, and then the class of what went wrong."""

    status: int | None = None
    trouble: str | None = None


@dataclass(slots=True)
class Run:
    """How a run of a job ends; what is raised and not said otherwise has failed."""

    outcome: str | None = None


class Watch:
    """What one process measures of its own work."""

    def __init__(self, tracing: Tracing | None = None) -> None:
        self.metrics = Metrics()
        # Their labels are few, and looking one up takes as long as counting.
        self._requests = cache(self.metrics.requests.labels)
        self._driver_calls = cache(self.metrics.driver_calls.labels)
        self._provisionings = cache(self.metrics.provisionings.labels)
        self._provisioning_time = cache(self.metrics.provisioning_time.labels)
        self.tracing = tracing if tracing is not None else Tracing()

    @contextmanager
    def request(self, method: str, path: str) -> Iterator[Request]:
        """Somebody asks us."""
        method = method if method in _METHODS else _OTHER
        tracing = Tracing() if path.startswith(_UNTRACED) else self.tracing
        seen, started = Request(), time.perf_counter()
        with tracing.span(method, "SERVER", {"http.request.method": method}) as span:
            try:
                yield seen
            finally:
                status = f"{seen.status // 100}xx" if seen.status else "none"
                self._requests(method, seen.route, status).observe(time.perf_counter() - started)
                span.rename(f"{method} {seen.route}")
                span.set({"http.route": seen.route, "http.response.status_code": seen.status})
                if seen.resource is not None:
                    span.set({"addon.resource.uuid": seen.resource})
                if seen.status >= 500 or not seen.status:
                    span.fail(str(seen.status or "none"))

    @contextmanager
    def job(self, name: str, uuid: UUID | None = None) -> Iterator[Run]:
        """A job runs for a resource, or periodic work, of which there is no trace: most rounds find nothing to do."""
        tracing = self.tracing if uuid is not None else Tracing()
        attributes = {
            "messaging.system": "procrastinate",
            "messaging.operation.type": "process",
            "messaging.operation.name": name,
            "addon.resource.uuid": str(uuid),
        }
        run, started = Run(), time.perf_counter()
        with tracing.span(f"process {name}", "CONSUMER", attributes) as span:
            try:
                yield run
            except BaseException as error:
                run.outcome = run.outcome or _outcome(error)
                raise
            finally:
                outcome = run.outcome or "done"
                self.metrics.jobs.labels(name, outcome).observe(time.perf_counter() - started)
                span.set({"addon.outcome": outcome})
                if outcome in {"failed", "given_up"}:
                    span.fail(outcome)

    @contextmanager
    def heroku_call(self, method: str, path: str, host: str) -> Iterator[HerokuCall]:
        """We ask Heroku."""
        template = _ID.sub("{id}", path)
        call, started = HerokuCall(), time.perf_counter()
        attributes = {"http.request.method": method, "url.template": template, "server.address": host}
        with self.tracing.span(f"{method} {template}", "CLIENT", attributes) as span:
            try:
                yield call
            finally:
                status = "none" if call.status is None else str(call.status)
                self.metrics.heroku_calls.labels(method, template, status).observe(time.perf_counter() - started)
                if call.status is not None:
                    span.set({"http.response.status_code": call.status})
                if call.status is None or call.status >= 400:
                    span.fail(call.trouble or status)

    @contextmanager
    def driver_call(self, plan: str, call: str) -> Iterator[None]:
        """A plan's driver makes, changes or removes something."""
        outcome, started = "done", time.perf_counter()
        attributes = {"addon.plan": plan, "addon.driver.call": call}
        with self.tracing.span(f"driver {call}", "INTERNAL", attributes) as span:
            try:
                yield
            except BaseException as error:
                outcome = _outcome(error)
                span.fail(type(error).__name__)
                raise
            finally:
                self._driver_calls(plan, call, outcome).observe(time.perf_counter() - started)
                span.set({"addon.outcome": outcome})

    def provisioned(self, plan: str, seconds: float) -> None:
        """A resource is ready, so long after Heroku had asked for it."""
        self._provisionings(plan, "provisioned").inc()
        self._provisioning_time(plan).observe(seconds)

    def provisioning_given_up(self, plan: str) -> None:
        """A resource never became ready."""
        self.metrics.provisionings.labels(plan, "given_up").inc()


def _outcome(error: BaseException) -> str:
    match error:
        case Refused():
            return "refused"
        case Retry():
            return "retry"
        case Gone():
            return "gone"
        case asyncio.CancelledError():
            return "cut_off"
        case _:
            return "failed"

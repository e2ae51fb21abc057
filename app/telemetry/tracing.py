"""Traces: a span for each request, job and call, joined also where the work goes on in another process.

A trace goes on in a job through the job's arguments, as a W3C `traceparent` (https://www.w3.org/TR/trace-context/),
which is two random numbers and no secret. None is taken from a request: a stranger could choose it. None is sent to
Heroku, which could do nothing with it. Spans hold no text of an exception, since it may quote anything.

OpenTelemetry's SDK is imported only where it is wanted: it takes longer to load than a command takes to run.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from datetime import timedelta
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Tracer

Kind = Literal["SERVER", "CLIENT", "CONSUMER", "INTERNAL"]
Attributes = Mapping[str, str | int]

# A stopping process has little time, and spans are the least of what it has to save.
_LAST_EXPORT: Final = timedelta(seconds=3)

_traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)


def traceparent() -> str | None:
    """The span that is open here, as W3C writes it; None outside of any trace."""
    return _traceparent.get()


@contextmanager
def arriving(parent: str | None) -> Iterator[None]:
    """Within the block, spans belong to a trace that was begun elsewhere, and the log's lines tell it."""
    before = _traceparent.set(parent)
    told = {} if parent is None else {"trace_id": parent[3:35]}
    try:
        with structlog.contextvars.bound_contextvars(**told):
            yield
    finally:
        _traceparent.reset(before)


class Span:
    """A span while it is open; where nothing is traced, it forgets all it is told."""

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def rename(self, name: str) -> None:
        """What has been done, once that is known."""
        if self._span is not None:
            self._span.update_name(name)

    def set(self, attributes: Attributes) -> None:
        """Facts, under the names of OpenTelemetry's conventions."""
        if self._span is not None:
            self._span.set_attributes(attributes)

    def fail(self, kind: str) -> None:
        """It went wrong; `kind` is a class of error or a status, never its text."""
        if self._span is not None:
            from opentelemetry.trace import StatusCode  # noqa: PLC0415 - see the head

            self._span.set_attribute("error.type", kind)
            self._span.set_status(StatusCode.ERROR)


_NO_SPAN: Final = nullcontext(Span())


class Tracing:
    """Opens spans; without a provider there are none."""

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("addon") if provider is not None else None

    def span(self, name: str, kind: Kind, attributes: Attributes) -> AbstractContextManager[Span]:
        """A span around the block, within the one that is open or has arrived."""
        return _NO_SPAN if self._tracer is None else self._span(self._tracer, name, kind, attributes)

    @contextmanager
    def _span(self, tracer: "Tracer", name: str, kind: Kind, attributes: Attributes) -> Iterator[Span]:
        from opentelemetry import trace  # noqa: PLC0415 - see the head
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - as above

        parent = None
        if not trace.get_current_span().get_span_context().is_valid and (arrived := _traceparent.get()) is not None:
            parent = TraceContextTextMapPropagator().extract({"traceparent": arrived})
        with tracer.start_as_current_span(
            name,
            context=parent,
            kind=trace.SpanKind[kind],
            attributes=dict(attributes),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            ids = span.get_span_context()
            with arriving(f"00-{ids.trace_id:032x}-{ids.span_id:016x}-{ids.trace_flags:02x}"):
                yield Span(span)

    async def close(self) -> None:
        """Send what is still here, as far as that is quick."""
        provider = self._provider
        if provider is None:
            return
        done, loop = asyncio.Event(), asyncio.get_running_loop()

        def end() -> None:
            provider.shutdown()
            with suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(done.set)

        # The SDK's own time-outs are not kept while it waits for a collector's answer. A thread that the end of the
        # process need not wait for, either.
        Thread(target=end, daemon=True).start()
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), _LAST_EXPORT.total_seconds())


def open_tracing(*, is_on: bool, service: str, processor: "SpanProcessor | None" = None) -> Tracing:
    """Tracing as OpenTelemetry's own environment variables describe it: endpoint, headers, sampler, resource.

    Args:
        is_on: whether they name an endpoint.
        service: the name that this program gives itself; OTEL_SERVICE_NAME goes before it.
        processor: takes the spans instead of those that the variables describe.
    """
    if processor is None and not is_on:
        return Tracing()
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415 - see the head
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above

    told = Resource.create()
    is_named = not str(told.attributes.get(SERVICE_NAME, "")).startswith("unknown_service")
    resource = told if is_named else told.merge(Resource({SERVICE_NAME: service}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(processor if processor is not None else _exporting())
    return Tracing(provider)


def _exporting() -> "SpanProcessor":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - see the head
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above

    return BatchSpanProcessor(OTLPSpanExporter())

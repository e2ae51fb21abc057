"""Traces: one provision is one trace, from Heroku's request over the jobs to our calls; none tells a secret."""

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from uuid import UUID

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from rig import CLIENT_SECRET, PASSWORD, Rig, provision_body
from sqlalchemy import text

from app.resources import rotation
from app.telemetry import tracing
from app.telemetry.tracing import Tracing, open_tracing

PROJECT = Path(__file__).parent.parent


class Traced:
    """A rig and the spans that it has ended."""

    def __init__(self, rig: Rig, exporter: InMemorySpanExporter) -> None:
        self.rig, self._exporter = rig, exporter

    @property
    def spans(self):
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time)

    def named(self, name: str):
        return [span for span in self.spans if span.name == name]

    async def install(self, plan: str):
        app = self.rig.simulator.world.create_app("shop")
        return await self.rig.simulator.calls.provision(app.name, plan)


@pytest.fixture
async def traced(make_rig):
    rig, exporter = make_rig(), InMemorySpanExporter()
    rig.span_processor = SimpleSpanProcessor(exporter)
    async with rig.running():
        yield Traced(rig, exporter)


def parent_name(traced: Traced, span) -> str | None:
    """The span within which it was opened."""
    return next((one.name for one in traced.spans if span.parent and one.context.span_id == span.parent.span_id), None)


async def test_one_provision_is_one_trace(traced: Traced):
    await traced.install("standard")
    await traced.rig.work()
    request = traced.named("POST /heroku/resources")[0]
    assert request.parent is None
    assert request.kind is SpanKind.SERVER
    assert {span.context.trace_id for span in traced.spans} == {request.context.trace_id}
    expected = {
        "process exchange_grant": "POST /heroku/resources",
        "POST /oauth/token": "process exchange_grant",
        "process provision_service": "POST /heroku/resources",
        "driver provision": "process provision_service",
        "process push_config": "process provision_service",
        "PATCH /addons/{id}/config": "process push_config",
        "process announce_provisioned": "process provision_service",
        "POST /addons/{id}/actions/provision": "process announce_provisioned",
    }
    for name, parent in expected.items():
        assert [parent_name(traced, span) for span in traced.named(name)] == [parent], name


async def test_spans_tell_what_the_conventions_want(traced: Traced):
    addon = await traced.install("standard")
    await traced.rig.work()
    request = traced.named("POST /heroku/resources")[0].attributes
    assert request["http.request.method"] == "POST"
    assert request["http.route"] == "/heroku/resources"
    assert request["http.response.status_code"] == 202
    assert request["addon.resource.uuid"] == addon.id
    job = traced.named("process push_config")[0]
    assert job.kind is SpanKind.CONSUMER
    assert job.attributes["messaging.system"] == "procrastinate"
    assert job.attributes["addon.outcome"] == "done"
    call = traced.named("PATCH /addons/{id}/config")[0]
    assert call.kind is SpanKind.CLIENT
    assert call.attributes["url.template"] == "/addons/{id}/config"
    assert call.attributes["server.address"] == "127.0.0.1"
    assert call.attributes["http.response.status_code"] == 200
    assert all(span.status.status_code is StatusCode.UNSET for span in traced.spans)


async def test_a_job_that_is_tried_again_stays_in_its_trace(traced: Traced):
    await traced.install("standard")
    traced.rig.simulator.faults.add("error", direction="platform", path="/config", status=503, count=1)
    traced.rig.simulator.faults.add("drop", direction="platform", path="/config", count=1)
    await traced.rig.work(rounds=4)
    runs, calls = traced.named("process push_config"), traced.named("PATCH /addons/{id}/config")
    assert [run.attributes["addon.outcome"] for run in runs] == ["retry", "retry", "done"]
    assert [call.status.status_code for call in calls] == [StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET]
    assert calls[0].attributes["error.type"] == "503"
    assert calls[1].attributes["error.type"].endswith("Error")
    assert len({span.context.trace_id for span in traced.spans}) == 1


async def test_two_requests_are_two_traces_whatever_they_bring(traced: Traced):
    stranger = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{stranger}-b7ad6b7169203331-01", "tracestate": "a=b", "baggage": "secret=1"}
    for _ in range(2):
        assert (await traced.rig.heroku.post("", json=provision_body(), headers=headers)).status_code == 200
    requests = traced.named("POST /heroku/resources")
    assert [span.parent for span in requests] == [None, None]
    ids = {f"{span.context.trace_id:032x}" for span in requests}
    assert len(ids) == 2
    assert stranger not in ids


async def test_no_span_tells_a_secret_and_heroku_is_told_of_no_trace(traced: Traced):
    addon = await traced.install("standard")
    await traced.rig.work()
    await rotation.rotate(traced.rig.context, UUID(addon.id), "somebody")
    await traced.rig.work()
    await traced.rig.http.get("/sso/login?token=hunter2hunter2")
    told = json.dumps([json.loads(span.to_json()) for span in traced.spans])
    resource = await traced.rig.resource(addon.id)
    keys = traced.rig.context.keys
    secrets = [resource.open(keys, name) for name in ("access_token", "refresh_token", "seed")]
    secrets += [*resource.config(keys).values(), CLIENT_SECRET, PASSWORD, "hunter2", "shop"]
    for secret in secrets:
        assert secret
        assert secret not in told
    for exchange in traced.rig.simulator.world.exchanges:
        assert "traceparent" not in {name.lower() for name in exchange.request_headers}


async def test_a_failed_span_tells_the_kind_of_error_and_not_its_text(traced: Traced, monkeypatch):
    async def fail(_: object) -> None:
        raise RuntimeError("connection to postgres://admin:hunter2@db.example.com failed")

    monkeypatch.setattr(traced.rig.context.plans["standard"].driver, "provision", fail)
    await traced.install("standard")
    await traced.rig.work()
    span = traced.named("driver provision")[0]
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "RuntimeError"
    assert not any(span.events for span in traced.spans)
    assert "hunter2" not in "".join(span.to_json() for span in traced.spans)


async def test_a_driver_can_add_facts_to_the_span_of_its_call(traced: Traced, monkeypatch):
    driver = traced.rig.context.plans["standard"].driver
    provision = driver.provision

    async def provision_and_tell(resource):
        trace.get_current_span().set_attribute("acme.shelf", 7)
        return await provision(resource)

    monkeypatch.setattr(driver, "provision", provision_and_tell)
    await traced.install("standard")
    await traced.rig.work()
    assert traced.named("driver provision")[0].attributes["acme.shelf"] == 7


async def test_lines_of_the_log_tell_their_trace(traced: Traced):
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await traced.install("standard")
        await traced.rig.work()
    trace_id = f"{traced.named('POST /heroku/resources')[0].context.trace_id:032x}"
    told = {line["event"]: line.get("trace_id") for line in lines}
    assert {told["request"], told["job done"], told["heroku called"]} == {trace_id}


async def test_health_checks_and_pictures_make_no_trace(traced: Traced):
    for path in ("/health/live", "/health/ready", "/metrics", "/static/app.css"):
        await traced.rig.http.get(path)
    assert traced.spans == []


async def test_without_traces_jobs_carry_nothing_but_the_uuid(key_rig: Rig):
    await key_rig.heroku.post("", json=provision_body(plan="standard"))
    async with key_rig.context.database.transaction() as session:
        arguments = list(await session.scalars(text("SELECT args FROM procrastinate_jobs")))
    assert {frozenset(one) for one in arguments} == {frozenset({"uuid"})}
    assert tracing.traceparent() is None


async def test_the_trace_in_the_queue_is_two_random_numbers(traced: Traced):
    await traced.install("standard")
    async with traced.rig.context.database.transaction() as session:
        arguments = list(await session.scalars(text("SELECT args FROM procrastinate_jobs")))
    request = traced.named("POST /heroku/resources")[0].context
    told = {one["traceparent"][:-2] for one in arguments}
    assert told == {f"00-{request.trace_id:032x}-{request.span_id:016x}-"}


@pytest.mark.parametrize("parent", ["", "garbage", "00-0-0-00", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
async def test_a_trace_that_cannot_be_read_is_replaced_by_a_new_one(parent):
    exporter = InMemorySpanExporter()
    tracer = open_tracing(is_on=False, service="x", processor=SimpleSpanProcessor(exporter))
    with tracing.arriving(parent), tracer.span("work", "INTERNAL", {}):
        pass
    await tracer.close()
    assert [span.parent for span in exporter.get_finished_spans()] == [None]


def run_python(code: str, **environment: str) -> str:
    ours = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{PROJECT}{os.pathsep}{PROJECT / 'tests'}"} | environment
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=ours, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_sdk_is_not_even_loaded_where_nothing_is_traced():
    code = "import sys, app.main, app.worker; print([m for m in sys.modules if m.startswith('opentelemetry.sdk')])"
    assert run_python(code).strip() == "[]"


class Collector(BaseHTTPRequestHandler):
    """An OTLP collector that keeps what it gets."""

    got: list[tuple[str, str | None, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.path, self.headers.get("x-team-key"), body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_the_standard_variables_say_where_spans_go():
    Collector.got = []
    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        code = """
import asyncio, os
from app.telemetry.tracing import open_tracing

async def main():
    tracing = open_tracing(is_on=True, service="acme-postgres")
    with tracing.span("hello", "INTERNAL", {}):
        pass
    await tracing.close()

asyncio.run(main())
"""
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        headers = {"OTEL_EXPORTER_OTLP_HEADERS": "x-team-key=k", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=t"}
        run_python(code, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **headers)
        run_python(
            code, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_SERVICE_NAME="ours", OTEL_TRACES_SAMPLER="always_on"
        )
        run_python(code, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_TRACES_SAMPLER="always_off")
        server.shutdown()
    assert [(path, key) for path, key, _ in Collector.got] == [("/v1/traces", "k"), ("/v1/traces", None)]
    assert b"acme-postgres" in Collector.got[0][2]
    assert b"deployment.environment" in Collector.got[0][2]
    assert b"ours" in Collector.got[1][2]
    assert b"acme-postgres" not in Collector.got[1][2]


async def test_a_collector_that_never_answers_does_not_hold_up_the_end(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        tracer = open_tracing(is_on=True, service="x")
        with tracer.span("work", "INTERNAL", {}):
            pass
        async with asyncio.timeout(7):  # by itself the exporter would wait for ten seconds
            await tracer.close()


async def test_a_collector_that_is_away_delays_nobody(make_rig, monkeypatch, caplog):
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    async with asyncio.timeout(30):
        async with make_rig(otel_exporter_otlp_endpoint="http://127.0.0.1:9").running() as rig:
            assert (await rig.heroku.post("", json=provision_body())).status_code == 200


def test_nothing_is_traced_unless_it_is_asked_for():
    assert open_tracing(is_on=False, service="x")._tracer is None
    with Tracing().span("nothing", "INTERNAL", {}) as span:
        span.rename("still nothing")
        span.set({"a": 1})
        span.fail("Error")
    assert tracing.traceparent() is None

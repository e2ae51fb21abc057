"""The report for programs. Its shape is documented in docs/conformance.md; `version` grows when it changes."""

import json
from typing import Any

from app.conformance.requirement import Level, Requirement
from app.conformance.run import Result
from app.simulator.curl import curl_command
from app.simulator.records import Exchange

from .report import Report

_VERSION = 1


def write(report: Report) -> str:
    return json.dumps(as_data(report), indent=2, ensure_ascii=False) + "\n"


def as_data(report: Report) -> dict[str, Any]:
    """Return the report as plain data."""
    return {
        "version": _VERSION,
        "addon": report.addon,
        "base_url": report.base_url,
        "manifest": report.manifest,
        "started_at": report.started_at.isoformat(),
        "seconds": round(report.seconds, 3),
        "complete": report.is_complete,
        "strict": report.is_strict,
        "passed": report.has_passed,
        "counts": {
            outcome: {level.value.lower(): report.count(outcome, level) for level in Level}
            for outcome in ("passed", "failed", "skipped")
        },
        "results": [_result(report, result) for result in report.results],
    }


def requirement_data(requirement: Requirement) -> dict[str, Any]:
    return {
        "id": requirement.id,
        "group": requirement.group,
        "level": requirement.level.value.lower(),
        "sentence": requirement.sentence,
        "doc": requirement.doc,
        "needs": list(requirement.needs),
    }


def _result(report: Report, result: Result) -> dict[str, Any]:
    return {
        **requirement_data(result.requirement),
        "outcome": result.outcome,
        "seconds": round(result.seconds, 3),
        "reason": result.reason,
        "expected": result.expected,
        "measured": result.measured,
        "repeat": report.repeat(result.requirement.id),
        "evidence": [_exchange(report, exchange) for exchange in result.evidence],
    }


def _exchange(report: Report, exchange: Exchange) -> dict[str, Any]:
    return {
        "at": exchange.at.isoformat(),
        "direction": exchange.direction,
        "seconds": round(exchange.seconds, 3),
        "request": {
            "method": exchange.method,
            "url": exchange.url,
            "headers": exchange.request_headers,
            "body": exchange.request_body,
        },
        "answer": None
        if exchange.status is None
        else {"status": exchange.status, "headers": exchange.answer_headers, "body": exchange.answer_body},
        "curl": curl_command(exchange, report.addon),
    }

"""The report as SARIF 2.1.0, which code scanners show: https://docs.oasis-open.org/sarif/sarif/v2.1.0/.

A requirement is a rule, a failure a result. What failed has no place in a source file, and readers want one: it is the
manifest, which says what the add-on promises.
"""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from app.conformance.requirement import Level, Requirement
from app.conformance.run import Result

from .evidence import answer_text, request_text, title
from .report import Report

_LEVELS = {Level.MUST: "error", Level.SHOULD: "warning"}


def write(report: Report) -> str:
    rules = [one.requirement for one in report.results]
    place = {rule.id: index for index, rule in enumerate(rules)}
    failed = [one for one in report.results if one.outcome == "failed"]
    run = {
        "tool": {"driver": {"name": "heroku-addon-conformance", "rules": [_rule(rule) for rule in rules]}},
        "invocations": [_invocation(report)],
        "results": [_result(report, one, place[one.requirement.id]) for one in failed],
        "properties": {"addon": report.addon, "base_url": report.base_url, "summary": report.summary},
    }
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _rule(requirement: Requirement) -> dict[str, Any]:
    return {
        "id": requirement.id,
        "shortDescription": {"text": requirement.sentence},
        "helpUri": requirement.doc,
        "help": {"text": f"{requirement.sentence} Heroku: {requirement.doc}"},
        "defaultConfiguration": {"level": _LEVELS[requirement.level]},
        "properties": {"tags": [requirement.group, requirement.level.value]},
    }


def _invocation(report: Report) -> dict[str, Any]:
    ended_at = report.started_at + timedelta(seconds=report.seconds)
    return {
        "executionSuccessful": report.is_complete and not any(one.ends_the_run for one in report.results),
        "startTimeUtc": f"{report.started_at:%Y-%m-%dT%H:%M:%SZ}",
        "endTimeUtc": f"{ended_at:%Y-%m-%dT%H:%M:%SZ}",
        "toolExecutionNotifications": [
            {
                "level": "note",
                "message": {"text": f"Skipped: {one.reason}"},
                "associatedRule": {"id": one.requirement.id},
            }
            for one in report.results
            if one.outcome == "skipped"
        ],
    }


def _result(report: Report, result: Result, rule_index: int) -> dict[str, Any]:
    evidence = "\n\n".join(f"{title(one)}:\n{request_text(one)}\n\n{answer_text(one)}" for one in result.evidence)
    return {
        "ruleId": result.requirement.id,
        "ruleIndex": rule_index,
        "level": _LEVELS[result.requirement.level],
        "message": {"text": f"{result.reason} Expected: {result.expected}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(report.manifest)},
                    "region": {"startLine": 1},
                }
            }
        ],
        "partialFingerprints": {"requirement/v1": result.requirement.id},
        "properties": {"repeat": report.repeat(result.requirement.id), "evidence": evidence},
    }

"""The report as JUnit XML, which CI servers read: a suite for each group, a case for each requirement.

An unmet SHOULD is written as skipped unless the run is strict, so that a CI server and the exit status agree.
"""

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring  # nosec B405 # it only writes

from app.conformance.run import Result

from .evidence import answer_text, printable, request_text, title
from .report import Report


def write(report: Report) -> str:
    suites = Element("testsuites", {"name": f"conformance of {report.addon}", **_totals(report, report.results)})
    suites.set("time", f"{report.seconds:.3f}")
    for group, results in report.groups:
        suite = SubElement(suites, "testsuite", {"name": group, **_totals(report, results)})
        suite.set("time", f"{sum(one.seconds for one in results):.3f}")
        suite.set("timestamp", report.started_at.replace(tzinfo=None).isoformat(timespec="seconds"))
        for result in results:
            _add_case(suite, report, result)
    indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(suites, encoding="unicode")}\n'


def _totals(report: Report, results: Sequence[Result]) -> dict[str, str]:
    failed = sum(report.fails_the_run(one) for one in results)
    skipped = sum(one.outcome != "passed" for one in results) - failed
    return {"tests": str(len(results)), "failures": str(failed), "errors": "0", "skipped": str(skipped)}


def _add_case(suite: Element, report: Report, result: Result) -> None:
    requirement = result.requirement
    case = SubElement(suite, "testcase", classname=f"conformance.{requirement.group}", name=requirement.id)
    case.set("time", f"{result.seconds:.3f}")
    reason = printable(result.reason)
    if report.fails_the_run(result):
        failure = SubElement(case, "failure", message=reason, type=requirement.level.value)
        failure.text = "\n".join(_why(report, result))
    elif result.outcome != "passed":
        unmet = f"{requirement.level} not met: " if result.outcome == "failed" else ""
        SubElement(case, "skipped", message=f"{unmet}{reason}")
    output = [f"{name}: {printable(figure)}" for name, figure in result.measured.items()]
    if result.outcome == "failed" and not report.fails_the_run(result):
        output += _why(report, result)
    for exchange in result.evidence:
        output += [f"{title(exchange)}:", request_text(exchange), "", answer_text(exchange), ""]
    if output:
        SubElement(case, "system-out").text = "\n".join(output)


def _why(report: Report, result: Result) -> list[str]:
    return [
        result.requirement.sentence,
        f"Seen: {printable(result.reason)}",
        f"Expected: {printable(result.expected)}",
        f"Heroku: {result.requirement.doc}",
        f"Again: {report.repeat(result.requirement.id)}",
    ]

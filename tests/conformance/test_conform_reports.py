"""What a run found, in every format: true, well-formed, and without a secret."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from checking import bench_with

from app.conformance.options import Options
from app.conformance.reports import Format, format_of, write
from app.conformance.reports.report import Report
from app.conformance.requirement import NotApplicable, Unmet, must, should
from app.conformance.run import Result, run
from app.simulator.records import Exchange

DOC = "https://devcenter.heroku.com/articles/add-on-partner-api-reference"
# What an add-on may answer: it commands a terminal, ends a CDATA, a table's cell and a code block, and is not ASCII.
NASTY = "\x1b[31mred ]]> <script> | ``` ```` \x00 schön"


@must("provision", DOC)
async def is_met(bench):
    """All is well."""
    bench.measured["provision"] = "0.12 s"


@must("provision", DOC)
async def is_unmet(bench):
    """A MUST that fails."""
    addon = await bench.provisioned()
    exchange = replace(bench.exchanges(addon)[0], answer_body=NASTY)
    raise Unmet("Something else.", "The answer was odd.", exchange)


@should("sso", DOC)
async def is_good_conduct(bench):
    """A SHOULD that fails."""
    raise Unmet("Better.", NASTY)


@should("sso", DOC)
async def does_not_apply(bench):
    """Not for everybody."""
    raise NotApplicable("There is only one plan.")


@must("secrets", DOC)
async def tells_secrets(bench):
    """A check that says what it should not."""
    addon = await bench.provisioned()
    SEEN.extend(
        [
            *(value for value in addon.config.values() if "://" in value),
            bench.offer.password,
            bench.offer.sso_salt,
            bench.offer.client_secret,
        ]
    )
    SEEN.extend(token.token for token in bench.world.access_tokens.values())
    bench.measured["secret"] = " ".join(SEEN)
    raise Unmet(f"Not {bench.offer.password}.", f"It was {' '.join(SEEN)}.")


REQUIREMENTS = [is_met, is_unmet, is_good_conduct, does_not_apply]
SEEN: list[str] = []


def report_of(results: list[Result], **changes) -> Report:
    options = Options(Path("folder with space/m.json"), plans=["basic=500"])
    return Report(
        **{
            "addon": "acme-keys",
            "base_url": "https://addon.test/heroku/resources",
            "manifest": "folder with space/m.json",
            "started_at": datetime(2026, 5, 1, 12, 0, tzinfo=UTC),
            "seconds": 1.5,
            "results": results,
            "repeat": options.repeat,
            **changes,
        }
    )


async def results_of(requirements) -> list[Result]:
    async with bench_with() as bench:
        return await run(bench, requirements)


@pytest.fixture
async def report() -> Report:
    return report_of(await results_of(REQUIREMENTS))


async def test_an_unmet_must_fails_the_run_and_an_unmet_should_does_only_when_it_is_strict(report):
    without_must = [one for one in report.results if one.requirement is not is_unmet]
    assert not report.has_passed
    assert report_of(without_must).has_passed
    assert not report_of(without_must, is_strict=True).has_passed
    assert not report_of([], is_complete=False).has_passed


async def test_the_text_says_everything_that_helps_to_mend_a_failure(report):
    text = write(report, Format.TEXT)
    assert "  failed  MUST   is-unmet" in text
    for line in (
        "A MUST that fails.",
        "Seen:     The answer was odd.",
        "Expected: Something else.",
        f"Heroku:   {DOC}",
        "Again:    ./run conform --manifest 'folder with space/m.json' --plan basic=500 --only is-unmet",
        "  > POST https://addon.test/heroku/resources",
        "  > authorization: Basic ••••••",
        "  < 200 after",
        "provision: 0.12 s",
        "There is only one plan.",
        "1 passed, 2 failed (1 MUST, 1 SHOULD), 1 skipped in 1.5 s",
        "acme-keys does not meet the partner API yet.",
    ):
        assert line in text
    assert "\x1b" not in text


async def test_the_json_has_the_documented_fields_and_the_guide_names_them_all(report):
    data = json.loads(write(report, Format.JSON))
    assert data["counts"] == {
        "passed": {"must": 1, "should": 0},
        "failed": {"must": 1, "should": 1},
        "skipped": {"must": 0, "should": 1},
    }
    assert (data["version"], data["passed"], data["complete"], data["strict"]) == (1, False, True, False)
    met, unmet, *_ = data["results"]
    assert met["measured"] == {"provision": "0.12 s"}
    (exchange,) = unmet["evidence"]
    assert exchange["request"]["method"] == "POST"
    assert exchange["answer"]["body"] == NASTY
    assert exchange["curl"].startswith("curl --include")
    guide = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text()
    for name in {*data, *unmet, *exchange, *exchange["request"], *exchange["answer"]}:
        assert f"`{name}`" in guide


async def test_the_junit_xml_is_well_formed_and_its_sums_are_right(report):
    suites = ET.fromstring(write(report, Format.JUNIT))
    assert {name: suites.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4",
        "failures": "1",
        "errors": "0",
        "skipped": "2",
    }
    assert [suite.get("name") for suite in suites] == ["provision", "sso"]
    cases = {case.get("name"): case for case in suites.iter("testcase")}
    assert cases["is-met"].findtext("system-out") == "provision: 0.12 s"
    assert cases["is-unmet"].find("failure").get("type") == "MUST"
    assert "schön" in cases["is-unmet"].findtext("system-out")
    assert cases["is-good-conduct"].find("skipped").get("message").startswith("SHOULD not met: ")
    assert cases["does-not-apply"].find("skipped").get("message") == "There is only one plan."


async def test_a_strict_junit_xml_counts_a_should_as_a_failure(report):
    suites = ET.fromstring(write(replace(report, is_strict=True), Format.JUNIT))
    assert (suites.get("failures"), suites.get("skipped")) == ("2", "1")


async def test_the_sarif_has_what_version_2_1_0_requires_and_what_code_scanners_want(report):
    log = json.loads(write(report, Format.SARIF))
    (run_,) = log["runs"]
    rules = run_["tool"]["driver"]["rules"]
    assert log["version"] == "2.1.0"
    assert run_["tool"]["driver"]["name"]
    assert len({rule["id"] for rule in rules}) == len(rules) == 4
    assert all(rule["helpUri"] == DOC and rule["shortDescription"]["text"] for rule in rules)
    assert [(one["ruleId"], one["level"]) for one in run_["results"]] == [
        ("is-unmet", "error"),
        ("is-good-conduct", "warning"),
    ]
    for one in run_["results"]:
        assert rules[one["ruleIndex"]]["id"] == one["ruleId"]
        assert one["message"]["text"]
        place = one["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "folder%20with%20space/m.json"
        assert place["region"]["startLine"] == 1
    (invocation,) = run_["invocations"]
    assert invocation["executionSuccessful"] is True
    assert invocation["startTimeUtc"] == "2026-05-01T12:00:00Z"
    assert [one["associatedRule"]["id"] for one in invocation["toolExecutionNotifications"]] == ["does-not-apply"]


async def test_the_markdown_keeps_what_an_add_on_answered_inside_its_block(report):
    text = write(report, Format.MARKDOWN)
    assert text.startswith("## ❌ Conformance of acme-keys")
    assert "### MUST: is-unmet" in text
    assert "`````http" in text
    cell = next(line for line in text.splitlines() if "is-good-conduct" in line and line.startswith("| "))
    assert r"\| \`\`\`" in cell
    assert "<script>" not in cell


async def test_no_format_tells_a_secret_even_if_a_check_does():
    report = report_of(await results_of([tells_secrets]))
    assert len(SEEN) > 3
    for form in Format:
        text = write(report, form)
        assert [secret for secret in SEEN if secret in text] == []
        assert "••••••" in text


@pytest.mark.parametrize("form", list(Format))
async def test_a_run_without_a_result_or_an_answer_can_be_written_in_every_format(form):
    assert write(report_of([], is_complete=False), form)
    exchange = Exchange("id", datetime.now(UTC), "add-on", "POST", "http://a/", {}, "", None, {}, "", 25.0)
    result = Result(is_unmet, "failed", 25.0, "There was no answer.", "One.", [exchange])
    assert "no answer" in write(report_of([result]), form).lower()


def test_a_files_ending_tells_the_format():
    endings = {".txt": "text", ".json": "json", ".XML": "junit", ".sarif": "sarif", ".md": "markdown", ".doc": None}
    assert {ending: format_of(Path(f"report{ending}")) for ending in endings} == endings

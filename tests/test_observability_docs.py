"""The dashboard, the alert rules and docs/observability.md speak of what /metrics really tells, and of all of it."""

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from rig import Rig

from app.operations import reconciliation
from app.operations.reconciliation import DAILY

DOCS = Path(__file__).parent.parent / "docs"
RULES = yaml.safe_load((DOCS / "prometheus-alerts.yaml").read_text())
DASHBOARD = json.loads((DOCS / "grafana-dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [rule["expr"] for group in RULES["groups"] for rule in group["rules"]] + [
    target["expr"] for panel in PANELS for target in panel["targets"]
]
DURATION = re.compile(r"\d+[smhd]")


@pytest.fixture
async def told(make_rig) -> dict[str, set[str]]:
    """The labels of every line of /metrics by its name, after a little of everything."""
    async with make_rig(metrics_token="t" * 16).running() as rig:
        await _live_a_little(rig)
        answer = await rig.http.get("/metrics", headers={"Authorization": f"Bearer {'t' * 16}"})
    families = list(text_string_to_metric_families(answer.text))
    names: dict[str, set[str]] = {}
    for family in families:
        for sample in family.samples:
            names.setdefault(sample.name, set()).update(sample.labels)
    return names


async def _live_a_little(rig: Rig) -> None:
    """A provision, another that is given up, a refresh of tokens, a reconciliation."""
    for number, plan in enumerate(("test", "standard")):
        app = rig.simulator.world.create_app(f"shop-{number}")
        await rig.simulator.calls.provision(app.name, plan)
    await rig.work()
    rig.clock.forward(hours=9)
    await rig.simulator.calls.change_plan(next(iter(rig.simulator.world.addons.values())), "premium")
    await rig.work()
    await reconciliation.run(rig.context, await reconciliation.ask(rig.context, DAILY))


def asked(expression: str) -> list[tuple[str, set[str]]]:
    """Each metric in an expression, with the labels by which it is chosen or added up."""
    grouped = {name for found in re.findall(r"by \(([^)]*)\)", expression) for name in re.split(r",\s*", found) if name}
    chosen = []
    for name, matchers in re.findall(r"\b(addon_\w+)(?:\{([^}]*)\})?", expression):
        labels = set(re.findall(r'(\w+)(?:=~|!~|!=|=)"', matchers or ""))
        chosen.append((name, labels | grouped))
    return chosen


async def test_every_metric_and_label_that_is_asked_for_is_told(told):
    assert len(EXPRESSIONS) > 50
    for expression in EXPRESSIONS:
        metrics = asked(expression)
        assert metrics or expression.startswith("up{"), expression
        for name, labels in metrics:
            assert name in told, (name, expression)
            assert labels <= told[name], (name, labels - told[name], expression)


async def test_every_metric_is_explained_with_its_labels_and_no_other_is(told):
    text = (DOCS / "observability.md").read_text()
    explained = {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(r"^\| `(addon_\w+)` \| [^|]+ \| ([^|]+) \|", text, re.MULTILINE)
    }
    families = {re.sub(r"_(bucket|sum|count)$", "", name): labels - {"le"} for name, labels in told.items()}
    assert explained == families


async def test_every_metric_is_on_the_dashboard(told):
    text = json.dumps(DASHBOARD)
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in told}
    assert [name for name in sorted(families) if name not in text] == []


def test_every_rule_says_what_to_do():
    rules = [rule for group in RULES["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert re.fullmatch(r"Addon[A-Z]\w+", rule["alert"])
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert DURATION.fullmatch(rule.get("for", "0s"))
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"].keys() == {"summary", "description"}
        assert rule["annotations"]["description"][-1] in ".?"
        for label in re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])):
            assert re.search(rf"by \([^)]*\b{label}\b[^)]*\)", rule["expr"]), (rule["alert"], label)


def test_every_parenthesis_in_an_expression_is_closed():
    for expression in EXPRESSIONS:
        bare = re.sub(r'"[^"]*"', "", expression)
        for opening, closing in ("()", "{}", "[]"):
            assert bare.count(opening) == bare.count(closing), expression


def test_the_dashboard_is_whole():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    cells = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23
    for panel in PANELS:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            names = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            grouped = {
                name for found in re.findall(r"by \(([^)]*)\)", target["expr"]) for name in re.split(r",\s*", found)
            }
            assert names <= grouped, panel["title"]

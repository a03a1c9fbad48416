"""Rules, dashboard and documentation name metrics and labels that there are."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from yamllint import linter  # type: ignore[import-untyped]
from yamllint.config import YamlLintConfig  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[4]
ALERTS = (ROOT / "deploy" / "alerts.yml").read_text(encoding="utf-8")
RULES = [rule for group in yaml.safe_load(ALERTS)["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")

DURATION = re.compile(r"([0-9]+(ms|[smhdwy]))+")
FUNCTIONS = {
    *("absent", "histogram_quantile", "increase", "max", "min", "rate", "sum", "time"),
}
WORDS = {"and", "by", "on", "or", "unless", "without"}
STRING = re.compile(r'"[^"]*"')
GROUPING = re.compile(r"\b(?:by|on|without)\s*\(([^)]*)\)")
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)?\{([^}]*)\}")
NAME = re.compile(r"(?<![\w.])[a-zA-Z_:][\w:]*(?!\w)")


def _expressions() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"]


EXPRESSIONS = list(_expressions())


def _metrics_of(expression: str) -> tuple[set[str], set[str], set[str]]:
    """Return the metrics, functions and labels that an expression names."""
    plain = STRING.sub('""', expression)
    labels = {
        label.strip() for group in GROUPING.findall(plain) for label in group.split(",") if label
    }
    for _, matchers in SELECTOR.findall(plain):
        labels |= set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
    plain = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", GROUPING.sub("", plain))
    functions = set(re.findall(r"([a-zA-Z_]\w*)\s*\(", plain)) - WORDS
    return set(NAME.findall(plain)) - functions - WORDS, functions, labels


def test_the_parts_of_an_expression_are_told_apart() -> None:
    found = _metrics_of(
        'sum by (a, b) (rate(m_count{c=~"x|y", d!="m"}[5m])) / 2 > time() - n and o'
    )
    assert found == ({"m_count", "n", "o"}, {"sum", "rate", "time"}, {"a", "b", "c", "d"})


@pytest.mark.parametrize(
    ("where", "expression"), EXPRESSIONS, ids=[name for name, _ in EXPRESSIONS]
)
def test_expressions_name_series_and_labels_that_there_are(
    series: Mapping[str, tuple[str, ...]], where: str, expression: str
) -> None:
    metrics, functions, labels = _metrics_of(expression)
    assert metrics, where
    assert metrics <= set(series)
    assert functions <= FUNCTIONS
    assert labels <= {label for metric in metrics for label in series[metric]}
    for opening, closing in ("()", "[]", "{}"):
        assert expression.count(opening) == expression.count(closing)
    assert expression.count('"') % 2 == 0


@pytest.mark.parametrize(
    ("where", "expression"), EXPRESSIONS, ids=[name for name, _ in EXPRESSIONS]
)
def test_rates_are_of_what_only_grows_and_what_every_process_says_is_not_summed(
    series: Mapping[str, tuple[str, ...]], where: str, expression: str
) -> None:
    for name in re.findall(r"(?:rate|increase)\((\w+)", expression):
        assert name.endswith(("_total", "_count", "_sum", "_bucket")), where
    for name in series:
        if name.startswith("tandem_"):
            assert not re.search(rf"sum(?: by \([^)]*\))? \(?(?:rate\()?{name}\b", expression), (
                where
            )


def test_every_metric_is_shown_or_watched(series: Mapping[str, tuple[str, ...]]) -> None:
    named = set().union(*(_metrics_of(expression)[0] for _, expression in EXPRESSIONS))
    unused = set(series) - named
    assert unused <= {"http_server_request_duration_seconds_sum"}


def test_rules_are_what_prometheus_loads() -> None:
    document = yaml.safe_load(ALERTS)
    assert set(document) == {"groups"}
    names = [group["name"] for group in document["groups"]]
    assert len(set(names)) == len(names)
    for group in document["groups"]:
        assert set(group) == {"name", "rules"}
    alerts = [rule["alert"] for rule in RULES]
    assert len(set(alerts)) == len(alerts)
    for rule in RULES:
        assert {"alert", "expr", "labels", "annotations"} <= set(rule)
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"Tandem[A-Za-z]+", rule["alert"])
        assert DURATION.fullmatch(rule.get("for", "1m"))
        assert all(DURATION.fullmatch(span) for span in re.findall(r"\[(.*?)\]", rule["expr"]))
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}
        for text in rule["annotations"].values():
            assert isinstance(text, str)
            assert text.count("{{") == text.count("}}")


@pytest.mark.parametrize("source", ["alerts", "page"])
def test_the_yaml_is_clean(source: str) -> None:
    block = re.search(r"^```yaml prometheus\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert block
    config = YamlLintConfig(file=str(ROOT / ".yamllint"))
    problems = linter.run(ALERTS if source == "alerts" else block[1], config)
    assert [str(problem) for problem in problems] == []


def test_the_rules_look_for_log_lines_that_are_written() -> None:
    named = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", " ".join(_descriptions())))
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "service").rglob("*.py")]
    assert named
    assert [name for name in named if not any(f'"{name}"' in source for source in sources)] == []


def _descriptions() -> list[str]:
    return [rule["annotations"]["description"] for rule in RULES]


def test_the_dashboard_has_one_source_and_panels_that_do_not_overlap() -> None:
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource"]
    panels: list[dict[str, Any]] = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells, panel["title"]
        cells |= own


def test_the_page_lists_every_metric_with_its_type_and_labels(
    shown: Mapping[str, tuple[str, tuple[str, ...]]],
) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|.+\|$", PAGE, re.MULTILINE)
    listed = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert listed == {name: tuple(found) for name, found in shown.items()}
    assert len(rows) == len(listed)

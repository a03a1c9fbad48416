import json

from support.demo_results import CORPUS, DOMAINS, RESULT

from demo.report import aligned, comparison_table, markdown, mixture_json, mixture_table, report


def test_the_mixture_table_compares_with_the_natural_shares() -> None:
    assert mixture_table(RESULT)[1:] == [
        ["code", "80.0%", "60.0%", "x 0.75", "1.0"],
        ["legal", "20.0%", "40.0%", "x 2.00", "4.0"],
    ]


def test_the_best_mixture_stands_first() -> None:
    table = comparison_table(DOMAINS, RESULT.stage_two)
    assert [row[0] for row in table] == ["mixture", "tandem", "natural"]
    assert table[1][1] == "5.250"


def test_columns_are_aligned() -> None:
    assert aligned([["a", "long"], ["bcd", "1"]]) == "a    long\n---------\nbcd     1"


def test_a_markdown_table_has_a_rule_below_its_header() -> None:
    assert markdown([["a", "b"], ["1", "2"]]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"


def test_the_report_holds_verdict_warnings_sources_and_times() -> None:
    text = report(RESULT, CORPUS, {"the job": 150.0}, "2 cores")
    assert "**better**: The learned mixture is best." in text
    assert "- The mixture still moved at the end." in text
    assert "| code | a nature | 3 | 100 | p 1.0 | MIT |" in text
    assert "| the job | 150.0 |" in text
    assert "sha256 `abc123`" in text


def test_the_mixture_file_is_shares_per_domain() -> None:
    content = json.loads(mixture_json(RESULT))
    assert content["shares"] == {"code": 0.6, "legal": 0.4}
    assert content["verdict"]["outcome"] == "better"

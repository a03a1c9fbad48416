"""Reports of a comparison: safe to open, complete, the same bytes for the same data."""

import csv
import io
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from support.comparisons import curve, outcome

from service.comparisons.figures import FIGURES, figures
from service.comparisons.report_csv import as_csv
from service.comparisons.report_html import as_html
from service.comparisons.report_markdown import as_markdown
from service.comparisons.table import tabulate
from service.jobs.lifecycle import JobState
from service.jobs.schemas import JobError

NASTY = ("<script>alert(1)</script>", "=cmd|x", "-1+1")


def cells(domains: tuple[str, ...] = ("code", "manuals")) -> list:
    count = len(domains)
    shares = [1 / count] * count
    found = [
        outcome(
            entry,
            seed,
            [loss + seed / 100 + index / 50 for index in range(count)],
            alpha=shares,
            domains=domains,
            curve=curve(count),
            work=work,
        )
        for entry, loss, work in (("tandem", 2.0, 1900.0), ("@peer | one", 2.2, 1.0))
        for seed in range(2)
    ]
    error = JobError(code="diverged", message="<b>not</b> finite", retryable=False)
    return [*found, outcome("gone", 0, state=JobState.FAILED, error=error)]


ENTRIES = [("tandem", "tandem"), ("@peer | one", "doge"), ("gone", "aioli")]


class Tags(HTMLParser):
    """Collects tags, addresses and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v for k, v in attrs if k in {"src", "href", "xlink:href"} and v]

    def handle_data(self, data: str) -> None:
        self.text += data


def page(domains: tuple[str, ...] = ("code", "manuals")) -> str:
    found = cells(domains)
    return as_html("A <title>", tabulate(ENTRIES, found, 2), found, budget=1962.3)


def test_the_page_holds_all_it_needs_and_runs_nothing() -> None:
    tags = Tags()
    tags.feed(page())
    assert "script" not in tags.tags
    assert "link" not in tags.tags
    assert all(address.startswith("#") for address in tags.addresses)
    assert tags.tags.count("svg") == len(FIGURES)
    assert "A <title>" in tags.text
    assert "2 of 2" in tags.text


def test_names_from_users_stay_text() -> None:
    tags = Tags()
    tags.feed(page(NASTY))
    assert "script" not in tags.tags
    assert NASTY[0] in tags.text
    assert "b" not in tags.tags
    assert "<b>not</b> finite" in tags.text


@pytest.mark.parametrize("count", [2, 50])
def test_figures_are_whole_svg_for_few_domains_and_for_many(count: int) -> None:
    names = tuple(f"domain {number:02}" for number in range(count))
    found = cells(names)
    drawn = figures(tabulate(ENTRIES, found, 2), found)
    assert [figure.title for figure in drawn] == [title for title, *_ in FIGURES]
    for figure in drawn:
        assert ET.fromstring(figure.svg).tag.endswith("svg")  # noqa: S314 - our own
    mixtures = next(figure for figure in drawn if figure.title == "Learned mixtures")
    assert ("39 others" in mixtures.svg) == (count == 50)


def test_a_figure_without_data_is_left_out() -> None:
    found = [cell for cell in cells() if cell.state != JobState.FAILED]
    bare = [outcome(cell.entry, cell.seed, (2.0, 2.1)) for cell in found]
    titles = [figure.title for figure in figures(tabulate(ENTRIES, bare, 2), bare)]
    assert titles == ["Average test perplexity", "Learned mixtures"]
    assert figures(tabulate(ENTRIES, [], 2), []) == []


def test_the_same_data_give_the_same_bytes() -> None:
    assert page() == page()


def test_names_cannot_become_formulas_in_a_spreadsheet() -> None:
    found = cells(NASTY)
    rows = list(csv.reader(io.StringIO(as_csv(tabulate(ENTRIES, found, 2)))))
    assert {row[0] for row in rows[1:]} == {"tandem", "'@peer | one", "gone"}
    for cell in (cell for row in rows for cell in row):
        number = cell.removeprefix("-").replace(".", "").replace("e-", "").isdigit()
        assert number or not cell.startswith(("=", "+", "-", "@"))


def test_csv_has_a_row_per_entry_and_a_column_per_perplexity_and_share() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(tabulate(ENTRIES, cells(), 2)))))
    first = next(row for row in rows if row["entry"] == "tandem")
    assert float(first["alpha:code"]) == pytest.approx(0.5)
    assert float(first["perplexity:manuals"]) == pytest.approx(7.5762, rel=1e-3)
    gone = next(row for row in rows if row["entry"] == "gone")
    assert gone["average_loss"] == ""
    assert gone["failures"] == "seed 0: diverged: <b>not</b> finite"


def test_markdown_keeps_its_columns_whatever_the_names() -> None:
    text = as_markdown("One | two", tabulate(ENTRIES, cells(), 2))
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 4
    for block in tables:
        counts = {line.replace("\\|", "").count("|") for line in block.splitlines()}
        assert len(counts) == 1
    assert "- gone, seed 0: diverged" in text

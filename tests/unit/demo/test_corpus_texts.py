import pytest

from demo.corpus.texts import (
    CorpusError,
    Document,
    NearDuplicates,
    cut_to_size,
    grouped,
    package_file,
    package_origin,
    paragraphs,
    shuffled,
    tidy,
)


def documents(count: int) -> list[Document]:
    return [Document(f"text number {index}", str(index)) for index in range(count)]


def test_tidy_leaves_one_empty_line_and_unix_line_ends() -> None:
    assert tidy("a  \r\n\r\n\r\n\r\nb\0\n") == "a\n\nb"


def test_paragraphs_are_what_empty_lines_separate() -> None:
    assert paragraphs("one\nstill one\n \n\ntwo\n") == ["one\nstill one", "two"]


def test_grouped_parts_reach_the_size_and_a_short_rest_is_left_out() -> None:
    assert list(grouped(["aaaa", "bbbb", "c"], 10)) == ["aaaa\n\nbbbb"]


def test_a_text_that_quotes_a_seen_one_is_not_new() -> None:
    new = NearDuplicates()
    clause = "the software is provided as is without warranty of any kind express or implied"
    assert new.is_new(clause)
    assert not new.is_new(clause.upper() + "!")
    assert new.is_new("conversations about the weather and the best film of the whole last year")


def test_the_order_depends_on_texts_and_seed_alone() -> None:
    straight = shuffled(documents(50), seed=1)
    assert straight == shuffled(reversed(documents(50)), seed=1)
    assert straight != shuffled(documents(50), seed=2)
    assert sorted(straight, key=lambda d: int(d.source)) == documents(50)


def test_cutting_keeps_whole_documents_within_the_size_in_bytes() -> None:
    chosen = cut_to_size([Document("ä" * 6, "a"), Document("b" * 20, "b"), Document("c", "c")], 13)
    assert [document.source for document in chosen] == ["a", "c"]


def test_a_missing_package_says_how_to_install_it() -> None:
    with pytest.raises(CorpusError, match=r"no-such-package.*pip install -e"):
        package_origin("no-such-package", "MIT")


def test_a_missing_file_of_a_package_names_package_and_file() -> None:
    with pytest.raises(CorpusError, match=r"pytest .* carries no nothing\.txt"):
        package_file("pytest", "nothing.txt")

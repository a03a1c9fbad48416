"""The mixture of a result in the units that trainers want."""

import pytest
from support.jobs import job_spec, result_record

from service.jobs.mixture_schemas import read_mixture
from service.jobs.result_schemas import ResultRead
from tandem_engine.contracts.records import DomainStatistics, ResultRecord


def statistics(name: str, *, documents: int, tokens: int) -> DomainStatistics:
    return DomainStatistics(
        name=name,
        documents=documents,
        duplicates_removed=0,
        bytes=tokens,
        tokens=tokens,
        train_documents=documents,
        train_tokens=tokens,
        validation_tokens=10,
        test_tokens=10,
        train_sequences=1,
        natural_share=0.5,
        train_loss_tokens=tokens,
        fingerprint="0" * 64,
    )


def read(record: ResultRecord, **spec: object) -> dict[str, object]:
    result = ResultRead.model_validate(record.model_dump())
    return read_mixture("job_1", job_spec(**spec).model_dump(), result).model_dump()


def test_documents_tokens_and_passes_follow_from_the_sizes_of_the_domains() -> None:
    # 0.6 and 0.4 of 1000 tokens; code has 100 documents of 30 tokens, manuals 5 of 40.
    sizes = [
        statistics("code", documents=100, tokens=3000),
        statistics("manuals", documents=5, tokens=200),
    ]
    shown = read(result_record().model_copy(update={"domains": sizes}))
    raw = {"code": 0.6 / 30, "manuals": 0.4 / 40}
    total = sum(raw.values())
    assert shown["document_shares"] == pytest.approx({k: v / total for k, v in raw.items()})
    assert shown["target_tokens"] == {"code": 600, "manuals": 400}
    assert shown["epochs"] == pytest.approx({"code": 0.2, "manuals": 2.0})


def test_a_result_without_sizes_has_shares_only() -> None:
    shown = read(result_record())
    assert shown["shares"] == {"code": 0.6, "manuals": 0.4}
    assert shown["document_shares"] is shown["target_tokens"] is shown["epochs"] is None


def test_caps_and_the_unit_come_from_the_specification() -> None:
    shown = read(result_record())
    assert (shown["unit"], shown["maximum_epochs"]) == ("tokens", {})
    domains = [
        {"name": "code", "uris": ["/data/a.jsonl"], "records": "messages", "maximum_epochs": 3},
        {"name": "manuals", "uris": ["/data/b.jsonl"], "records": "messages"},
    ]
    shown = read(result_record(), scenario="sft", domains=domains)
    assert (shown["unit"], shown["maximum_epochs"]) == ("response_tokens", {"code": 3})

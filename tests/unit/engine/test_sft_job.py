"""Fine-tuning from records to mixture, scores and manifest, fresh and pretrained."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support.conversations import TEMPLATE, model_folder, sft_spec, tokenizer_folder
from support.manifests import listed_documents
from support.tiny_jobs import Recorder

from tandem_engine.contracts.models import TokenizerSpec
from tandem_engine.contracts.records import ResultRecord, StageTwoRun
from tandem_engine.contracts.spec import JobSpec
from tandem_engine.data.corpus import load_corpus
from tandem_engine.data.tokenise import load_tokenizer
from tandem_engine.errors import StopRequestedError
from tandem_engine.job import run_job
from tandem_engine.language_model import LanguageModelObjective
from tandem_engine.presets import resolve

EXAMPLE = Path(__file__).parents[3] / "examples" / "sft.json"


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    return sft_spec(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def straight(
    spec: JobSpec, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Recorder, ResultRecord, Path]:
    recorder, out = Recorder(), tmp_path_factory.mktemp("straight")
    return recorder, run_job(spec, out, emit=recorder), out


def test_a_job_ends_with_a_mixture_and_a_score_for_each_task(
    straight: tuple[Recorder, ResultRecord, Path],
) -> None:
    recorder, result, _ = straight
    assert len(recorder.points) == 4
    assert sum(result.mixture.alpha) == pytest.approx(1.0)
    for row in result.stage_two:
        assert row.metrics is not None
        assert row.metrics_sd is not None
        assert all(value is not None and 0 <= value <= 1 for value in row.metrics)


def test_the_manifest_counts_the_tokens_of_responses(
    straight: tuple[Recorder, ResultRecord, Path],
) -> None:
    _, result, out = straight
    head = json.loads((out / "manifest" / "manifest.json").read_text())
    assert head["unit"] == "response_tokens"
    available = {row["domain"]: row["available_tokens"] for row in head["domains"]}
    assert available == {d.name: d.train_loss_tokens for d in result.domains}
    rows = listed_documents(out / "manifest")
    # "yes" or "no", the line's end, the end of text.
    assert {row["token_count"] for row in rows if row["domain"] == "parity"} <= {4, 5}


def test_a_job_stopped_at_any_checkpoint_ends_as_if_it_had_not_been(
    spec: JobSpec, straight: tuple[Recorder, ResultRecord, Path], tmp_path: Path
) -> None:
    expected = [run for run in straight[0].records if isinstance(run, StageTwoRun)]
    for stop_after in (2, 6):
        out = tmp_path / str(stop_after)
        stopped = Recorder(stop_after_checkpoints=stop_after)
        with pytest.raises(StopRequestedError):
            run_job(spec, out, emit=stopped, stop=stopped.stop)
        resumed = Recorder()
        result = run_job(spec, out, emit=resumed, attempt=2)
        assert resumed.points == straight[0].points
        assert result.mixture == straight[1].mixture
        assert result.stage_two == straight[1].stage_two
        assert expected[-1] in resumed.records


def test_a_pretrained_folder_is_fine_tuned_with_its_own_template(tmp_path: Path) -> None:
    folder = str(model_folder(tmp_path / "model"))
    spec = sft_spec(
        tmp_path / "data",
        model={"architecture": "huggingface", "path": folder, "pretrained": True},
        tokenizer={"kind": "huggingface", "path": folder},
    )
    result = run_job(spec, tmp_path / "out", emit=Recorder())
    assert sum(result.mixture.alpha) == pytest.approx(1.0)
    assert all(row.metrics for row in result.stage_two)


def test_the_template_of_the_tokenizer_decides_what_is_learned(tmp_path: Path) -> None:
    folder = str(tokenizer_folder(tmp_path / "tokenizer"))
    tokenizer = load_tokenizer(TokenizerSpec(kind="huggingface", path=folder))
    spec = resolve(sft_spec(tmp_path / "data", tokenizer={"kind": "huggingface", "path": folder}))
    corpus = load_corpus(spec, tmp_path / "cache", lambda _: None)
    coded = corpus.domains[0].train.rows(np.array([0]))[0]
    learned = tokenizer.decode([int(token) for token in coded if token >= 0])
    # The mark that closes the turn is learned as well; decoding leaves it out.
    assert learned.startswith("w")
    assert tokenizer.end_of_text in coded.tolist()
    assert "<|im_end|>" in TEMPLATE


def test_another_template_is_another_fingerprint(tmp_path: Path) -> None:
    prints = [
        load_tokenizer(
            TokenizerSpec(
                kind="huggingface",
                path=str(tokenizer_folder(tmp_path / name, template=template)),
            )
        ).fingerprint
        for name, template in (("with", TEMPLATE), ("without", None))
    ]
    assert prints[0] != prints[1]


def test_a_domains_loss_is_the_mean_over_its_response_tokens(spec: JobSpec, tmp_path: Path) -> None:
    resolved = resolve(spec)
    corpus = load_corpus(resolved, tmp_path / "cache", lambda _: None)
    objective = LanguageModelObjective(corpus, resolved, torch.device("cpu"))
    batch = objective.train_batch(torch.full((3,), 1 / 3, dtype=torch.float64))
    counted_R = (batch.rows[:, 1:] >= 0).sum(dim=1).double()
    losses_R = torch.arange(1.0, len(counted_R) + 1, dtype=torch.float64)
    members = [batch.domain_R == m for m in range(3)]
    by_hand = [
        float((counted_R * losses_R)[rows].sum() / counted_R[rows].sum()) for rows in members
    ]
    assert batch.per_domain(losses_R, 3).tolist() == pytest.approx(by_hand)
    alpha_M = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    weighted = float((batch.train_weights(alpha_M) * losses_R).sum())
    assert weighted == pytest.approx(float(alpha_M @ torch.tensor(by_hand, dtype=torch.float64)))


def test_records_drawn_by_alpha_hold_its_share_of_response_tokens(
    spec: JobSpec, tmp_path: Path
) -> None:
    resolved = resolve(
        spec.evolve(learning=spec.learning.model_dump(exclude_unset=True) | {"sampling": "sampled"})
    )
    corpus = load_corpus(resolved, tmp_path / "cache", lambda _: None)
    objective = LanguageModelObjective(corpus, resolved, torch.device("cpu"))
    alpha_M = torch.tensor([0.6, 0.1, 0.3], dtype=torch.float64)
    tokens_M = torch.zeros(3, dtype=torch.float64)
    for _ in range(400):
        batch = objective.train_batch(alpha_M)
        tokens_M.index_add_(0, batch.domain_R, batch.weight_R)
    torch.testing.assert_close(tokens_M / tokens_M.sum(), alpha_M, rtol=0.05, atol=0.01)


def test_an_empty_answer_teaches_where_to_stop(tmp_path: Path) -> None:
    spec = sft_spec(tmp_path / "data")
    path = Path(spec.domains[0].uris[0])
    empty = {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": ""}]}
    path.write_text(path.read_text() + json.dumps(empty) + "\n")
    corpus = load_corpus(resolve(spec), tmp_path / "cache", lambda _: None)
    assert corpus.domains[0].statistics.documents == 31
    # The line's end and the end of text.
    assert corpus.domains[0].documents["tokens"].min() == 2


def test_the_example_specification_is_valid_and_in_the_scenario() -> None:
    spec = resolve(JobSpec.model_validate_json(EXAMPLE.read_text(encoding="utf-8")))
    assert spec.scenario == "sft"
    assert {domain.task for domain in spec.domains} == {"open_ended", "multiple_choice", "yes_no"}

"""Jobs of other kinds over HTTP: for targets, and for fine-tuning."""

import json
from pathlib import Path
from typing import Any

from support.api import Api
from support.jobs import point, result_record

from service.db.session import unit_of_work
from service.jobs import leases
from tandem_engine.contracts.records import Evidence, ResultRecord, StageTwoRow, Verdict


def _finish(api: Api, job_id: str, result: ResultRecord, **changes: Any) -> None:
    with unit_of_work(api.context.sessions) as work:
        claim = leases.claim(work.session, job_id, "worker")
        assert claim is not None
        leases.mark_running(work.session, claim.lease, "learning")
        leases.append_points(work.session, claim.lease, [point(1).evolve(**changes)])
        leases.finish_succeeded(work.session, claim.lease, result)


def _row(**changes: Any) -> StageTwoRow:
    base = {
        "mixture": "tandem",
        "alpha": [0.6, 0.4],
        "epochs": [1.0, 2.0],
        "perplexity": [4.0],
        "average_perplexity": 4.0,
        "average_loss": 1.386,
        "average_loss_sd": 0.01,
        "seeds": 2,
    }
    return StageTwoRow.model_validate(base | changes)


def _target(api: Api, **changes: Any) -> dict[str, Any]:
    return api.domain("exam") | {"weight": 2.0} | changes


def test_a_job_for_targets_is_submitted_and_read_back(api: Api) -> None:
    job = api.create(targets=[_target(api)])
    assert [one["weight"] for one in job["spec"]["targets"]] == [2.0]
    evidence = Evidence(moved=0.2, null_moved=0.1, null_moved_high=0.15, travel=0.4)
    verdict = Verdict(
        outcome="tie", text="A tie.", best_mixture="tandem", warnings=[], evidence=evidence
    )
    result = result_record().evolve(
        stage_two=[_row()], evaluated_on=["exam"], verdict=verdict.model_dump()
    )
    _finish(api, job["id"], result, target_loss=[1.5], gap=[0.25, 0.25])

    read = api.client.get(f"/v1/jobs/{job['id']}").json()
    assert read["result"]["evaluated_on"] == ["exam"]
    assert read["result"]["verdict"]["evidence"]["null_moved_high"] == 0.15
    columns = api.client.get(f"/v1/jobs/{job['id']}/trajectory").json()["columns"]
    assert columns["target_loss"] == [[1.5]]
    assert columns["gap"] == [[0.25, 0.25]]
    text = api.client.get(f"/v1/jobs/{job['id']}/trajectory?format=csv").text
    names, values = (line.split(",") for line in text.splitlines())
    assert dict(zip(names, values, strict=True))["target_loss:exam"] == "1.5"


def test_points_of_an_older_release_have_empty_cells_for_what_is_newer(api: Api) -> None:
    job = api.create()
    _finish(api, job["id"], result_record())
    text = api.client.get(f"/v1/jobs/{job['id']}/trajectory?format=csv").text
    names, values = (line.split(",") for line in text.splitlines())
    row = dict(zip(names, values, strict=True))
    assert (row["gap:code"], row["gradient_cosine"]) == ("", "")


def test_a_targets_file_is_checked_before_there_is_a_job(api: Api) -> None:
    missing = _target(api, uris=[str(api.data / "nowhere.jsonl")])
    answer = api.client.post("/v1/jobs", json={"spec": api.spec(targets=[missing])})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/spec/targets/0/uris/0"
    assert api.client.get("/v1/jobs").json()["data"] == []


def _chats(folder: Path, name: str) -> dict[str, Any]:
    path = folder / f"chat-{name}.jsonl"
    records = [{"prompt": f"{name} {n}?", "completion": "yes"} for n in range(4)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return {
        "name": name,
        "uris": [str(path)],
        "records": "prompt_completion",
        "task": "yes_no",
    }


def test_a_fine_tuning_job_is_submitted_and_its_scores_are_read(api: Api) -> None:
    domains = [_chats(api.data, name) for name in ("code", "manuals")]
    job = api.create(scenario="sft", domains=domains)
    assert job["spec"]["preset"] == "tiny-sft"
    assert job["spec"]["model"]["architecture"] == "qwen2"
    row = _row(metrics=[0.75, None], metrics_sd=[0.05, None], perplexity=[4.0, 5.0])
    _finish(api, job["id"], result_record().evolve(stage_two=[row]))
    (read,) = api.client.get(f"/v1/jobs/{job['id']}").json()["result"]["stage_two"]
    assert read["metrics"] == [0.75, None]
    assert read["metrics_sd"] == [0.05, None]


def test_texts_in_a_fine_tuning_job_are_refused_with_what_to_set(api: Api) -> None:
    answer = api.client.post("/v1/jobs", json={"spec": api.spec(scenario="sft")})
    assert answer.status_code == 422
    assert "set records to messages or prompt_completion" in answer.text

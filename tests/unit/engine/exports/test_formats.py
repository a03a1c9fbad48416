"""What every format writes, and the traps of each trainer."""

import ast
import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
import yaml
from support.exports import Given, written

from tandem_engine.errors import ExportRefusedError, InvalidSpecError
from tandem_engine.exports.base import exact
from tandem_engine.exports.registry import EXPORTERS

MIXTURE = {
    "short notes": Given(0.3, [(10, 10, 300), (20, 20, 100)]),
    "long/papers": Given(0.5, [(1000, 1000, 20), (3000, 3000, 5)]),
    "mid": Given(0.2, [(90, 90, 50)], held_out=7),
    "unused": Given(0.0, [(5, 5, 5)]),
}
TARGET = 20_000
TOKEN_SHARES = [0.3, 0.5, 0.2]
SLUGS = ["short-notes", "long-papers", "mid"]
DOCUMENTS = [0.3 / 12.5, 0.5 / 1400, 0.2 / 90]
DOCUMENT_SHARES = [part / sum(DOCUMENTS) for part in DOCUMENTS]
EPOCHS = [6000 / 5000, 10_000 / 35_000, 4000 / 4500]


def content(name: str, file: str | None = None, **options: Any) -> str:
    made = written(name, MIXTURE, target=TARGET, **options)
    return made.files[file or made.primary]


def of_yaml(name: str, file: str | None = None, **options: Any) -> Any:
    return yaml.safe_load(content(name, file, **options))


def of_json(name: str, file: str | None = None, **options: Any) -> Any:
    return json.loads(content(name, file, **options))


def constants(script: str) -> dict[str, Any]:
    """Return what a script assigns to names in capitals."""
    found = {}
    for node in ast.parse(script).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


@pytest.mark.parametrize("name", EXPORTERS)
def test_every_format_has_files_a_source_and_a_note(name: str) -> None:
    made = written(name, MIXTURE, target=TARGET)
    assert made.primary == next(iter(made.files))
    assert list(made.files)[-1] == "NOTES.md"
    assert made.exporter.source
    assert made.usage
    note = made.files["NOTES.md"]
    assert "Left out, with a share of 0: unused." in note
    assert all(warning in note for warning in made.warnings)
    for file, text in made.files.items():
        assert text.endswith("\n"), file
        if file.endswith(".py"):
            compile(text, file, "exec")
        elif file.endswith(".json"):
            json.loads(text)
        elif file.endswith((".yaml", ".yml")):
            yaml.safe_load(text)


@pytest.mark.parametrize("name", EXPORTERS)
def test_records_that_the_manifest_leaves_out_are_said_where_files_are_read(name: str) -> None:
    made = written(name, MIXTURE, target=TARGET)
    told = any("'mid' 7" in warning for warning in made.warnings)
    assert told == made.exporter.reads_sources


@pytest.mark.parametrize("name", EXPORTERS)
def test_no_domain_with_share_zero_reaches_a_trainer(name: str) -> None:
    made = written(name, MIXTURE, target=TARGET)
    if name not in {"json", "yaml", "csv"}:
        assert all("unused" not in text for file, text in made.files.items() if file != "NOTES.md")


def test_an_unknown_format_is_refused_with_all_known_ones() -> None:
    with pytest.raises(InvalidSpecError, match="no format 'torchtune'") as told:
        written("torchtune", MIXTURE)
    assert "megatron" in told.value.hint


@pytest.mark.parametrize("count", [1, 2, 3, 7, 30, 255])
def test_exact_shares_sum_to_one_from_left_to_right(count: int) -> None:
    shares = exact([1 / (place + 3) for place in range(count)])
    assert sum(shares) == 1.0
    assert math.fsum(shares) == pytest.approx(1, abs=1e-15)


def test_megatron_takes_weights_before_prefixes() -> None:
    blend = of_json("megatron", path_template="/data/{slug}_text_document")
    assert list(blend) == ["train", "valid", "test"]
    assert [float(weight) for weight in blend["train"][::2]] == pytest.approx(TOKEN_SHARES)
    assert blend["train"][1::2] == [f"/data/{slug}_text_document" for slug in SLUGS]
    text = content("megatron", "blend.txt", path_template="/data/{slug}_text_document")
    assert text.split() == blend["train"]


def test_megatron_has_no_text_form_where_a_path_has_a_space() -> None:
    made = written("megatron", MIXTURE, path_template="/my data/{slug}")
    assert list(made.files) == ["blend.json", "NOTES.md"]


def test_megatron_splits_a_domain_of_several_files_by_their_tokens() -> None:
    files = [("/d/a0.bin", "megatron", 300), ("/d/a1.bin", "megatron", 100)]
    other = [("/d/b.bin", "megatron", 400)]
    domains = {
        "a": Given(0.8, [(4, 4, 100)], uris=files),
        "b": Given(0.2, [(4, 4, 100)], uris=other),
    }
    made = written("megatron", domains)
    train = json.loads(made.files["blend.json"])["train"]
    assert [float(weight) for weight in train[::2]] == pytest.approx([0.6, 0.2, 0.2])
    assert train[1::2] == ["/d/a0", "/d/a1", "/d/b"]


def test_a_template_without_the_domain_is_refused() -> None:
    with pytest.raises(ExportRefusedError, match="same prefix"):
        written("megatron", MIXTURE, path_template="/data/all")


def test_a_template_cannot_reach_into_python() -> None:
    train = of_json("megatron", path_template="/{slug}/{domain.__class__}/{0}")["train"]
    assert train[1] == "/short-notes/{domain.__class__}/{0}"


def test_nemo_and_gpt_neox_say_the_same_as_megatron() -> None:
    blend = of_json("megatron")["train"]
    assert of_json("nemo") == blend
    neox = of_yaml("gpt_neox")
    assert neox["train-data-paths"] == blend[1::2]
    assert neox["train-data-weights"] == [float(weight) for weight in blend[::2]]
    assert neox["weight_by_num_documents"] is False


def test_bridge_sft_takes_passes_over_the_rows_that_are_there() -> None:
    config = of_json("bridge_sft")
    expected = [EPOCHS[0], EPOCHS[1], EPOCHS[2] * 50 / 57]
    assert config["source_weights"] == pytest.approx(expected)
    assert config["source"] == [f"/data/{name}.jsonl" for name in list(MIXTURE)[:3]]


def test_energon_takes_repetitions_or_shares_of_documents() -> None:
    exactly = of_yaml("energon")["splits"]["train"]["blend_epochized"]
    expected = [EPOCHS[0], EPOCHS[1], EPOCHS[2] * 50 / 57]
    assert [entry["repetitions"] for entry in exactly] == pytest.approx(expected)
    drawn = of_yaml("energon", "blend.yaml")["splits"]["train"]["blend"]
    assert [entry["weight"] for entry in drawn] == pytest.approx(DOCUMENT_SHARES)
    assert [entry["subflavors"]["domain"] for entry in drawn] == list(MIXTURE)[:3]


def test_mosaic_takes_whole_samples_of_documents_or_of_sequences() -> None:
    streams = of_yaml("mosaic")["train_loader"]["dataset"]["streams"]
    assert [stream["choose"] for stream in streams.values()] == [480, 7, 45]
    packed = of_yaml("mosaic", packed=True, sequence_length=100)["train_loader"]["dataset"]
    assert [stream["choose"] for stream in packed["streams"].values()] == [60, 100, 40]
    assert packed["max_seq_len"] == 100
    assert list(packed["streams"]) == SLUGS
    assert len({stream["local"] for stream in packed["streams"].values()}) == 3


def test_the_take_script_holds_whole_documents() -> None:
    plan = constants(content("huggingface"))["PLAN"]
    assert [row[3] for row in plan] == [480, 7, 45]
    assert [row[0] for row in plan] == list(MIXTURE)[:3]
    drawn = constants(content("huggingface", "interleave.py"))["PLAN"]
    assert [row[3] for row in drawn] == pytest.approx(DOCUMENT_SHARES)
    assert sum(row[3] for row in drawn) == 1.0


def test_names_of_domains_stay_text_in_scripts() -> None:
    hostile = {
        'a")\nimport os #': Given(0.5, [(5, 5, 100)]),
        "b'''": Given(0.5, [(5, 5, 100)]),
    }
    for name in EXPORTERS:
        made = written(name, hostile, path_template="/data/{slug}")
        for file, text in made.files.items():
            if file.endswith(".py"):
                imports = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Import)]
                assert all(alias.name != "os" for node in imports for alias in node.names), name


def test_trl_lists_a_repeated_domain_once_per_pass() -> None:
    entries = of_yaml("trl")["datasets"]
    files = [entry["data_files"] for entry in entries]
    assert files == ["/data/short notes.jsonl"] * 2 + ["/data/long/papers.jsonl", "/data/mid.jsonl"]
    fractions = [entry["fraction"] for entry in entries]
    assert fractions[0] == fractions[1]
    assert [fractions[0] * 2, *fractions[2:]] == pytest.approx(DOCUMENT_SHARES)
    assert {entry["path"] for entry in entries} == {"json"}


def test_olmo_core_allows_the_repetition_that_is_needed_and_no_more() -> None:
    sources = of_yaml("olmo_core")["sources"]
    assert [source["target_ratio"] for source in sources] == pytest.approx(TOKEN_SHARES)
    assert sum(source["target_ratio"] for source in sources) == 1.0
    assert [source["max_repetition_ratio"] for source in sources] == [1.212, 1.0, 1.0]


def test_olmix_writes_its_own_optimum_by_name() -> None:
    assert [row["domain"] for row in of_json("olmix", "weights.json")] == list(MIXTURE)[:3]
    mix = of_yaml("olmix")["mix"]
    assert [entry["weight"] for entry in mix.values()] == pytest.approx(TOKEN_SHARES)


@pytest.mark.parametrize("smallest", [0.3, 0.01, 0.001])
def test_levanters_own_rounding_changes_no_weight(smallest: float) -> None:
    domains = {
        "a": Given(smallest, [(5, 5, 10**6)]),
        "b": Given((1 - smallest) / 3, [(5, 5, 10**6)]),
        "c": Given(2 * (1 - smallest) / 3, [(5, 5, 10**6)]),
    }
    data = yaml.safe_load(written("levanter", domains).files["levanter.yaml"])["data"]
    weights, block = data["train_weights"], data["mixture_block_size"]
    # MixtureDataset: normalised, then int(weight * block) sequences, the rest to the largest.
    total = sum(weights.values())
    kept = [int(weight / total * block) for weight in weights.values()]
    assert sum(kept) == block
    for count, one in zip(kept, domains.values(), strict=True):
        assert count / block == pytest.approx(one.share, rel=0.025)
    assert block <= 2**16 - 1


def test_levanter_refuses_a_share_that_its_blocks_cannot_hold() -> None:
    domains = {"a": Given(1e-6, [(5, 5, 10**6)]), "b": Given(1 - 1e-6, [(5, 5, 10**6)])}
    with pytest.raises(ExportRefusedError, match="cannot hold"):
        written("levanter", domains, target=10**7)


def test_nanotron_lists_folders_beside_weights() -> None:
    (stage,) = of_yaml("nanotron")["data_stages"]
    dataset = stage["data"]["dataset"]
    assert dataset["dataset_weights"] == pytest.approx(TOKEN_SHARES)
    assert dataset["dataset_folder"] == [f"data/{slug}" for slug in SLUGS]


def grains(weights: Sequence[float]) -> list[int]:
    """Return what mix.py makes of weights: the smallest comes to 100, and all are cut."""
    scale = 100 / min(weights)
    return [int(weight * scale) for weight in weights]


def test_grain_and_maxtext_take_whole_numbers_that_grain_does_not_round() -> None:
    weights = list(constants(content("grain"))["WEIGHTS"].values())
    assert weights == [round(100 * s / min(DOCUMENT_SHARES)) for s in DOCUMENT_SHARES]
    assert grains(weights) == weights
    maxtext = of_json("maxtext")
    assert [entry["weight"] for entry in maxtext.values()] == weights
    assert "hundredths of the smallest share" in content("grain", "NOTES.md")
    with pytest.raises(ExportRefusedError, match="commas and semicolons"):
        written("maxtext", MIXTURE, path_template="/a,b/{slug}")


@pytest.mark.parametrize("rare", [1e-6, 0.0137, 0.049, 0.0491, 0.1, 0.25, 1 / 3])
def test_weights_of_torchtitan_survive_that_it_normalises_them_before_grain(rare: float) -> None:
    domains = {
        name: Given(share, [(5, 5, 10**6)])
        for name, share in {"a": rare, "b": 0.4 * (1 - rare), "c": 0.6 * (1 - rare)}.items()
    }
    script = written("torchtitan", domains, target=10**5).files["mixture.py"]
    weights = list(constants(script)["WEIGHTS"].values())
    kept = grains([weight / sum(weights) for weight in weights])
    smallest = min(one.share for one in domains.values())
    assert kept == [round(100 * one.share / smallest) for one in domains.values()]


def test_litdata_mixes_documents_or_sequences() -> None:
    documents = constants(content("litdata"))["PLAN"]
    assert [row[2] for row in documents] == pytest.approx(DOCUMENT_SHARES)
    script = content("litdata", packed=True, sequence_length=64)
    assert "TokensLoader(block_size=64)" in script
    assert [row[2] for row in constants(script)["PLAN"]] == pytest.approx(TOKEN_SHARES)


def test_torchdata_takes_floats() -> None:
    weights = constants(content("torchdata"))["WEIGHTS"]
    assert all(type(weight) is float for weight in weights.values())
    assert list(weights.values()) == pytest.approx(DOCUMENT_SHARES)


def test_webdataset_takes_probabilities_of_documents() -> None:
    plan = constants(content("webdataset"))["PLAN"]
    assert [row[2] for row in plan] == pytest.approx(DOCUMENT_SHARES)


def test_llama_factory_takes_numbers_of_samples() -> None:
    config, info = of_yaml("llama_factory"), of_json("llama_factory", "dataset_info.json")
    assert config["dataset"].split(",") == list(info) == SLUGS
    assert config["mix_strategy"] == "concat"
    assert [entry["num_samples"] for entry in info.values()] == [480, 7, 45]
    chats = {
        "a": Given(0.5, [(9, 3, 9)], records="messages"),
        "b": Given(0.5, [(9, 3, 9)], records="prompt_completion"),
    }
    made = written("llama_factory", chats, unit="response_tokens", target=20)
    described = json.loads(made.files["dataset_info.json"])
    assert described["a"]["formatting"] == "sharegpt"
    assert described["b"]["columns"] == {"prompt": "prompt", "response": "completion"}


def test_axolotl_reads_the_materialised_corpus_without_what_would_change_it() -> None:
    config = of_yaml("axolotl")
    assert config["datasets"][0]["data_files"] == ["corpus/part-*.jsonl"]
    assert config["val_set_size"] == 0
    assert config["dataset_exact_deduplication"] is False


def test_doremi_names_domains() -> None:
    weights = of_json("doremi")["train_domain_weights"]
    assert list(weights) == list(MIXTURE)[:3]
    assert list(weights.values()) == pytest.approx(TOKEN_SHARES)


def test_plain_files_hold_every_unit_and_dropped_domains() -> None:
    as_json, as_yaml = of_json("json"), of_yaml("yaml")
    assert as_json == as_yaml
    rows = list(csv.DictReader(io.StringIO(content("csv"))))
    assert [row["domain"] for row in rows] == list(MIXTURE)
    for row, expected in zip(rows, as_json["domains"], strict=True):
        assert {name: str(value) for name, value in expected.items()} == row
    shares = [row["share_of_documents"] for row in as_json["domains"]]
    assert shares == pytest.approx([*DOCUMENT_SHARES, 0])

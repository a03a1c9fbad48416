"""Byte tokens, and Hugging Face tokenizers from a local folder."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem_engine.contracts.models import TokenizerSpec
from tandem_engine.data.tokenise import ByteTokenizer, load_tokenizer, token_dtype
from tandem_engine.errors import InvalidSpecError

VOCABULARY = {"<unk>": 0, "a": 1, "b": 2, "<end>": 7}


def tokenizer_folder(path: Path, *, end_of_text: str | None = "<end>") -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel(VOCABULARY, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", eos_token=end_of_text
    ).save_pretrained(path)
    return path


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=5))
def test_byte_tokens_are_the_utf8_bytes(texts: list[str]) -> None:
    tokenizer = ByteTokenizer()
    encoded = tokenizer.encode_batch(texts)
    assert [bytes(tokens.tolist()).decode("utf-8") for tokens in encoded] == texts
    assert all((tokens < tokenizer.end_of_text).all() for tokens in encoded)


def test_the_byte_vocabulary_ends_with_end_of_text() -> None:
    tokenizer = load_tokenizer(TokenizerSpec())
    assert (tokenizer.vocabulary_size, tokenizer.end_of_text) == (257, 256)


@pytest.mark.parametrize(("vocabulary", "dtype"), [(65536, np.uint16), (65537, np.uint32)])
def test_tokens_take_two_bytes_while_they_fit(vocabulary: int, dtype: type) -> None:
    assert token_dtype(vocabulary) is dtype


def test_a_hugging_face_tokenizer_gives_its_ids_and_no_special_tokens(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(
        TokenizerSpec(kind="huggingface", path=str(tokenizer_folder(tmp_path / "words")))
    )
    assert tokenizer.name == "words"
    assert (tokenizer.vocabulary_size, tokenizer.end_of_text) == (8, 7)
    assert [ids.tolist() for ids in tokenizer.encode_batch(["a b a", "c"])] == [[1, 2, 1], [0]]
    assert tokenizer.encode_batch([]) == []


def test_the_fingerprint_is_of_the_content_and_not_of_the_place(tmp_path: Path) -> None:
    here, there, other = (
        load_tokenizer(TokenizerSpec(kind="huggingface", path=str(folder))).fingerprint
        for folder in (
            tokenizer_folder(tmp_path / "here"),
            tokenizer_folder(tmp_path / "there"),
            tokenizer_folder(tmp_path / "other", end_of_text="b"),
        )
    )
    assert here == there != other


@pytest.mark.parametrize("content", [None, "{", "{}"])
def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
        (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "TokenizersBackend"}')
    with pytest.raises(InvalidSpecError, match="cannot be loaded") as caught:
        load_tokenizer(TokenizerSpec(kind="huggingface", path=str(tmp_path)))
    assert caught.value.field == "tokenizer.path"


def test_a_missing_folder_is_refused_and_not_looked_up_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecError, match="there is no folder"):
        load_tokenizer(TokenizerSpec(kind="huggingface", path=str(tmp_path / "gpt2")))


def test_a_tokenizer_without_end_of_text_is_refused(tmp_path: Path) -> None:
    folder = tokenizer_folder(tmp_path, end_of_text=None)
    with pytest.raises(InvalidSpecError, match="has no end-of-text token") as caught:
        load_tokenizer(TokenizerSpec(kind="huggingface", path=str(folder)))
    assert "eos_token" in caught.value.hint


def test_byte_jobs_do_not_import_transformers() -> None:
    code = (
        "import sys; from tandem_engine.contracts.models import TokenizerSpec; "
        "from tandem_engine.data.tokenise import load_tokenizer; load_tokenizer(TokenizerSpec()); "
        "sys.exit('transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

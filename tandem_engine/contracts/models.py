"""The model and its tokenizer, as a specification names them."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tandem_engine.contracts.base import Contract, Count

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
"""A name on the hub, owner/name; folders are absolute paths."""

Revision = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")]


class TokenizerSpec(Contract):
    """How text becomes tokens."""

    kind: Literal["bytes", "huggingface", "bpe"] = Field(
        default="bytes",
        description="`bytes`: one token per UTF-8 byte plus end-of-text; `huggingface`: `path`; "
        "`bpe`: a byte-level BPE of `vocabulary_size` entries that the job trains on a sample of "
        "its own domains and leaves in the manifest.",
        examples=["bytes"],
    )
    path: str | None = Field(
        default=None,
        description="Folder of a Hugging Face tokenizer on the worker, or its name on the hub "
        "(owner/name), which the worker must reach; only with `huggingface`.",
        examples=["/models/pythia-160m"],
    )
    revision: Revision | None = Field(
        default=None,
        description="Branch, tag or commit on the hub; null is the hub's default.",
        examples=["main"],
    )

    vocabulary_size: Annotated[int, Field(ge=257, le=2**20)] | None = Field(
        default=None,
        description="Entries of a `bpe`, end-of-text included; needed there and only there.",
        examples=[8192],
    )
    sample_bytes: Annotated[int, Field(ge=1)] = Field(
        default=50_000_000,
        description="Bytes of the domains' files, as they are stored, that a `bpe` is trained on.",
        examples=[50_000_000],
    )

    @model_validator(mode="after")
    def _path_goes_with_huggingface(self) -> Self:
        if (self.kind == "huggingface") != (self.path is not None):
            raise ValueError("`path` is needed with kind `huggingface` and only there")
        if (self.kind == "bpe") != (self.vocabulary_size is not None):
            raise ValueError("`vocabulary_size` is needed with kind `bpe` and only there")
        _require_place(self.path)
        return self


class ModelSpec(Contract):
    """The proxy u, the reference w and the stage-two models: a shape, or a Hugging Face model."""

    architecture: Literal["gpt_neox", "qwen2", "huggingface"] = Field(
        default="gpt_neox",
        description="`gpt_neox` (as Pythia) and `qwen2` take the shape given here, with fresh "
        "weights; `huggingface` takes everything from `path`.",
        examples=["gpt_neox"],
    )
    hidden_size: Count = Field(default=128, description="Width, in units.", examples=[128])
    layers: Count = Field(default=2, description="Transformer blocks.", examples=[2])
    heads: Count = Field(default=4, description="Attention heads.", examples=[4])
    key_value_heads: Count | None = Field(
        default=None,
        description="Heads that share keys and values (`qwen2`); null is `heads`.",
        examples=[2],
    )
    intermediate_size: Count = Field(default=512, description="MLP width.", examples=[512])
    tie_embeddings: bool = Field(
        default=False,
        description="Use the input embedding as the output's, too.",
        examples=[False],
    )
    path: str | None = Field(
        default=None,
        description="Folder of a Hugging Face causal language model on the worker (config.json, "
        "safetensors), or its name on the hub (owner/name), which the worker must reach; only "
        "with `huggingface`. Code in the folder is never run.",
        examples=["/models/qwen2-0.5b"],
    )
    revision: Revision | None = Field(
        default=None,
        description="Branch, tag or commit on the hub; null is the hub's default.",
        examples=["main"],
    )
    pretrained: bool = Field(
        default=False,
        description="Start every model from the weights in `path`; false takes only its "
        "configuration and draws fresh weights.",
        examples=[True],
    )

    @model_validator(mode="after")
    def _path_goes_with_huggingface(self) -> Self:
        if (self.architecture == "huggingface") != (self.path is not None):
            raise ValueError("`path` is needed with architecture `huggingface` and only there")
        if self.pretrained and self.path is None:
            raise ValueError("`pretrained` needs the `path` of a model with weights")
        _require_place(self.path)
        return self

    @model_validator(mode="after")
    def _shape_fits(self) -> Self:
        if self.hidden_size % self.heads:
            msg = f"hidden_size {self.hidden_size} is not a multiple of heads {self.heads}"
            raise ValueError(msg)
        # Rotary embeddings turn pairs of units in a quarter of each head.
        if (self.hidden_size // self.heads) % 8:
            msg = f"hidden_size / heads is {self.hidden_size // self.heads}; use a multiple of 8"
            raise ValueError(msg)
        if self.key_value_heads is not None and self.heads % self.key_value_heads:
            msg = f"heads {self.heads} is not a multiple of key_value_heads {self.key_value_heads}"
            raise ValueError(msg)
        return self


def _require_place(path: str | None) -> None:
    if path is not None and not path.startswith("/") and not HUB_NAME.fullmatch(path):
        msg = f"path {path!r} is neither an absolute path nor a name on the hub (owner/name)"
        raise ValueError(msg)

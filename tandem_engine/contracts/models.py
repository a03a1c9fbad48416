"""The model and its tokenizer, as a specification names them."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tandem_engine.contracts.base import Contract, Count


class TokenizerSpec(Contract):
    """How text becomes tokens."""

    kind: Literal["bytes", "huggingface"] = Field(
        default="bytes",
        description="`bytes`: one token per UTF-8 byte plus end-of-text; `huggingface`: `path`.",
        examples=["bytes"],
    )
    path: str | None = Field(
        default=None,
        description="Folder of a Hugging Face tokenizer on the worker; only with `huggingface`.",
        examples=["/models/pythia-160m"],
    )

    @model_validator(mode="after")
    def _path_goes_with_huggingface(self) -> Self:
        if (self.kind == "huggingface") != (self.path is not None):
            raise ValueError("`path` is needed with kind `huggingface` and only there")
        return self


class ModelSpec(Contract):
    """Shape of the proxy u, the reference w and the stage-two models (GPT-NeoX style)."""

    hidden_size: Count = Field(default=128, description="Width, in units.", examples=[128])
    layers: Count = Field(default=2, description="Transformer blocks.", examples=[2])
    heads: Count = Field(default=4, description="Attention heads.", examples=[4])
    intermediate_size: Count = Field(default=512, description="MLP width.", examples=[512])

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.hidden_size % self.heads:
            msg = f"hidden_size {self.hidden_size} is not a multiple of heads {self.heads}"
            raise ValueError(msg)
        # Rotary embeddings turn pairs of units in a quarter of each head.
        if (self.hidden_size // self.heads) % 8:
            msg = f"hidden_size / heads is {self.hidden_size // self.heads}; use a multiple of 8"
            raise ValueError(msg)
        return self

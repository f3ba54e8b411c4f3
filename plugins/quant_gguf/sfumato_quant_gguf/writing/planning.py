"""Which type each tensor is written as, and in which rows. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import prod

from sfumato.errors import BadInput
from sfumato_networks.parts import AUTOENCODER
from sfumato_quant_gguf.writing.contents import Content, Shape, SourceTensor
from sfumato_quant_gguf.writing.presets import Mix, block_counts
from sfumato_quant_gguf.written_types import PLAIN, tensor_type, writable_type

SMALL = 1024
"""Numbers up to which a tensor is kept in float32."""
RESHAPED_ROW = 256
_LEAST_RESHAPED = 512
_RESHAPED_ARCHITECTURES = ("sd1", "sdxl")
_MOST_DIMENSIONS = 4

_KEPT = re.compile(
    r"(^|\.)("
    r"img_in|time_in|vector_in|guidance_in|txt_in|final_layer|distilled_guidance_layer"  # Flux, Chroma
    r"|x_embedder|t_embedder|y_embedder|context_embedder|pos_embed"  # SD3
    r"|time_embed|label_emb|input_blocks\.0\.0|out\.2"  # Stable Diffusion's UNets
    r"|relative_attention_bias|attn_rel_b"  # T5
    r"|position_embedding|positional_embedding|text_projection"  # CLIP
    r")(\.|$)"
)
_TOKENS = re.compile(r"(^|\.)(shared|token_embd|token_embedding|embed_tokens)\.weight$")

_SMALLER_BLOCKS = {
    "Q2_K": "IQ4_NL",
    "Q3_K": "IQ4_NL",
    "IQ4_XS": "IQ4_NL",
    "TQ1_0": "Q4_0",
    "TQ2_0": "Q4_0",
    "Q4_K": "Q5_0",
    "Q5_K": "Q5_1",
    "Q6_K": "Q8_0",
}
"""What has blocks of 32 in place of 256, for rows that are not whole blocks."""
_LEAST_TOKENS = {"Q2_K", "Q3_K", "Q4_K", "Q5_K", "IQ4_XS"}
"""Each token's row is used alone, with nothing that evens out its errors."""


@dataclass(frozen=True)
class Rule:
    """A type for all tensors whose names fit a glob pattern.

    Blocks are for matrices: no program computes with biases and norms in them.
    """

    pattern: str
    type_name: str

    @classmethod
    def parse(cls, text: str) -> Rule:
        """From "PATTERN=TYPE"; raises `BadInput` where it is something else."""
        pattern, equals, type_name = text.rpartition("=")
        if not (pattern and equals and type_name):
            raise BadInput(
                f"'{text}' is no rule.", hint="Write PATTERN=TYPE, for example --rule 'img_in.*=bf16'"
            )
        return cls(pattern, writable_type(type_name))

    def fits(self, name: str, shape: Shape) -> bool:
        return fnmatchcase(name, self.pattern) and (len(shape) > 1 or self.type_name in PLAIN)


@dataclass(frozen=True)
class PlannedTensor:
    """A tensor as it will be written.

    Attributes:
        rows: The shape that the file states; `shape` is the logical one.
        instead_of: The type that the preset has for it, where its rows are no whole blocks of that.
        kept: Whether it is of those that are never quantised but by a rule.
    """

    name: str
    type_name: str
    shape: Shape
    rows: Shape
    source: SourceTensor
    instead_of: str = ""
    kept: bool = False

    @property
    def size_bytes(self) -> int:
        return tensor_type(self.type_name).size_bytes(prod(self.shape))


def plan(content: Content, mix: Mix, rules: Sequence[Rule] = ()) -> list[PlannedTensor]:
    """Every tensor with its type.

    Raises:
        BadInput: a rule fits no tensor, or asks for a type that its rows are no whole blocks of.
    """
    depths = block_counts(content.tensors)
    for rule in rules:
        _check(rule, content.tensors)
    return [
        _planned(name, tensor, content.architecture, mix, rules, depths)
        for name, tensor in content.tensors.items()
    ]


def _check(rule: Rule, tensors: Mapping[str, SourceTensor]) -> None:
    if any(rule.fits(name, tensor.shape) for name, tensor in tensors.items()):
        return
    fitting = any(fnmatchcase(name, rule.pattern) for name in tensors)
    raise BadInput(
        f"No tensor fits the rule '{rule.pattern}={rule.type_name.lower()}'.",
        why="Biases and norms are not written in blocks." if fitting else "",
        hint=f"Names are like '{next(iter(tensors))}'; --dry-run lists them.",
    )


def _planned(
    name: str,
    tensor: SourceTensor,
    architecture: str,
    mix: Mix,
    rules: Sequence[Rule],
    depths: Mapping[str, int],
) -> PlannedTensor:
    rule = next((rule for rule in rules if rule.fits(name, tensor.shape)), None)
    if rule is not None:
        rows = _rows(tensor.shape, rule.type_name, architecture)
        block = tensor_type(rule.type_name).block_size
        if rows[-1] % block:
            raise BadInput(
                f"'{name}' cannot be written as {rule.type_name}.",
                why=f"Its rows of {rows[-1]} are no whole blocks of {block}.",
                hint="Choose a type of smaller blocks (q8_0, q5_0), or bf16.",
            )
        return PlannedTensor(name, rule.type_name, tensor.shape, rows, tensor)
    kept = _kept_type(name, tensor)
    if kept is not None:
        return PlannedTensor(
            name, kept, tensor.shape, _rows(tensor.shape, kept, architecture), tensor, kept=True
        )
    wished = mix.type_of(name, depths)
    if _TOKENS.search(name) and wished in _LEAST_TOKENS:
        wished = "Q6_K"
    type_name = _fitting(tensor.shape, wished, architecture)
    rows = _rows(tensor.shape, type_name, architecture)
    return PlannedTensor(name, type_name, tensor.shape, rows, tensor, wished if type_name != wished else "")


def _kept_type(name: str, tensor: SourceTensor) -> str | None:
    """The type of what stays in high precision; None for what is quantised."""
    if len(tensor.shape) == 1 or prod(tensor.shape) <= SMALL:
        return "F32"
    if not (_KEPT.search(name) or tensor.kind == AUTOENCODER):
        return None
    kept = tensor.dtype if tensor.dtype in PLAIN else "BF16"
    return "F16" if kept == "BF16" and len(tensor.shape) > 2 else kept  # in BF16, others know matrices alone


def _fitting(shape: Shape, wished: str, architecture: str) -> str:
    for type_name in (wished, _SMALLER_BLOCKS.get(wished, wished)):
        if _rows(shape, type_name, architecture)[-1] % tensor_type(type_name).block_size == 0:
            return type_name
    return "F16"


def _rows(shape: Shape, type_name: str, architecture: str) -> Shape:
    """The shape in the file: UNets' tensors are cut into rows of 256 where theirs are others, as ComfyUI-GGUF
    does; more dimensions than the format has become one."""
    numbers = prod(shape)
    reshaped = (
        architecture in _RESHAPED_ARCHITECTURES
        and type_name not in PLAIN
        and len(shape) > 1
        and numbers >= _LEAST_RESHAPED
        and numbers % RESHAPED_ROW == 0
        and shape[-1] % RESHAPED_ROW
    )
    if reshaped:
        return (numbers // RESHAPED_ROW, RESHAPED_ROW)
    if len(shape) > _MOST_DIMENSIONS:
        return (prod(shape[:-3]), *shape[-3:])
    return shape

"""The metadata of a GGUF file that is written: what llama.cpp and ComfyUI-GGUF ask for, and what was known.

Imports no torch.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader
from sfumato_networks.parts import CLIP_KINDS, T5_ENCODER
from sfumato_networks.shapes import count_blocks
from sfumato_networks.tokenizer import CARRIED, WHOLE, TokenizerPlace
from sfumato_quant_gguf.logical_tensors import ORIGINAL_SHAPE
from sfumato_quant_gguf.writing.contents import ALL, Content
from sfumato_quant_gguf.writing.encoding import Value
from sfumato_quant_gguf.writing.places import stem
from sfumato_quant_gguf.writing.planning import PlannedTensor

_QUANTISATION_VERSION = 2
_NORMAL, _UNKNOWN, _UNUSED = 1, 2, 5
_KINDS = {True: 3, False: 4}
"""Of tokens that are found before all others: those that stand for no text, and those that do."""
_NEVER = -10000.0
_T5_CONTEXT = 512
_T5_EPSILON = 1e-6
_OF_THE_FORMAT = ("general.", "tokenizer.", "split.", ORIGINAL_SHAPE)
_NOT_CARRIED = ("format", "ss_", "workflow", "prompt")


def file_metadata(
    content: Content,
    tensors: Iterable[PlannedTensor],
    file_type: int,
    tokenizer: Mapping[str, Value] | None = None,
) -> dict[str, Value]:
    """All metadata of a file with this content.

    Args:
        tokenizer: What `tokenizer_metadata` says of T5's.

    Raises:
        CheckpointError: a T5 lacks what tells its sizes.
    """
    header = content.header
    metadata: dict[str, Value] = {
        "general.architecture": content.architecture,
        "general.type": "model",
        "general.name": header.metadata.get("modelspec.title")
        or header.metadata.get("general.name")
        or stem(header),
        "general.quantization_version": _QUANTISATION_VERSION,
        "general.file_type": file_type,
    }
    metadata |= _carried(content)
    if content.kind == T5_ENCODER:
        metadata |= _t5_sizes(content) | dict(tokenizer or {})
    for tensor in tensors:
        if tensor.rows != tensor.shape:
            metadata[ORIGINAL_SHAPE + tensor.name] = list(tensor.shape)
    return metadata


def _carried(content: Content) -> dict[str, Value]:
    """What the source says of itself in words, and what its config.json says that shapes do not."""
    own = (*_OF_THE_FORMAT, *_NOT_CARRIED, f"{content.architecture}.")
    kept: dict[str, Value] = {
        key: text for key, text in content.header.metadata.items() if text and not key.startswith(own)
    }
    return kept | _from_configs(content)


def _from_configs(content: Content) -> dict[str, Value]:
    configs = content.header.configs
    found: dict[str, Value] = {}
    axes = configs.get("transformer", {}).get("axes_dims_rope")
    if axes and content.kind in ("transformer", ALL):
        found["sfumato.flux_axes"] = json.dumps(axes)
    if content.architecture in ("sd1", "sdxl"):
        found |= _prediction(content.header)
    if content.kind in CLIP_KINDS:
        config = content.clip_config
        if config.get("num_attention_heads") and config.get("hidden_size"):
            size = int(config["hidden_size"]) // int(config["num_attention_heads"])
            found["sfumato.clip_head_size"] = str(size)
        if config.get("hidden_act"):
            found["sfumato.clip_activation"] = str(config["hidden_act"])
    return found


def _prediction(header: CheckpointHeader) -> dict[str, Value]:
    """What a scheduler, a file beside it, or marks among the tensors say, as trainers write it down."""
    from sfumato_models_sd.prediction import stated

    trained = stated(header)
    if trained is None:
        return {}
    zero_snr: dict[str, Value] = {"ss_zero_terminal_snr": "true"} if trained.zero_snr else {}
    return {"modelspec.prediction_type": trained.prediction, **zero_snr}


def _t5_sizes(content: Content) -> dict[str, Value]:
    shapes = {name: tensor.shape for name, tensor in content.tensors.items()}
    try:
        vocabulary, width = shapes["token_embd.weight"]
        buckets, heads = shapes["enc.blk.0.attn_rel_b.weight"]
        inner = shapes["enc.blk.0.attn_q.weight"][0]
        ff_width = shapes["enc.blk.0.ffn_up.weight"][0]
    except (KeyError, ValueError) as error:
        raise CheckpointError(
            f"The T5 encoder in '{content.header.path.name}' cannot be written.",
            why=f"It lacks a tensor that tells its sizes: {error}.",
            hint="Get the file again.",
        ) from error
    sizes: dict[str, Value] = {
        "context_length": _T5_CONTEXT,
        "vocab_size": vocabulary,
        "embedding_length": width,
        "feed_forward_length": ff_width,
        "block_count": count_blocks(shapes, "enc.blk."),
        "attention.head_count": heads,
        "attention.key_length": inner // heads,
        "attention.value_length": inner // heads,
        "attention.relative_buckets_count": buckets,
        "attention.layer_norm_epsilon": _T5_EPSILON,
        "attention.layer_norm_rms_epsilon": _T5_EPSILON,
    }
    return {f"t5encoder.{key}": value for key, value in sizes.items()}


def tokenizer_metadata(place: TokenizerPlace, rows: int) -> dict[str, Value]:
    """SentencePiece's unigram model as llama.cpp has it, from a tokenizer.json or another GGUF file.

    Args:
        rows: How many tokens the encoder has a row for; the pieces are filled up to that number.

    Raises:
        CheckpointError: it is damaged, or a tokenizer of another kind.
    """
    try:
        text = (
            (place / WHOLE).read_text("utf-8") if isinstance(place, Path) else place.configs[CARRIED][WHOLE]
        )
        return _unigram(json.loads(text), rows)
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"The tokenizer in '{place if isinstance(place, Path) else place.path}' cannot be written.",
            why=f"It is no unigram model of SentencePiece ({error!r}).",
            hint="Put T5's own tokenizer.json there.",
        ) from error


def _unigram(whole: Mapping[str, Any], rows: int) -> dict[str, Value]:
    model = whole["model"]
    if model["type"] != "Unigram":
        raise ValueError(f"but of {model['type']}")
    pieces = [str(piece) for piece, _ in model["vocab"]]
    scores = [float(score) for _, score in model["vocab"]]
    numbers = {piece: number for number, piece in enumerate(pieces)}
    added = {one["content"]: bool(one.get("special")) for one in whole.get("added_tokens", [])}
    kinds = [_KINDS[added[piece]] if piece in added else _NORMAL for piece in pieces]
    unknown = int(model["unk_id"])
    kinds[unknown] = _UNKNOWN
    more = range(len(pieces), rows)
    pieces += [f"[PAD{number}]" for number in more]
    scores += [_NEVER] * len(more)
    kinds += [_UNUSED] * len(more)
    metadata: dict[str, Value] = {
        "tokenizer.ggml.model": "t5",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.scores": scores,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.eos_token_id": numbers["</s>"],
        "tokenizer.ggml.unknown_token_id": unknown,
        "tokenizer.ggml.padding_token_id": numbers["<pad>"],
        "tokenizer.ggml.add_space_prefix": True,
        "tokenizer.ggml.remove_extra_whitespaces": True,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.ggml.add_eos_token": True,
    }
    charsmap = _charsmap(whole.get("normalizer") or {})
    return metadata | ({"tokenizer.ggml.precompiled_charsmap": charsmap} if charsmap else {})


def _charsmap(normaliser: Mapping[str, Any]) -> bytes:
    steps = [normaliser, *normaliser.get("normalizers", [])]
    found = (step.get("precompiled_charsmap") for step in steps if step.get("type") == "Precompiled")
    return base64.b64decode(next(found, None) or "")

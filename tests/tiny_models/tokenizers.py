"""Tiny real tokenizers of CLIP's and T5's kind, made by the `tokenizers` library."""

from __future__ import annotations

import json
from pathlib import Path

CLIP_LENGTH = 24
T5_LENGTH = 16
START, END = "<|startoftext|>", "<|endoftext|>"
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'-()"
_MERGES = (
    "a p",
    "ap p",
    "l e</w>",
    "app le</w>",
    "r e",
    "re d</w>",
    "t h",
    "th e</w>",
    "b l",
    "bl u",
    "blu e</w>",
)


def clip_vocabulary() -> list[str]:
    """Single signs, the same at the end of a word, and what the merges make."""
    merged = [merge.replace(" ", "") for merge in _MERGES]
    return [*_LETTERS, *(f"{letter}</w>" for letter in _LETTERS), *merged, START, END]


def t5_vocabulary() -> list[str]:
    """Special tokens, a few words with the sign for a space before them, and single signs."""
    return [
        "<pad>",
        "</s>",
        "<unk>",
        "▁",
        "▁a",
        "▁red",
        "▁app",
        "le",
        "▁blue",
        "▁the",
        *_LETTERS,
        *_LETTERS.upper()[:26],
    ]


def write_clip_tokenizer(folder: Path) -> None:
    """As repositories of real models have it: vocab.json, merges.txt, tokenizer_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: number for number, token in enumerate(clip_vocabulary())}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(("#version: 0.2", *_MERGES, "")), encoding="utf-8")
    settings = {"model_max_length": CLIP_LENGTH, "pad_token": END}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def write_t5_tokenizer(folder: Path) -> None:
    """A tokenizer.json that says its length itself."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    pieces = [(piece, -float(rank)) for rank, piece in enumerate(t5_vocabulary())]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    tokenizer.enable_truncation(T5_LENGTH)
    tokenizer.enable_padding(length=T5_LENGTH, pad_id=0, pad_token="<pad>")
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))

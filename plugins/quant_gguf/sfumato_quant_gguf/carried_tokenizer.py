"""The tokenizer that a T5 in a GGUF file carries, in the form of a tokenizer.json. Imports no torch.

It is SentencePiece's unigram model (Kudo 2018, arXiv:1804.10959): pieces with their log probabilities, and a
map of characters that normalises texts. llama.cpp calls that kind "t5".
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sfumato.errors import CheckpointError
from sfumato_networks.tokenizer import WHOLE
from sfumato_quant_gguf.byte_reader import Buffer, damaged
from sfumato_quant_gguf.charsmap import is_sound
from sfumato_quant_gguf.header import parse_header
from sfumato_quant_gguf.mapped_file import mapped_file
from sfumato_quant_gguf.metadata import ArrayField, Value, read_array

KEY = "tokenizer.ggml."
MAX_PIECES = 1_000_000

_UNIGRAM = "t5"
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED = 1, 2, 3, 4, 5
_SPACE = "▁"
_END, _UNKNOWN_PIECE, _PADDING = "</s>", "<unk>", "<pad>"


def carries_tokenizer(metadata: Mapping[str, Value]) -> bool:
    """Whether a file with this metadata has a tokenizer of T5's kind."""
    lists = (metadata.get(KEY + "tokens"), metadata.get(KEY + "scores"))
    return metadata.get(KEY + "model") == _UNIGRAM and all(isinstance(one, ArrayField) for one in lists)


class CarriedTokenizer(Mapping[str, Any]):
    """The tokenizer's files by name, made when they are asked for: it has tens of thousands of pieces.

    Raises:
        CheckpointError: on asking, where the file has changed or contradicts itself.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getitem__(self, name: str) -> str:
        if name != WHOLE:
            raise KeyError(name)
        with mapped_file(self._path) as data:
            return tokenizer_json(parse_header(data, self._path).metadata, data, self._path)

    def __iter__(self) -> Iterator[str]:
        return iter((WHOLE,))

    def __len__(self) -> int:
        return 1


def tokenizer_json(metadata: Mapping[str, Value], data: Buffer, path: Path) -> str:
    """The tokenizer of a file with this metadata, as text of a tokenizer.json; raises `CheckpointError`."""
    return json.dumps(_Vocabulary(metadata, data, path).whole())


class _Vocabulary:
    """What the metadata says of the tokenizer, as the library tokenizers describes one."""

    def __init__(self, metadata: Mapping[str, Value], data: Buffer, path: Path) -> None:
        self._metadata = metadata
        self._data = data
        self._path = path
        self.pieces = [str(piece) for piece in self._list("tokens")]
        self.scores = [float(score) for score in self._list("scores")]
        self.types = [int(kind) for kind in self._list("token_type")] or [_NORMAL] * len(self.pieces)
        if not len(self.pieces) == len(self.scores) == len(self.types) <= MAX_PIECES:
            raise self._unfit(
                f"It has {len(self.pieces)} pieces, {len(self.scores)} scores and {len(self.types)} types"
            )
        if not all(map(math.isfinite, self.scores)):
            raise self._unfit("A piece has a score that is no number")

    def whole(self) -> dict[str, Any]:
        """The content of a tokenizer.json."""
        end = self._id("eos_token_id", _END)
        return {
            "version": "1.0",
            "added_tokens": list(self._added()),
            "normalizer": self._normalizer(),
            "pre_tokenizer": self._pre_tokenizer(),
            "post_processor": _put_behind(self.pieces[end], end),
            "decoder": None,
            "padding": self._padding(),
            "truncation": None,
            "model": {
                "type": "Unigram",
                "unk_id": self._id("unknown_token_id", _UNKNOWN_PIECE),
                "vocab": [[piece, score] for piece, score in zip(self._matched(), self.scores, strict=True)],
                "byte_fallback": False,
            },
        }

    def _added(self) -> Iterator[dict[str, Any]]:
        """Special tokens, and what the trainer wanted to be one token, are found before all else."""
        for number, (piece, kind) in enumerate(zip(self.pieces, self.types, strict=True)):
            if kind in (_UNKNOWN, _CONTROL, _USER_DEFINED) and piece:
                plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
                yield {"id": number, "content": piece, "special": kind != _USER_DEFINED, **plain}

    def _matched(self) -> Iterator[str]:
        """The pieces as texts are matched with them; those that only fill the table up match nothing."""
        for number, (piece, kind) in enumerate(zip(self.pieces, self.types, strict=True)):
            yield f" {number}" if kind == _UNUSED or not piece else piece  # no text has a space by then

    def _normalizer(self) -> dict[str, Any]:
        steps: list[dict[str, Any]] = []
        if charsmap := self._charsmap():
            steps.append({"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap).decode()})
        if self._keeps_spaces:
            steps += [{"type": "Prepend", "prepend": _SPACE}] if self._prefixed else []
            steps.append({"type": "Replace", "pattern": {"String": " "}, "content": _SPACE})
        else:  # by now all that counts as space is one
            steps.append({"type": "Replace", "pattern": {"Regex": "^ +| +$"}, "content": ""})
            steps.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})
        return {"type": "Sequence", "normalizers": steps}

    def _pre_tokenizer(self) -> dict[str, Any] | None:
        if self._keeps_spaces:  # there may be pieces of several
            return None
        scheme = "always" if self._prefixed else "never"
        return {"type": "Metaspace", "replacement": _SPACE, "prepend_scheme": scheme, "split": True}

    @property
    def _keeps_spaces(self) -> bool:
        return not self._metadata.get(KEY + "remove_extra_whitespaces", True)

    @property
    def _prefixed(self) -> bool:
        return bool(self._metadata.get(KEY + "add_space_prefix", True))

    def _padding(self) -> dict[str, Any]:
        pad = self._id("padding_token_id", _PADDING)
        return {
            "strategy": "BatchLongest",
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": pad,
            "pad_type_id": 0,
            "pad_token": self.pieces[pad],
        }

    def _id(self, key: str, usual: str) -> int:
        """The number of a special token, which the metadata has under ``key``, or else the usual one's."""
        number = self._metadata.get(KEY + key)
        if number is None and usual in self.pieces:
            number = self.pieces.index(usual)
        if type(number) is int and 0 <= number < len(self.pieces):
            return number
        raise self._unfit(f"Its {key.removesuffix('_id').replace('_', ' ')} is none of its pieces")

    def _charsmap(self) -> bytes:
        field = self._metadata.get(KEY + "precompiled_charsmap")
        if not isinstance(field, ArrayField) or field.type not in (0, 1):
            return b""
        charsmap = bytes(self._data[field.start : field.end])
        if charsmap and not is_sound(charsmap):
            raise self._unfit("Its map of characters is damaged")
        return charsmap

    def _list(self, key: str) -> Sequence[bool | int | float | str]:
        field = self._metadata.get(KEY + key)
        return read_array(self._data, self._path, field) if isinstance(field, ArrayField) else []

    def _unfit(self, why: str) -> CheckpointError:
        return damaged(self._path, f"The tokenizer in it cannot be used: {why[0].lower()}{why[1:]}.")


def _put_behind(piece: str, number: int) -> dict[str, Any]:
    sequences = [{"Sequence": {"id": name, "type_id": 0}} for name in "AB"]
    special = {"SpecialToken": {"id": piece, "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [sequences[0], special],
        "pair": [sequences[0], special, sequences[1], special],
        "special_tokens": {piece: {"id": piece, "ids": [number], "tokens": [piece]}},
    }

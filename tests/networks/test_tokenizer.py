"""Tokenizers beside transformers' own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sfumato.errors import CheckpointError, MissingPart
from sfumato_networks.tokenizer import Tokenizer

transformers = pytest.importorskip("transformers")

TEXTS = [
    "",
    "a red apple",
    "A  RED\tApple!!! it's 2026, they'll",
    "naïve café, Ünïcode ﬁ Ⅻ",
    "日本語 and 🍎🍏",
    "...--== (a:1.2), [b], ((c))",
    "before <|endoftext|> after<|startoftext|>",
    "  \n spaces  ",
    "a<pad></s>b",
]


def clip_files(folder: Path, pad: str = "<|endoftext|>") -> Path:
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    merges = ["a p", "ap p", "l e</w>", "app le</w>", "r e", "re d</w>", "' s</w>", "! !", "t h"]
    tokens = letters + [f"{letter}</w>" for letter in letters] + [m.replace(" ", "") for m in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(
        json.dumps({token: i for i, token in enumerate(tokens)}), encoding="utf-8"
    )
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 77, "pad_token": pad}))
    return folder


@pytest.mark.parametrize("text", TEXTS)
def test_clip_ids_from_vocabulary_and_merges_equal_those_of_transformers(tmp_path: Path, text: str) -> None:
    ours = Tokenizer.from_folder(clip_files(tmp_path))
    reference = transformers.CLIPTokenizer.from_pretrained(tmp_path)
    assert [ours.start, *ours.encode(text), ours.end] == reference(text).input_ids


def test_clip_special_ids_and_length_are_those_of_transformers(tmp_path: Path) -> None:
    ours = Tokenizer.from_folder(clip_files(tmp_path))
    reference = transformers.CLIPTokenizer.from_pretrained(tmp_path)
    assert (ours.start, ours.end) == (reference.bos_token_id, reference.eos_token_id)
    assert (ours.pad, ours.max_length) == (reference.pad_token_id, 77)
    assert ours.vocabulary_size == len(reference)


def test_clip_tokenizer_json_gives_the_same_ids_as_its_vocabulary(tmp_path: Path) -> None:
    plain, whole = tmp_path / "plain", tmp_path / "whole"
    plain.mkdir()
    transformers.CLIPTokenizer.from_pretrained(clip_files(plain)).save_pretrained(whole)
    first, second = Tokenizer.from_folder(plain), Tokenizer.from_folder(whole)
    assert [first.encode(text) for text in TEXTS] == [second.encode(text) for text in TEXTS]
    assert (first.start, first.end, first.pad) == (second.start, second.end, second.pad)


def test_a_sign_that_serves_as_padding_is_still_read_as_text(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    ours = Tokenizer.from_folder(
        clip_files(tmp_path, pad="!")
    )  # as Stable Diffusion XL's second tokenizer has it
    assert ours.pad == 0
    assert ours.encode("wow!!") == Tokenizer.from_folder(clip_files(plain)).encode("wow!!")


@pytest.mark.parametrize("stated", ["77", [1], -5, 0, True, 1, 2, None, {}, float("nan")])
def test_a_length_that_can_be_none_is_passed_over(tmp_path: Path, stated: object) -> None:
    settings = {"model_max_length": stated}
    (clip_files(tmp_path) / "tokenizer_config.json").write_text(json.dumps(settings))
    assert Tokenizer.from_folder(tmp_path).max_length is None


def t5_tokenizer():
    pieces = ["<pad>", "</s>", "<unk>", "▁", "▁a", "▁red", "▁app", "le", *"abcdefghijklmnopqrstuvwxyz"]
    return transformers.T5Tokenizer(vocab=[(piece, -float(i)) for i, piece in enumerate(pieces)], extra_ids=0)


def test_t5_ids_equal_those_of_transformers(tmp_path: Path) -> None:
    reference = t5_tokenizer()
    reference.save_pretrained(tmp_path)
    ours = Tokenizer.from_folder(tmp_path)
    for text in TEXTS:
        assert [*ours.encode(text), ours.end] == reference(text).input_ids
    assert (ours.start, ours.end, ours.pad, ours.max_length) == (None, 1, 0, None)


def test_truncation_and_padding_stored_in_a_tokenizer_do_not_cut_or_fill_fragments(tmp_path: Path) -> None:
    stored = t5_tokenizer().backend_tokenizer
    stored.enable_truncation(4)
    stored.enable_padding(length=4, pad_id=0, pad_token="<pad>")
    ours = Tokenizer.from_json(stored.to_str(), where="model")
    assert len(ours.encode("a red apple a red apple")) > 4
    assert len(ours.encode("a")) == 1
    assert ours.max_length == 4


def test_a_folder_is_read_anew_only_when_its_files_have_changed(tmp_path: Path) -> None:
    folder = clip_files(tmp_path)
    first = Tokenizer.from_folder(folder)
    assert Tokenizer.from_folder(folder) is first
    settings = folder / "tokenizer_config.json"
    settings.write_text(json.dumps({"model_max_length": 19}), encoding="utf-8")
    assert Tokenizer.from_folder(folder).max_length == 19


def test_a_folder_with_only_a_sentencepiece_model_names_the_file_to_get(tmp_path: Path) -> None:
    (tmp_path / "spiece.model").write_bytes(b"\n")
    with pytest.raises(MissingPart, match=r"tokenizer\.json"):
        Tokenizer.from_folder(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", '{"version": "1.0"}', "{"])
def test_a_damaged_tokenizer_json_is_a_clear_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(CheckpointError, match="damaged"):
        Tokenizer.from_folder(tmp_path)


def test_damaged_clip_merges_are_a_clear_error(tmp_path: Path) -> None:
    (clip_files(tmp_path) / "merges.txt").write_text("one two three\n")
    with pytest.raises(CheckpointError, match="damaged"):
        Tokenizer.from_folder(tmp_path)


def test_a_clip_vocabulary_without_its_special_tokens_is_a_clear_error(tmp_path: Path) -> None:
    vocabulary = json.loads((clip_files(tmp_path) / "vocab.json").read_text(encoding="utf-8"))
    del vocabulary["<|endoftext|>"]
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    with pytest.raises(CheckpointError, match="damaged"):
        Tokenizer.from_folder(tmp_path)

"""The vocabulary that comes along, beside transformers' tokenizer with the same one."""

from __future__ import annotations

import gzip
import hashlib
import random
from pathlib import Path

import pytest

from sfumato.errors import CheckpointError
from sfumato_networks.clip_vocabulary import END, FOLDER, MERGES_FILE, SIZE, START, read_merges, vocabulary
from sfumato_networks.tokenizer import Tokenizer

SCRIPTS = (range(32, 127), range(0xA0, 0x600), range(0x3040, 0x3100), range(0x1F300, 0x1FA00), (32, 44))


@pytest.fixture(scope="module")
def ours() -> Tokenizer:
    return Tokenizer.from_folder(FOLDER)


def test_the_file_is_the_one_that_openai_published() -> None:
    published = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
    assert hashlib.sha256((FOLDER / MERGES_FILE).read_bytes()).hexdigest() == published
    assert "Copyright (c) 2021 OpenAI" in (FOLDER / "LICENSE").read_text(encoding="utf-8")


def test_ids_are_those_that_stable_diffusion_was_trained_on(ours: Tokenizer) -> None:
    assert ours.encode("a photo of a cat, 4k") == [320, 1125, 539, 320, 2368, 267, 275, 330]
    assert (ours.start, ours.end, ours.pad, ours.vocabulary_size) == (49406, 49407, 49407, SIZE)


def test_ids_of_random_texts_equal_those_of_transformers(ours: Tokenizer) -> None:
    transformers = pytest.importorskip("transformers")
    merges = read_merges(FOLDER / MERGES_FILE)
    reference = transformers.CLIPTokenizer(vocab=vocabulary(merges), merges=merges)
    chance = random.Random(0)
    for _ in range(500):
        text = "".join(chr(chance.choice(chance.choice(SCRIPTS))) for _ in range(chance.randrange(1, 40)))
        assert ours.encode(text) == reference(text, add_special_tokens=False).input_ids, text


def test_the_vocabulary_begins_with_bytes_and_ends_with_the_special_tokens() -> None:
    tokens = list(vocabulary([("i", "n")]))
    assert tokens[:3] == ["!", '"', "#"]
    assert (tokens[255], tokens[256]) == ("Ń", "!</w>")
    assert tokens[512:] == ["in", START, END]


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", gzip.compress(b"#version\na b\n", mtime=0), gzip.compress(b"x\na\n", mtime=0)],
)
def test_a_damaged_file_of_merges_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MERGES_FILE).write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        Tokenizer.from_folder(tmp_path)

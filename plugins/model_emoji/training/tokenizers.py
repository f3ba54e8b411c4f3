"""The two small vocabularies: byte-level BPE in CLIP's manner, word pieces in T5's.

Lower-casing, start and end tokens, padding and truncation are all stored in the ``tokenizer.json`` files.
"""

from __future__ import annotations

import json
import random
import string
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from .captions import Subject, caption
from .colours import BACKGROUNDS, COLOURS

CLIP_LENGTH, T5_LENGTH = 32, 16
VOCABULARY = 2048
CLIP_START, CLIP_END = "<|startoftext|>", "<|endoftext|>"
T5_PAD, T5_END, T5_UNKNOWN = "<pad>", "</s>", "<unk>"
WORD_PATTERN = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


CLIP_FILE = Path("tokenizers/clip_l/tokenizer.json")
T5_FILE = Path("tokenizers/t5xxl/tokenizer.json")
"""Beside a checkpoint, where the loader looks for them."""


def corpus(subjects: Sequence[Subject], repeats: int = 6) -> list[str]:
    """Captions of all subjects in all manners, from a fixed seed."""
    rng = random.Random(0)
    lines = []
    for subject in subjects:
        for _ in range(repeats):
            colour, background = rng.choice([None, *COLOURS]), rng.choice([None, None, *BACKGROUNDS])
            style = rng.choice(["flat", "noto"])
            lines.append(caption(Subject(subject.names, style, subject.native, colour, background), rng))
        lines.extend(subject.names)
    return lines


def train_clip(lines: Iterable[str]) -> Tokenizer:
    """Byte-level BPE with word ends marked, as CLIP's: any text can be written, nothing becomes unknown."""
    special = [CLIP_START, CLIP_END]
    draft = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    draft.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    split = pre_tokenizers.Split(Regex(WORD_PATTERN), behavior="removed", invert=True)
    draft.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    draft.train_from_iterator(lines, trainer)
    learned = json.loads(draft.to_str())["model"]
    vocabulary = learned["vocab"]
    for byte in alphabet:  # the trainer knows only the word ends it met
        vocabulary.setdefault(f"{byte}</w>", len(vocabulary))
    merges = [tuple(pair) for pair in learned["merges"]]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token=CLIP_END, end_of_word_suffix="</w>"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = draft.normalizer, draft.pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    ids = [(token, tokenizer.token_to_id(token)) for token in special]
    tokenizer.post_processor = processors.TemplateProcessing(
        f"{CLIP_START} $A {CLIP_END}", special_tokens=ids
    )
    tokenizer.enable_truncation(CLIP_LENGTH)
    tokenizer.enable_padding(length=CLIP_LENGTH, pad_id=tokenizer.token_to_id(CLIP_END), pad_token=CLIP_END)
    return tokenizer


def train_t5(lines: Iterable[str]) -> Tokenizer:
    """Pieces with a mark at each word's start, as T5's. Merged as BPE, which keeps whole words."""
    special = [T5_PAD, T5_END, T5_UNKNOWN]
    tokenizer = Tokenizer(models.BPE(unk_token=T5_UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special,
        initial_alphabet=list(string.ascii_lowercase + string.digits + string.punctuation),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    end = [(T5_END, tokenizer.token_to_id(T5_END))]
    tokenizer.post_processor = processors.TemplateProcessing(f"$A {T5_END}", special_tokens=end)
    tokenizer.enable_truncation(T5_LENGTH)
    tokenizer.enable_padding(length=T5_LENGTH, pad_id=tokenizer.token_to_id(T5_PAD), pad_token=T5_PAD)
    return tokenizer


def load(folder: Path) -> tuple[Tokenizer, Tokenizer]:
    """CLIP's and T5's tokenizer, as :func:`prepare` stored them."""
    return Tokenizer.from_file(str(folder / CLIP_FILE)), Tokenizer.from_file(str(folder / T5_FILE))


def prepare(folder: Path, subjects: Sequence[Subject]) -> tuple[Tokenizer, Tokenizer]:
    """Train both tokenizers into ``folder`` (once) and return them: CLIP's, then T5's."""
    paths = folder / CLIP_FILE, folder / T5_FILE
    if not all(path.exists() for path in paths):
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        lines = corpus(subjects)
        train_clip(lines).save(str(paths[0]))
        train_t5(lines).save(str(paths[1]))
    return load(folder)

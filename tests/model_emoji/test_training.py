"""The trainers on a toy set: tokenizers, a step, an interruption."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from sfumato_models_flux.transformer import pack
from tokenizers import Tokenizer
from training import tokenizers, train_flux
from training.captions import Subject
from training.checkpoint import save_atomically
from training.latents import PLAIN, RECOLOURED, Variant
from training.schedule import Clock, learning_rate_factor

SUBJECTS = [Subject((name,)) for name in ("apple", "cat face", "rocket", "grinning face with big eyes")]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with four subjects and random latents."""
    folder = tmp_path_factory.mktemp("emoji")
    tokenizers.prepare(folder, SUBJECTS)
    variants = [Variant(s.names[0], PLAIN, s) for s in SUBJECTS]
    variants.append(Variant("apple", RECOLOURED, Subject(("apple",), colour="blue")))
    latents = torch.randn(len(variants), 16, 8, 8, generator=torch.Generator().manual_seed(0)).half()
    rows = [asdict(variant) for variant in variants]
    save_atomically({"z": latents, "rows": rows, "scale": 1.0, "shift": 0.0}, folder / "latents.pt")
    return folder


def both(folder: Path) -> tuple[Tokenizer, Tokenizer]:
    return tokenizers.load(folder)


def test_tokenizers_pad_and_cut_to_the_trained_lengths(toy: Path) -> None:
    clip, t5 = both(toy)
    for text in ("", "apple", "apple " * 60):
        assert len(clip.encode(text).ids) == tokenizers.CLIP_LENGTH
        assert len(t5.encode(text).ids) == tokenizers.T5_LENGTH


def test_capitals_mean_the_same_as_small_letters(toy: Path) -> None:
    for tokenizer in both(toy):
        assert tokenizer.encode("A Cat FACE").ids == tokenizer.encode("a cat face").ids


def test_clip_knows_any_text_and_t5_marks_the_unknown(toy: Path) -> None:
    clip, t5 = both(toy)
    assert clip.decode(clip.encode("zxq 日本").ids).replace("</w>", " ").split() == ["zxq", "日本"]
    assert tokenizers.T5_UNKNOWN in t5.encode("日本").tokens


def test_start_and_end_are_stored_with_the_tokenizer(toy: Path) -> None:
    clip, t5 = both(toy)
    tokens = clip.encode("apple").tokens
    assert tokens[:3] == [tokenizers.CLIP_START, "apple</w>", tokenizers.CLIP_END]
    assert t5.encode("apple").tokens[:3] == ["▁apple", tokenizers.T5_END, tokenizers.T5_PAD]


def advance(run: train_flux.Run, steps: int) -> None:
    picker = train_flux.Picker(run.data, seed=run.step)
    torch.manual_seed(run.step)
    clean = pack(run.data.latents.float())
    for _ in range(steps):
        rows, texts = picker.draw(4)
        train_flux.take_step(run, clean[rows], texts, 1e-3)


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(toy: Path, tmp_path: Path) -> None:
    for name in ("latents.pt", "tokenizers"):
        (tmp_path / name).symlink_to(toy / name)
    options = train_flux.Options(tmp_path, minutes=10, batch=4)
    run, _ = train_flux.start(options)
    advance(run, 1)
    train_flux.save(run, Clock(total=600, spent=240), options)
    again, clock = train_flux.start(options)
    assert again.step == 1
    assert clock.fraction == pytest.approx(0.4, abs=0.01)
    advance(run, 1)
    advance(again, 1)
    for ours, theirs in zip(run.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_an_untrained_model_answers_with_nothing(toy: Path) -> None:
    run, _ = train_flux.start(train_flux.Options(toy))
    context, vector = run.model.encode(*run.prompts(["an apple"]))
    assert not run.model.velocity(torch.randn(1, 16, 64), torch.tensor([0.5]), context, vector).any()


def test_the_learning_rate_ends_at_zero_whatever_the_budget() -> None:
    assert learning_rate_factor(step=10_000, fraction=1.0) == 0
    assert learning_rate_factor(step=10_000, fraction=0.1) == 1
    assert 0 < learning_rate_factor(step=0, fraction=0.0) < 0.1

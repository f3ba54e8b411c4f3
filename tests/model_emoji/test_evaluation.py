"""The judge and the figures made from its answers."""

from __future__ import annotations

import torch

from training.classifier import Classifier, Judge
from training.colours import BACKGROUNDS
from training.data import Concept, composite
from training.evaluate import retrieval, shown_colour
from training.latents import held_out_pair

LABELS = tuple("abcdefgh")


def judge() -> Judge:
    torch.manual_seed(0)
    return Judge(Classifier(len(LABELS)).eval(), LABELS)


def test_the_name_with_the_best_score_has_rank_zero() -> None:
    images = torch.randn(6, 3, 64, 64)
    best = [LABELS[i] for i in judge().model(images).argmax(1).tolist()]
    assert judge().ranks(images, best).tolist() == [0] * 6
    assert retrieval(judge(), images, best) == {"top1": 1.0, "top5": 1.0, "pictures": 6}


def test_every_name_has_a_rank_of_its_own() -> None:
    images = torch.randn(1, 3, 64, 64).expand(len(LABELS), -1, -1, -1)
    assert sorted(judge().ranks(images, list(LABELS)).tolist()) == list(range(len(LABELS)))


def test_the_colour_of_a_picture_is_named() -> None:
    blue = torch.tensor([BACKGROUNDS["blue"]])
    square = torch.zeros(1, 64, 64, 4, dtype=torch.uint8)
    assert shown_colour(composite(square, blue)[0]) == "blue"
    assert shown_colour(torch.ones(3, 64, 64)) is None


def test_purple_fruit_and_blue_animals_are_held_out() -> None:
    banana, whale = Concept("1", "banana", (), 4, 42), Concept("2", "whale", (), 3, 38)
    assert held_out_pair(banana, "purple")
    assert held_out_pair(whale, "blue")
    assert not held_out_pair(banana, "blue")
    assert not held_out_pair(whale, "purple")
    assert not held_out_pair(banana, None)

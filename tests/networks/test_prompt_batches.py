"""Prompts of a batch put together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sfumato_networks.prompt_batches import Stacked, each_alike


def test_prompts_of_one_length_are_evaluated_together_and_stay_in_their_places() -> None:
    prompts, batches = ["ab", "c", "de", "fg"], []

    def evaluate(x: Tensor, chosen: Sequence[str]) -> Tensor:
        batches.append(list(chosen))
        return x * len(chosen)

    made = each_alike(torch.arange(1.0, 5.0)[:, None], prompts, len, evaluate)
    assert batches == [["ab", "de", "fg"], ["c"]]
    assert made.flatten().tolist() == [3.0, 2.0, 9.0, 12.0]


def test_a_batch_is_stacked_once() -> None:
    prompts = [torch.full((1, 2), float(number)) for number in range(3)]
    stacked = Stacked[Tensor](lambda prompt: (prompt, prompt + 1))
    first, second = stacked(prompts), stacked(prompts)
    assert first[1].tolist() == [[1, 1], [2, 2], [3, 3]]
    assert second[0] is first[0]
    assert stacked([prompts[2], prompts[1]])[0].tolist() == [[2, 2], [1, 1]]
    assert stacked(prompts[:1])[0] is prompts[0]

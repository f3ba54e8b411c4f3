"""Fits a colour to each word, so that a caption's mean is the mean colour of its picture."""

from __future__ import annotations

import torch
from safetensors.torch import save
from torch import Tensor

from sfumato.atomic import write_atomically
from sfumato.events import StepCompleted
from sfumato.tasks import TaskContext
from sfumato.training import TrainingConfig, TrainingResult
from sfumato_word_colours.dataset import Dataset, read_dataset


def train(config: TrainingConfig, context: TaskContext) -> TrainingResult:
    """Train and write ``config.output``, whole or not at all.

    Raises:
        BadInput: the dataset is empty or cannot be read.
        Cancelled: stopped by the user; nothing is written then.
    """
    dataset = read_dataset(config.dataset, config.options["words"])
    generator = torch.Generator().manual_seed(config.seed)
    colours = (0.1 * torch.randn(dataset.words.shape[1], 3, generator=generator)).requires_grad_()
    optimiser = torch.optim.Adam([colours], lr=config.learning_rate)
    losses = []
    for step in range(1, config.steps + 1):
        context.cancel.check()
        chosen = torch.randint(len(dataset.words), (config.batch_size,), generator=generator)
        losses.append(_improve(colours, dataset, chosen, optimiser))
        context.events.emit(StepCompleted(step=step, steps=config.steps))
    context.cancel.check()
    write_atomically(config.output, save({"word_colours.colours": colours.detach()}))
    last = losses[-100:]
    return TrainingResult(path=config.output, steps=config.steps, loss=sum(last) / len(last))


def _improve(colours: Tensor, dataset: Dataset, chosen: Tensor, optimiser: torch.optim.Optimizer) -> float:
    """One step of the optimiser on the chosen pictures; returns the loss before it."""
    optimiser.zero_grad()
    loss = torch.nn.functional.mse_loss(dataset.words[chosen] @ colours, dataset.colours[chosen])
    torch.autograd.backward(loss)
    optimiser.step()
    return loss.item()

"""Merged or on the fly: which of the two a change is to be.

Merging costs one product of the size of a layer's weight, in*out*rank, once; a branch costs
tokens*(in+out)*rank in every evaluation of the model. The widths of real layers make these equal at some 1500
to 2500 tokens in all, and a picture has thousands in each step: merging is cheaper wherever it is possible at
all, and costs nothing in the steps. It is not the choice

- where the strength changes over the steps: each change would be a merge;
- where the weight is kept in a stored form, quantised or elsewhere: a copy of it in plain numbers would take
  the memory that the form saves;
- where part of the network is streamed to the device: memory is dear there;
- where the copies of the changed weights would not fit into half of the memory that is free.

What is no low-rank product (DoRA, LoKr, norms ...) can only be merged, at each change of its strength: a
weight in a stored form has a copy in plain numbers then, if that fits.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato_adapters.settings import How
from sfumato_networks.device_memory import device_memory

SHARE_OF_FREE_MEMORY = 0.5


def is_mergeable(weight: Tensor) -> bool:
    """Whether sums of it are worth anything: whether it is plain numbers of two bytes or more."""
    plain = type(weight) in (torch.Tensor, torch.nn.Parameter) and weight.is_floating_point()
    return plain and weight.dtype.itemsize >= 2


def branches(how: How, weight: Tensor, *, changes_over_steps: bool, fits: bool) -> bool:
    """Whether a low-rank change to this weight is computed on the fly.

    Args:
        fits: Whether the copies that merging needs fit into memory.
    """
    if not is_mergeable(weight):
        return True
    if how == "auto":
        return changes_over_steps or not fits
    return how == "on_the_fly"


def copies_fit(size: int, device: torch.device) -> bool:
    """Whether so many bytes more are to be had, with room to work in left over."""
    return size <= SHARE_OF_FREE_MEMORY * device_memory(device).available

"""Makes a torchvision that does not fit the installed torch importable.

A torchvision built for CUDA beside a torch for the CPU (what pip makes of a torch from another index) cannot
load its compiled operators. It would go without them, but its own Python code speaks of two of them while it
is imported, and raises "operator torchvision::nms does not exist": transformers, diffusers and spandrel, that
import it for resizing and the like, cannot be imported then either.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util

import torch

_OPERATORS = ("nms", "qnms")
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def declare_where_missing() -> None:
    """To be called before anything imports torchvision, transformers, diffusers or spandrel.

    Where torchvision fits, this imports it and no more; where it is not installed, it does nothing. A
    declared operator has no code: whoever calls it is told so.
    """
    if importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        _declare()
        importlib.import_module("torchvision")


@functools.cache  # a declaration lasts as long as its library
def _declare() -> torch.library.Library:
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in _OPERATORS:
        library.define(operator + _SIGNATURE)
    return library

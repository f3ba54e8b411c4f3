"""Several one-thread worker processes that train one model together: steadier than threads on a busy CPU."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class Workers:
    """This process's place among the workers; every operation is a no-op when it is alone."""

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank = rank
        self.count = count

    @property
    def first(self) -> bool:
        """Whether this worker logs, evaluates and writes checkpoints."""
        return self.rank == 0

    @torch.no_grad()
    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its mean over the workers, in place."""
        tensors = list(tensors)
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        parts = flat.div_(self.count).split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Mean gradients, in place."""
        self.average(p.grad for p in parameters if p.grad is not None)

    def agree(self, value: float) -> float:
        """The first worker's ``value``, on all workers."""
        if self.count == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64)
        dist.broadcast(shared, 0)
        return shared.item()


def start_log() -> None:
    """Progress to standard error. Worker processes start without the parent's settings and call it again."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")


def _enter(rank: int, count: int, store: str, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    start_log()
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=Path(store).as_uri(), rank=rank, world_size=count)
    try:
        work(Workers(rank, count), *arguments)
    finally:
        dist.destroy_process_group()


def launch(count: int, work: Callable[..., None], *arguments: Any) -> None:
    """Run ``work(workers, *arguments)`` in ``count`` processes (in this one when ``count`` is 1)."""
    if count == 1:
        torch.set_num_threads(1)
        work(Workers(), *arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "store")
        torch.multiprocessing.spawn(_enter, (count, store, work, arguments), nprocs=count)

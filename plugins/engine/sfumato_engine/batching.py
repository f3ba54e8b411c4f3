"""What is computed side by side and what one after another."""

from __future__ import annotations

from sfumato_engine.settings import CfgBatching

SMALL_WORK = 2048
"""Latent positions (pictures x height x width) up to which dispatch, not arithmetic, takes the time.

One batch for both passes of CFG took, on one CPU core, 0.68 of the time of two passes at 64 positions, 0.89
at 512 and 0.94 at 1,024 with the embedded Flux. UNets gain for longer, as the wide layers that hold most of
their weights see few pixels: in SDXL's widths 0.71 at 256, 0.87 at 1,024 and 0.96 to 0.98 at 4,096; in narrow
ones 1.07 at 4,096, where temporaries leave the caches. Two passes also halve the peak of
memory.
"""


def passes_side_by_side(choice: CfgBatching, prompts: int, positions: int) -> int:
    """Model evaluations in one batch for each picture: all of a step, or one.

    Args:
        prompts: Evaluations a step: 2 with CFG, one more for each AND.
        positions: Latent positions of the batch (pictures x height x width).
    """
    if choice == "two_passes":
        return 1
    return prompts if choice == "batch" or positions <= SMALL_WORK else 1


def decoded_side_by_side(batch_size: int, positions: int) -> int:
    """Pictures of a batch decoded at once.

    Large ones go one by one, so that the first is saved early and the peak of memory does not grow with the
    batch.

    Args:
        positions: Latent positions of the batch (pictures x height x width).
    """
    return batch_size if positions <= SMALL_WORK else 1

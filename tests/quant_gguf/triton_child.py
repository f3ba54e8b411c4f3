"""Calls of Triton's kernels for tests, in a process where its interpreter stands for a device."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from sfumato_quant_gguf.triton_kernels.launching import TritonKernels


def main(folder: Path) -> None:
    """Reads the arguments of calls from a file; writes what each returned, and the tensor it wrote into."""
    kernels, answers = TritonKernels(), {}
    for name, (method, arguments) in torch.load(folder / "calls.pt", weights_only=False).items():
        done = getattr(kernels, method)(*arguments)
        answers[name] = done, arguments[-1]
    torch.save(answers, folder / "answers.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""What was written, or would be, in tables. Imports no torch."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sfumato.cli.output import human_size
from sfumato_quant_gguf.writing.verifying import unusual
from sfumato_quant_gguf.written_types import PLAIN

if TYPE_CHECKING:
    from sfumato_quant_gguf.writing.journal import WrittenTensor
    from sfumato_quant_gguf.writing.quantising import Quantising

WORST = 5


def facts(work: Quantising, written: list[WrittenTensor]) -> list[tuple[str, str]]:
    """Name and value, for people."""
    shown = summary(work, written)
    return [
        ("file", shown["file"]),
        ("size", f"{human_size(shown['bytes_after'])} (was {human_size(shown['bytes_before'])})"),
        ("types", ", ".join(f"{count} {name}" for name, count in shown["types"].items())),
        ("relative error", f"{shown['relative_error']:.4f}"),
        ("other blocks", _listed([f"{one['name']} is {one['type']}" for one in shown["fell_back"]])),
        ("unusual errors", _listed(shown["unusual"])),
        ("verified", "read back, every tensor as it was written"),
    ]


def summary(work: Quantising, written: list[WrittenTensor]) -> dict[str, Any]:
    """For scripts; the error is that of all quantised weights together."""
    packed = [one for one in written if one.type_name not in PLAIN] or written
    squares = sum(one.squares for one in packed)
    error = sum(one.squared_error for one in packed)
    return plan_summary(work) | {
        "file": str(work.task.output),
        "relative_error": (error / squares) ** 0.5 if squares else 0.0,
        "unusual": [one.name for one in unusual(written)],
        "tensors": [
            {
                "name": one.name,
                "type": one.type_name,
                "bytes": one.size_bytes,
                "rmse": one.rmse,
                "relative_error": one.relative_error,
            }
            for one in written
        ],
    }


def worst(written: list[WrittenTensor]) -> list[tuple[str, str, str, str]]:
    """The tensors with the largest relative errors."""
    found = sorted(written, key=lambda one: -one.relative_error)[:WORST]
    return [(one.name, one.type_name, f"{one.relative_error:.4f}", f"{one.rmse:.3g}") for one in found]


def plan_summary(work: Quantising) -> dict[str, Any]:
    """For scripts, before anything is written."""
    tensors = work.task.tensors
    return {
        "output": str(work.task.output),
        "preset": work.preset,
        "architecture": work.content.architecture,
        "part": work.content.kind,
        "bytes_before": work.content.size_bytes,
        "bytes_after": work.task.size_bytes,
        "size": f"{human_size(work.task.size_bytes)} (was {human_size(work.content.size_bytes)})",
        "types": dict(Counter(tensor.type_name for tensor in tensors).most_common()),
        "fell_back": [
            {"name": tensor.name, "type": tensor.type_name, "instead_of": tensor.instead_of}
            for tensor in tensors
            if tensor.instead_of
        ],
    }


def plan_rows(work: Quantising) -> list[tuple[str, ...]]:
    """A row for each tensor."""
    return [
        (
            tensor.name,
            "x".join(map(str, tensor.shape)),
            tensor.source.dtype,
            tensor.type_name,
            f"rows of {tensor.shape[-1]} are no blocks of {tensor.instead_of}" if tensor.instead_of else "",
        )
        for tensor in work.task.tensors
    ]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - WORST} more" if len(names) > WORST else ""
    return ", ".join(names[:WORST]) + more

"""What is wrong with an adapter's file, told in one way. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from sfumato.errors import CheckpointError

PICKLES = (".pt", ".ckpt", ".bin", ".pth")
_SHOWN = 3
_EMBEDDING_KEYS = ("emb_params", "clip_l", "clip_g", "string_to_param", "<")


def check_file(path: Path, names: Collection[str]) -> None:
    """Raises `CheckpointError` for a pickle, and for a file without tensors."""
    if path.suffix.lower() in PICKLES:
        raise CheckpointError(
            f"'{path.name}' is not read.",
            why=f"Files that end with '{path.suffix}' are pickles, which can run any code when opened.",
            hint="Get it as .safetensors, or convert it with a tool that you trust.",
        )
    if not names:
        raise CheckpointError(f"'{path.name}' holds no tensors.", hint="Get the file again.")


def no_adapter(path: Path, names: Collection[str], why: str = "") -> CheckpointError:
    """The error for a file whose tensors are not those of any adapter."""
    hint = "Was it saved by a trainer of LoRAs? Models belong into the folder of checkpoints."
    if any(name.startswith(_EMBEDDING_KEYS) for name in names):
        hint = "It looks like a learned word (textual inversion): put it into the folder of embeddings."
    return CheckpointError(
        f"'{path.name}' is no LoRA, nor another adapter that is known here.",
        why=why or f"No layer is changed by its {len(names)} tensors, {listed(names)}.",
        hint=hint,
    )


def damaged(path: Path, layer: str, reason: object) -> CheckpointError:
    """The error for tensors of a layer that cannot be right."""
    return CheckpointError(
        f"'{path.name}' cannot be used: its layer '{layer}' is damaged.",
        why=f"{str(reason)[:1].upper()}{str(reason)[1:]}.",
        hint="Get the file again, or save it again from the trainer.",
    )


def listed(names: Collection[str]) -> str:
    """The first few names, quoted."""
    more = " ..." if len(names) > _SHOWN else ""
    return ", ".join(f"'{name}'" for name in list(names)[:_SHOWN]) + more

"""A model written with its large weights packed, and read again to see that all is there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from sfumato.errors import BadInput, CheckpointError, SfumatoError
from sfumato.models import CheckpointHeader, TensorInfo
from sfumato_networks.formats import SafetensorsFormat
from sfumato_networks.parts import T5_ENCODER, recognise
from sfumato_networks.stored.tensor import WeightTensor
from sfumato_quant_bnb.eight_bit import Int8
from sfumato_quant_bnb.file_forms import RELATIVE_ERROR, FileForm, packed_tensors
from sfumato_quant_bnb.float8 import ScaledFloat8
from sfumato_quant_bnb.four_bit import Fp4, Nf4

Progress = Callable[[str, int, int], None]
"""Told what is done ("packed", "verified"), how many tensors of how many."""

_PLAIN = ("F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
_LEAST_NUMBERS = 4096
_KEPT_LAYERS = re.compile(
    r"embed|shared\.|position|relative_attention_bias|norm|\bbias|(^|\.)(img|txt|time|guidance|vector)_in\."
    r"|final_layer|proj_out\.weight|x_embedder|t_embedder|y_embedder|time_embed|label_emb"
)
"""Tables of words, and the small layers at both ends of a network, where errors cost most and bytes least."""
_PART = re.compile(r"^(model\.diffusion_model\.|text_encoders\.[^.]+\.transformer\.|transformer/|)")
_LONGEST_ENDING = ".quant_state.bitsandbytes__nf4"
_FILES_OF_A_WEIGHT = 4


def packable(header: CheckpointHeader) -> frozenset[str]:
    """The names of weights that are packed: large matrices of the diffusion model and of T5."""
    kept = tuple(part.prefix for part in recognise(header) if part.kind != T5_ENCODER)
    return frozenset(
        name
        for name, info in header.tensors.items()
        if _is_large_matrix(name, info) and not (kept and name.startswith(kept))
    )


def _is_large_matrix(name: str, info: TensorInfo) -> bool:
    return (
        name.endswith(".weight")
        and len(info.shape) == 2
        and prod(info.shape) >= _LEAST_NUMBERS
        and info.dtype in _PLAIN
        and not _KEPT_LAYERS.search(name)
    )


def write_packed(
    header: CheckpointHeader,
    opened: Mapping[str, Tensor],
    path: Path,
    form: FileForm,
    *,
    device: str = "cpu",
    progress: Progress = lambda *_: None,
) -> int:
    """Write the model into a new file, which only appears when it is whole and verified.

    Args:
        header: Of plain weights.
        opened: Its tensors.
        device: Where weights are packed.

    Returns:
        The number of weights packed.

    Raises:
        BadInput: nothing in it can be packed, it is quantised already, or there is no such device.
        SfumatoError: a library is absent, the file cannot be written, or does not hold what it should.
    """
    chosen = _chosen(header)
    _check_device(device)
    temporary = path.with_name(f"{path.name}.part")
    try:
        temporary.unlink(missing_ok=True)  # left by one that was killed
        _write(header, opened, temporary, form, chosen, device, progress)
        _verify(opened, temporary, form, chosen, progress)
        temporary.replace(path)
    except OSError as error:
        raise SfumatoError(f"'{path}' cannot be written.", why=f"{error}.") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    return len(chosen)


def _check_device(device: str) -> None:
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:  # by the kind of device
        raise BadInput(
            f"Nothing can be packed on the device '{device}'.",
            why=f"{str(error).partition(chr(10))[0]:.200}",
            hint="'cpu' is always there; 'sfumato doctor' tells which others are.",
        ) from error


def _chosen(header: CheckpointHeader) -> frozenset[str]:
    stored = [info.dtype for info in header.tensors.values() if len(info.shape) > 1]
    odd = next((dtype for dtype in stored if dtype not in _PLAIN), None)
    if odd is not None:
        raise BadInput(
            f"'{header.path.name}' has weights stored as {odd}.",
            why="What is quantised already would lose a second time.",
            hint="Take the model as bf16, fp16, fp32 or plain fp8.",
        )
    chosen = packable(header)
    if not chosen:
        raise BadInput(
            f"'{header.path.name}' has nothing to pack.",
            why="Only large matrices of diffusion models and T5 are: all else would lose more than it saves.",
        )
    return chosen


def _write(
    header: CheckpointHeader,
    opened: Mapping[str, Tensor],
    path: Path,
    form: FileForm,
    chosen: frozenset[str],
    device: str,
    progress: Progress,
) -> None:
    from sfumato_quant_bnb.safetensors_writer import write_safetensors

    def tensors() -> Iterator[tuple[str, Tensor]]:
        for number, name in enumerate(header.tensors, 1):
            tensor = opened[name]
            if name in chosen:
                yield from packed_tensors(name, tensor.to(device), form).items()
            else:
                yield name, tensor
            progress("packed", number, len(header.tensors))
        for mark in marks:
            yield mark, torch.zeros(2, dtype=torch.float8_e4m3fn)  # two: products are not made in fp8

    marks = sorted({_part(name) + "scaled_fp8" for name in chosen}) if form == "scaled_fp8" else []
    names = [name for name in header.tensors if name not in chosen]
    names += [name + _LONGEST_ENDING for name in chosen for _ in range(_FILES_OF_A_WEIGHT)]
    write_safetensors(path, tensors(), [*names, *marks], {**header.metadata, "sfumato.packed": form})


def _part(name: str) -> str:
    match = _PART.match(name)
    return match.group() if match else ""


def _verify(
    opened: Mapping[str, Tensor], path: Path, form: FileForm, chosen: frozenset[str], progress: Progress
) -> None:
    """Raises `CheckpointError` where the file does not hold the same, as nearly as its form can."""
    written = opened_packed(path)
    if set(written) != set(opened):
        raise CheckpointError(f"'{path.name}' was written with other tensors than it should have.")
    for number, (name, plain) in enumerate(opened.items(), 1):
        found = written[name]
        kept = name not in chosen and torch.equal(_bytes(found), _bytes(plain))
        if not kept and not (name in chosen and _error(found, plain) <= RELATIVE_ERROR[form]):
            raise CheckpointError(
                f"Tensor '{name}' does not come back as it was.",
                why=f"It loses more than {form} should: it may have outliers or numbers that are not finite.",
                hint="Take another form: scaled_fp8 or int8 lose least.",
            )
        progress("verified", number, len(opened))


def opened_packed(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a file, packed ones as such; raises `CheckpointError` where it is damaged."""
    header, tensors = SafetensorsFormat().read_header(path), SafetensorsFormat().open_tensors(path)
    for quantisation in (Nf4(), Fp4(), Int8(), ScaledFloat8()):
        unpacked = quantisation.unpacked(header)
        if unpacked is not None:
            tensors, header = quantisation.open(header, tensors), unpacked
    return tensors


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.contiguous().view(-1).view(torch.uint8)


def _error(found: Tensor, plain: Tensor) -> float:
    """Root mean square, relative to that of the weight; 0 for zeros, and NaN is no error that is small."""
    there = found.stored.dequantised(torch.float32) if isinstance(found, WeightTensor) else found.float()
    magnitude = plain.float().norm().item()
    difference = (there - plain.float()).norm().item()
    return difference / magnitude if magnitude else difference

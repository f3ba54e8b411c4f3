"""The header of a checkpoint: one file, shards under an index, or a diffusers folder. Imports no torch."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader, TensorInfo
from sfumato_networks.safetensors_header import read_header, unreadable

_WEIGHTS = re.compile(r"(?P<model>.+)\.safetensors(?P<index>\.index(?P<variant>\.\w+)?\.json)?")
"""A file of weights or an index of shards; a variant (fp16) ends the model's name or is in the index's."""
_SHARD = re.compile(r".+-\d+-of-(?!0*1\D)\d+.*\.safetensors")
_CONFIGS = ("config.json", "scheduler_config.json")
_DIFFUSION_MODELS = ("unet", "transformer")
"""The parts that come with the folder or not at all."""


def read_checkpoint(path: Path) -> CheckpointHeader:
    """The header of whatever lies at ``path``; raises CheckpointError where anything is wrong with it."""
    path = Path(path)
    if path.is_dir():
        return read_diffusers_folder(path)
    return read_shards(path) if path.suffix == ".json" else read_header(path)


def read_shards(index: Path) -> CheckpointHeader:
    """The header of a checkpoint split over several files, of which ``index`` tells what is where.

    Raises:
        CheckpointError: the index or a shard is damaged, missing, or outside the index's folder.
    """
    content = read_json(index)
    weight_map = content.get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(file, str) for file in weight_map.values()):
        raise _bad_index(index, "It has no map of tensor names to files ('weight_map').")
    shards = {file: _read_shard(index, file) for file in sorted(set(weight_map.values()))}
    tensors: dict[str, TensorInfo] = {}
    for name, file in weight_map.items():
        if name not in shards[file].tensors:
            raise _bad_index(index, f"It places the tensor {name!r} in '{file}', which does not hold it.")
        tensors[name] = replace(shards[file].tensors[name], file=shards[file].path)
    return CheckpointHeader(index, "single_file", "safetensors", tensors)


def read_diffusers_folder(folder: Path) -> CheckpointHeader:
    """The joint header of a diffusers folder: tensors as ``part/name``, and each part's config.json
    (of a scheduler its scheduler_config.json).

    A part is a sub-folder; one without weights (a tokenizer, a scheduler) adds at most its config.

    Raises:
        CheckpointError: the folder is no diffusers folder, cannot be read, or a file in it is damaged.
    """
    try:
        return _read_parts(folder)
    except OSError as error:
        raise unreadable(folder, error) from error


def _read_parts(folder: Path) -> CheckpointHeader:
    tensors: dict[str, TensorInfo] = {}
    configs = {"": read_json(folder / "model_index.json")}
    for part in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        weights = find_weights(part)
        if weights is not None:
            header = read_checkpoint(weights)
            for name, info in header.tensors.items():
                tensors[f"{part.name}/{name}"] = info if info.file else replace(info, file=weights)
        elif part.name in _DIFFUSION_MODELS and (pickled := sorted(part.glob("*.bin"))):
            raise _only_pickled(part, pickled[0].name)
        for config in _CONFIGS:
            if (part / config).exists():
                configs[part.name] = read_json(part / config)
    return CheckpointHeader(folder, "diffusers_folder", "safetensors", tensors, configs=configs)


def find_weights(folder: Path) -> Path | None:
    """The index or the file that holds a folder's weights; the plain one where there are variants (fp16).

    Raises:
        CheckpointError: there are shards, but nothing that tells what is in which.
    """
    names = [file.name for file in folder.iterdir()]
    shards = [name for name in names if _SHARD.fullmatch(name)]
    found = [match for name in names if name not in shards and (match := _WEIGHTS.fullmatch(name))]
    if found:
        return folder / min(found, key=_plainness).string
    if shards:
        raise _without_index(folder, min(shards))
    return None


def _plainness(weights: re.Match[str]) -> tuple[bool, bool, int, str]:
    """The smaller, the plainer; an index speaks for the files beside it."""
    model, index, variant = weights.group("model", "index", "variant")
    return "." in model or variant is not None, not index, len(model), weights.string


def _without_index(folder: Path, shard: str) -> CheckpointError:
    model = shard[: shard.rindex("-of-")].rpartition("-")[0]
    return CheckpointError(
        f"'{folder}' holds weights in pieces, without the index that tells what is in which.",
        why=f"'{shard}' is one of them.",
        hint=f"Download {model}.safetensors.index.json to them.",
    )


def _only_pickled(folder: Path, file: str) -> CheckpointError:
    return CheckpointError(
        f"'{folder}' holds no .safetensors.",
        why=f"'{file}' is a pickle file, and opening one runs whatever program it holds.",
        hint="Download the folder's .safetensors files; their usual name is "
        "diffusion_pytorch_model.safetensors.",
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; CheckpointError where it is missing or something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"'{path}' is not JSON.", why=f"{error}.", hint="Download it again.") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"'{path}' is not a JSON object.", hint="Download it again.")
    return content


def _read_shard(index: Path, file: str) -> CheckpointHeader:
    if Path(file).name != file or "\\" in file:
        raise _bad_index(index, f"It names '{file}', which is not a file beside it.")
    if not index.with_name(file).exists():
        raise _bad_index(index, f"The file '{file}' that it names is missing.")
    return read_header(index.with_name(file))


def _bad_index(index: Path, why: str) -> CheckpointError:
    return CheckpointError(f"'{index}' is not a usable index.", why=why, hint="Download the folder again.")

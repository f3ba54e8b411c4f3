"""The header of a checkpoint: one file, shards under an index, or a diffusers folder. Imports no torch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader, TensorInfo
from sfumato_networks.safetensors_header import read_header, unreadable

INDEX_SUFFIX = ".safetensors.index.json"


def read_checkpoint(path: Path) -> CheckpointHeader:
    """The header of whatever lies at ``path``; raises CheckpointError where anything is wrong with it."""
    path = Path(path)
    if path.is_dir():
        return read_diffusers_folder(path)
    return read_shards(path) if path.name.endswith(INDEX_SUFFIX) else read_header(path)


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
    """The joint header of a diffusers folder: tensors as ``part/name``, and each part's config.json.

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
        if (part / "config.json").exists():
            configs[part.name] = read_json(part / "config.json")
    return CheckpointHeader(folder, "diffusers_folder", "safetensors", tensors, configs=configs)


def find_weights(folder: Path) -> Path | None:
    """The index or the file that holds a folder's weights; the plain one where there are variants (fp16)."""
    for suffix in (INDEX_SUFFIX, ".safetensors"):
        files = [file for file in folder.iterdir() if file.name.endswith(suffix)]
        if files:
            return min(files, key=lambda file: (len(file.name), file.name))
    return None


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
    return read_header(index.with_name(file))


def _bad_index(index: Path, why: str) -> CheckpointError:
    return CheckpointError(f"'{index}' is not a usable index.", why=why, hint="Download the folder again.")

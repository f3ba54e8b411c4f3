"""A folder of pictures, each drawn anew: img2img batches with masks by name and settings from infotexts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from sfumato.errors import BadInput
from sfumato.request import GridRequest, PictureFolder
from sfumato_grids.fields import find_field
from sfumato_grids.plan import Draft, Plan, check_count, given_values
from sfumato_grids.prompt_list import listed_plan
from sfumato_grids.seeds import SeedSource
from sfumato_pictures import infotext
from sfumato_pictures.reading import SUFFIXES, read_metadata, read_size

SCRIPT = "Batch img2img"
SIZE_STEP = 8
"""Sizes made by a factor are multiples of this, as the engine makes those of start pictures."""

_KEYS: Mapping[str, tuple[str, str]] = {
    "seed": ("seed", "Seed"),
    "cfg_scale": ("cfg_scale", "CFG scale"),
    "steps": ("steps", "Steps"),
    "sampler": ("sampler", "Sampler"),
    "model": ("model", "Model"),
}
_PROMPTS = ("prompt", "negative_prompt")


def plan_pictures(grid: GridRequest, pictures: PictureFolder, output_folder: Path, seeds: SeedSource) -> Plan:
    """The plan of a folder of pictures.

    A picture without its mask, or that cannot be read, is told and not drawn; the others are.

    Raises:
        BadInput: there is no such folder, or no picture in it, or results would go into it.
    """
    folder = pictures.folder.expanduser()
    files = _pictures_in(folder, recursive=pictures.recursive)
    _check_apart(folder, output_folder, recursive=pictures.recursive)
    check_count(len(files))
    masks = _pictures_in(pictures.masks.expanduser(), recursive=False) if pictures.masks else None
    drafts = [_draft(file, masks, grid, pictures) for file in files]
    return listed_plan(SCRIPT, "batch", drafts, grid, seeds)


def _draft(file: Path, masks: list[Path] | None, grid: GridRequest, pictures: PictureFolder) -> Draft:
    values: dict[str, Any] = deepcopy(given_values(grid.base))
    values["img2img"] = {**(values.get("img2img") or {}), "image": file}
    problem, own_seed = "", False
    try:
        if masks is not None:
            values["inpaint"] = {**(values.get("inpaint") or {}), "mask": _mask_of(file, masks)}
        if pictures.scale is not None:
            values |= _scaled_size(file, pictures.scale)
        if pictures.take:
            source = pictures.texts.expanduser() / file.name if pictures.texts else file
            taken = _taken(source, pictures.take)
            own_seed = "seed" in taken
            values |= _with_prompts_added(values, taken)
    except BadInput as error:
        problem = str(error)
        values.pop("inpaint", None)
    return Draft(values, where=file.name, own_seed=own_seed, file_name=file.stem, problem=problem)


def _pictures_in(folder: Path, *, recursive: bool) -> list[Path]:
    """Pictures by their endings, sorted as people count: 2 before 10; hidden ones are none."""
    if not folder.is_dir():
        raise BadInput(f"There is no folder '{folder}'.", hint="Check the path.")
    found = folder.rglob("*") if recursive else folder.iterdir()
    files = [file for file in found if file.suffix.lower() in SUFFIXES and not _is_hidden(file, folder)]
    if not files:
        raise BadInput(f"There are no pictures in '{folder}'.")
    return sorted(files, key=_as_counted)


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts) or not file.is_file()


def _as_counted(path: Path) -> list[tuple[int, str]]:
    pieces = re.split(r"(\d+)", str(path).lower())
    return [(int(piece), "") if piece.isdecimal() else (0, piece) for piece in pieces]


def _check_apart(folder: Path, output_folder: Path, *, recursive: bool) -> None:
    source, results = folder.resolve(), output_folder.expanduser().resolve()
    if results == source or (recursive and source in results.parents):
        raise BadInput(
            f"The results would go into '{folder}', where the pictures are.",
            why="The next run would take them for pictures to start from.",
            hint="Name another output folder with --out.",
        )


def _mask_of(file: Path, masks: list[Path]) -> Path:
    if len(masks) == 1:
        return masks[0]
    for mask in masks:
        if mask.stem == file.stem:
            return mask
    raise BadInput(f"'{file.name}' has no mask.", hint=f"Put one called '{file.stem}.png' to the masks.")


def _scaled_size(file: Path, scale: float) -> dict[str, int]:
    sides = (max(SIZE_STEP, int(side * scale) // SIZE_STEP * SIZE_STEP) for side in read_size(file))
    return dict(zip(("width", "height"), sides, strict=True))


def _taken(file: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """What a picture's infotext says of these fields; what it does not say, or wrongly, stays open."""
    text = infotext.read(read_metadata(file).parameters)
    taken: dict[str, Any] = {name: getattr(text, name) for name in _PROMPTS if name in names}
    for name, (field, key) in _KEYS.items():
        if name in names and text.fields.get(key):
            try:
                taken[field] = find_field(field).value(text.fields[key])
            except ValueError:
                continue
    if "sampler" in taken and text.fields.get("Schedule type"):
        taken["scheduler"] = text.fields["Schedule type"]
    return taken


def _with_prompts_added(values: Mapping[str, Any], taken: dict[str, Any]) -> dict[str, Any]:
    """Prompts behind those that all pictures share."""
    for name in _PROMPTS:
        if name in taken:
            taken[name] = " ".join(filter(None, (values.get(name), taken[name])))
    return taken

"""An adapter's tensors become changes of a model's layers, or are accounted for in the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.adapters import MatchReport
from sfumato.errors import CheckpointError
from sfumato.models import LoadedModel
from sfumato_adapters.changes import LayerChange
from sfumato_adapters.families import made_for
from sfumato_adapters.file_checks import check_file, listed, no_adapter
from sfumato_adapters.kinds import PLAIN, kinds_of, names_of_kinds
from sfumato_adapters.kinds.delta import Shape
from sfumato_adapters.layer_reading import LayerReader
from sfumato_adapters.layer_table import LayerTable
from sfumato_adapters.layouts import NamedTensors, Section, layer_shapes, layout_of, read_names
from sfumato_adapters.peft_metadata import TrainedScales

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ReadAdapter:
    """An adapter as it acts on one model.

    Attributes:
        notes: What the user should know beyond the report.
    """

    report: MatchReport
    changes: tuple[LayerChange, ...]
    notes: tuple[str, ...] = ()


def read_adapter(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], model: LoadedModel
) -> ReadAdapter:
    """What the tensors of an adapter ask of a model's layers.

    The tensors are kept as they are, mapped ones mapped: nothing is computed before a change is asked for.

    Args:
        path: Their file, for messages and the report.
        metadata: The file's.

    Raises:
        CheckpointError: the file is a pickle, empty, damaged, no adapter, or made for another family.
    """
    check_file(path, tensors)
    named = read_names(tensors)
    shapes = layer_shapes(named, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
    _check_kinds(path, named, shapes)
    family = made_for(shapes, metadata)
    reader = LayerReader(path, family, LayerTable(model), model, TrainedScales(metadata))
    for layer in named.layers:
        reader.read(layer, tensors)
    report = MatchReport(
        name=path.stem,
        path=path,
        kinds=names_of_kinds(shapes),
        layout=layout_of(named),
        made_for=family,
        keys=len(tensors),
        unknown=(*named.unknown, *reader.unknown),
        unmatched=tuple(reader.unmatched),
        layers=_layers_touched(reader.changes),
    )
    # Families share text encoders: one that fits is no sign that the adapter was made for this model.
    draws_elsewhere = Section.DIFFUSION in reader.missed_sections - reader.matched_sections
    if draws_elsewhere or not reader.changes:
        raise _for_another_family(report, model)
    return ReadAdapter(report, tuple(reader.changes), reader.notes)


def _check_kinds(path: Path, named: NamedTensors, layers: Mapping[str, Mapping[str, Shape]]) -> None:
    kinds = {kind for shapes in layers.values() for kind in kinds_of(shapes)}
    names = [*named.unknown, *(key for layer in named.layers for _, key in layer.keys)]
    if not kinds:
        raise no_adapter(path, names)
    if kinds <= PLAIN:
        raise no_adapter(path, names, "It holds whole weights, as models do, and no changes of any.")


def _layers_touched(changes: list[LayerChange]) -> dict[str, int]:
    touched = dict.fromkeys((change.part, change.target) for change in changes)
    return dict(Counter(part for part, _ in touched))


def _for_another_family(report: MatchReport, model: LoadedModel) -> CheckpointError:
    family = model.info.label or model.info.family
    maker = report.made_for or "another family"
    return CheckpointError(
        f"'{report.name}' was made for {maker} and does not fit '{model.info.name}' ({family}).",
        why=f"The model has none of the layers that it is for, {listed(report.unmatched)}.",
        hint=f"Choose an adapter made for {family}, or another model.",
    )

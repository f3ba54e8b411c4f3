"""One layer of an adapter's file after the other, against the layers of a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.errors import CheckpointError
from sfumato.models import LoadedModel
from sfumato_adapters.changes import LayerChange
from sfumato_adapters.file_checks import damaged
from sfumato_adapters.kinds import Kind, dora, kinds_of, slots_of
from sfumato_adapters.kinds.delta import Delta, Misfit, MisfitOfLayer, Shape
from sfumato_adapters.kinds.scaling import Scaling, read_scaling
from sfumato_adapters.layer_change import AdaptedLayer
from sfumato_adapters.layer_table import FoundLayer, LayerTable
from sfumato_adapters.layouts import NamedLayer, Section
from sfumato_adapters.peft_metadata import TrainedScales

if TYPE_CHECKING:
    from torch import Tensor

Rows = tuple[int, int] | None
"""First and one past the last output feature; None for all."""

_SMALLEST_TYPE = 1
"""Bytes of the types that torch can only store."""


class LayerReader:
    """Collects what the layers of one file come to.

    Attributes:
        unknown: Tensors whose meaning is not known.
        unmatched: Tensors for layers, or biases, that the model lacks.
        matched_sections: The networks, as the file calls them, of which a layer was found.
        missed_sections: Those of which one was not.
    """

    def __init__(
        self, path: Path, family: str, table: LayerTable, model: LoadedModel, trained: TrainedScales
    ) -> None:
        self.changes: list[LayerChange] = []
        self.unknown: list[str] = []
        self.unmatched: list[str] = []
        self.matched_sections: set[Section] = set()
        self.missed_sections: set[Section] = set()
        self._path = path
        self._family = family
        self._table = table
        self._model = model
        self._trained = trained
        self._claims: dict[tuple[str, str, str], list[tuple[Rows, str]]] = {}
        self._without_effect = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know."""
        if not self._without_effect:
            return ()
        return (f"{self._path.name}: layers without effect, for their alpha is 0: {self._without_effect}.",)

    def read(self, layer: NamedLayer, tensors: Mapping[str, Tensor]) -> None:
        """Add the changes that the tensors of a layer ask for, or put these aside.

        Raises:
            CheckpointError: they are damaged, or do not fit the layer of that name.
        """
        by_slot = {slot: tensors[key] for slot, key in layer.keys}
        if len(by_slot) < len(layer.keys):
            raise damaged(
                self._path, layer.stem, "it has two tensors for the same thing, of two adapters maybe"
            )
        kinds = kinds_of(shapes_of(by_slot))
        known = slots_of(kinds)
        self.unknown += [key for slot, key in layer.keys if slot not in known]
        found = self._table.find(layer.name)
        if kinds:
            (self.matched_sections if found else self.missed_sections).add(layer.name.section)
        try:
            _check_numbers({slot: tensor for slot, tensor in by_slot.items() if slot in known})
            if dora.SLOTS & by_slot.keys() and sum(kind.parameter == "weight" for kind in kinds) > 1:
                raise Misfit("it has several changes, and lengths that belong to one")
            used = {slot for kind in kinds if found for slot in self._add(kind, layer, by_slot, found)}
        except MisfitOfLayer as misfit:
            raise self._does_not_fit(layer, misfit) from misfit
        except Misfit as misfit:
            raise damaged(self._path, layer.stem, misfit) from misfit
        self.unmatched += [key for slot, key in layer.keys if slot in known and slot not in used]

    def _add(
        self, kind: Kind, layer: NamedLayer, tensors: Mapping[str, Tensor], found: tuple[FoundLayer, ...]
    ) -> frozenset[str]:
        """The slots that the kind used: none where the layer has no such parameter."""
        shape = self._table.shape(found, kind.parameter)
        if shape is None:
            return frozenset()
        scaling = read_scaling(tensors, self._trained.of(layer.stem, kind.name))
        change = kind.build(tensors, shape, scaling)
        name = kind.name
        if kind.parameter == "weight" and dora.SLOTS.intersection(tensors):
            change, name = dora.decomposed(change, tensors, shape), "dora"
        pieces = [_piece(change, piece, shape) for piece in found]
        if any(piece is None for piece in pieces):
            return frozenset()
        for place, piece in zip(found, pieces, strict=True):
            self._claim(place, kind.parameter, layer.stem)
            if piece is not None:
                self.changes.append(AdaptedLayer(place.part, place.target, kind.parameter, name, piece))
        self._without_effect += kind.parameter == "weight" and _has_no_effect(
            kind, shapes_of(tensors), scaling
        )
        return slots_of((kind,))

    def _claim(self, place: FoundLayer, parameter: str, stem: str) -> None:
        claims = self._claims.setdefault((place.part, place.target.layer, parameter), [])
        for rows, first in claims:
            if first != stem and _overlap(rows, place.target.rows):
                raise damaged(self._path, stem, f"it is the same layer as '{first}', under another name")
        claims.append((place.target.rows, stem))

    def _does_not_fit(self, layer: NamedLayer, misfit: Misfit) -> CheckpointError:
        family = self._model.info.label or self._model.info.family
        made_for = f" was made for {self._family} and" if self._family else ""
        return CheckpointError(
            f"'{self._path.stem}'{made_for} does not fit '{self._model.info.name}' ({family}).",
            why=f"At the layer '{layer.stem}', {misfit}.",
            hint=f"Choose an adapter made for {family}, or another model.",
        )


def _overlap(one: Rows, other: Rows) -> bool:
    return one is None or other is None or (one[0] < other[1] and other[0] < one[1])


def _piece(change: Delta, place: FoundLayer, shape: Shape) -> Delta | None:
    return change if place.rows is None else change.rows(*place.rows, shape[0])


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    """Shapes by slot."""
    return {slot: tuple(tensor.shape) for slot, tensor in tensors.items()}


def _has_no_effect(kind: Kind, shapes: Mapping[str, Shape], scaling: Scaling) -> bool:
    return kind.rank(shapes) is not None and scaling.alpha == 0 and scaling.scale is None


def _check_numbers(tensors: Mapping[str, Tensor]) -> None:
    """Raises `Misfit` where values are missing, infinite, or no floating-point numbers."""
    for slot, tensor in tensors.items():
        if tensor.numel() == 0:
            raise Misfit(f"'{slot}' has the shape {list(tensor.shape)}: its rank is 0")
        if not tensor.is_floating_point():
            if tensor.numel() == 1 and not tensor.is_complex():
                continue  # alpha and flags may be whole numbers
            raise Misfit(f"'{slot}' is stored as {str(tensor.dtype).removeprefix('torch.')}")
        values = tensor.float() if tensor.itemsize == _SMALLEST_TYPE else tensor
        low, high = values.aminmax()
        if not (low.isfinite() and high.isfinite()):
            raise Misfit(f"'{slot}' holds values that are no numbers (NaN) or infinite")

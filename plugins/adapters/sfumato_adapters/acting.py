"""What acts on one loaded model: merged parameters and branches, as the next picture asks for them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn

from sfumato.errors import BadInput
from sfumato_adapters.choice import branches, copies_fit, is_mergeable
from sfumato_adapters.merging import MergedParameter
from sfumato_adapters.on_the_fly import Branch, BranchStrengths, can_branch
from sfumato_adapters.settings import AdapterSettings
from sfumato_adapters.stacks import Piece
from sfumato_networks.stored.placing import is_streamed, spare_bytes
from sfumato_networks.stored.tensor import WeightTensor

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Place:
    """A parameter of a model that adapters change."""

    part: str
    layer: str
    parameter: str


class ActingAdapters:
    """What acts on one model; it knows the model's layers, not the model, and goes when that goes."""

    def __init__(self) -> None:
        self._parameters: OrderedDict[Place, MergedParameter] = OrderedDict()  # least recently used first
        self._merged: dict[Place, list[Piece]] = {}
        self._branches: dict[Place, Branch] = {}
        self._branched: dict[Place, list[Piece]] = {}
        self._strengths: list[BranchStrengths] = []
        self._in_force: tuple[float, ...] = ()
        self._spare: int | None = None
        self.note = ""
        """What the user should know of how they act; empty for nothing."""

    def act(
        self,
        networks: Mapping[str, nn.Module],
        pieces: Mapping[Place, Sequence[Piece]],
        of_slots: Sequence[float],
        changing: frozenset[int],
        settings: AdapterSettings,
    ) -> None:
        """Make exactly these act.

        Args:
            pieces: By the parameter that they change.
            of_slots: The strengths that pieces follow.
            changing: The slots whose strengths change over the steps.
            settings: Which way they act, and how much is kept for later.

        Raises:
            BadInput: one can only be merged, and the layer's plain numbers do not fit into memory.
        """
        try:
            with torch.inference_mode(False), torch.no_grad():
                self._arrange(networks, pieces, changing, settings)
                self._in_force = ()
                self.set_strengths(of_slots)
        except BaseException:
            self.clear()
            raise

    def set_strengths(self, of_slots: Sequence[float]) -> None:
        """Change the strengths of what acts."""
        wanted = tuple(of_slots)
        if wanted == self._in_force:
            return
        on_before = [bool(value) for value in self._in_force]
        for strengths in self._strengths:
            strengths.set(wanted)
        if on_before != [bool(value) for value in wanted]:
            for branch in self._branches.values():
                branch.attach_if_any(wanted)
        for place, pieces in self._merged.items():
            self._parameters[place].merge(pieces, wanted)
            self._parameters.move_to_end(place)
        self._in_force = wanted

    def clear(self) -> None:
        """The model is as it was loaded, and nothing is kept."""
        for parameter in self._parameters.values():
            parameter.drop()
        for branch in self._branches.values():
            branch.detach()
        for kept in (self._parameters, self._merged, self._branches, self._branched):
            kept.clear()
        self._strengths = []
        self._in_force = ()
        self.note = ""

    def _arrange(
        self,
        networks: Mapping[str, nn.Module],
        pieces: Mapping[Place, Sequence[Piece]],
        changing: frozenset[int],
        settings: AdapterSettings,
    ) -> None:
        modules = {place: networks[place.part].get_submodule(place.layer) for place in pieces}
        self._spare = spare_bytes(networks[part] for part in {place.part for place in pieces})
        self._undo_all_but(pieces)
        self._trim(settings.keep_megabytes * MEGABYTE, pieces)
        own = {place: self._own(place, module) for place, module in modules.items()}
        streamed = {part for part in {place.part for place in pieces} if is_streamed(networks[part])}
        copied = {
            place: weight
            for place, weight in own.items()
            if is_mergeable(weight) and place.part not in streamed
        }
        fits = settings.how == "on_the_fly" or self._copies_fit(copied, pieces)
        self._merged, branched = {}, {}
        for place, wanted in pieces.items():
            beside = list[Piece]()
            for piece in wanted:
                changes = piece.slot in changing
                on_the_fly = place.part in streamed or branches(
                    settings.how, own[place], changes_over_steps=changes, fits=fits
                )
                if on_the_fly and can_branch(modules[place], piece):
                    beside.append(piece)
            if merged := [piece for piece in wanted if piece not in beside]:
                self._merged[place] = merged
            elif place in self._parameters:
                self._parameters[place].undo()
            if beside:
                branched[place] = beside
        self.note = self._note_of_plain_copies(own, pieces)
        for place in self._merged:
            self._parameters.setdefault(place, MergedParameter(modules[place], place.parameter))
        self._branch(branched, modules, networks)

    def _own(self, place: Place, module: nn.Module) -> Tensor:
        """The model's own parameter, though a copy may be in force."""
        known = self._parameters.get(place)
        own: Tensor = known.original if known else getattr(module, place.parameter)
        return own

    def _note_of_plain_copies(self, own: Mapping[Place, Tensor], wanted: Collection[Place]) -> str:
        """What the user is told of weights in stored forms that must be merged into; none may be too many."""
        stored = {place: own[place] for place in self._merged if not is_mergeable(own[place])}
        if not stored:
            return ""
        can_be_plain = all(isinstance(weight, WeightTensor) for weight in stored.values())
        size = sum(weight.nbytes for weight in stored.values()) / MEGABYTE
        kinds = ", ".join(sorted({p.change.kind for place in stored for p in self._merged[place]}))
        if can_be_plain and self._copies_fit(stored, wanted):
            layers = "1 layer is" if len(stored) == 1 else f"{len(stored)} layers are"
            return (
                f"{layers} kept in plain numbers too, {size:.0f} MB more: changes of the kind {kinds} cannot "
                "be computed beside quantised or streamed weights."
            )
        raise BadInput(
            f"An adapter of the kind '{kinds}' cannot act on the layer '{next(iter(stored)).layer}'.",
            why="It has to be added to the weights, and these are quantised"
            + (
                f": in plain numbers they would take {size:.0f} MB, which are not free."
                if can_be_plain
                else "."
            ),
            hint="Load the model with plain weights (bf16, fp16), or leave this adapter out.",
        )

    def _undo_all_but(self, wanted: Collection[Place]) -> None:
        for place, parameter in self._parameters.items():
            if place not in wanted:
                parameter.undo()

    def _trim(self, limit: int, wanted: Collection[Place]) -> None:
        """Let go of the copies used longest ago until those not wanted stay within the limit, in bytes."""
        idle = {place: p.kept_bytes for place, p in self._parameters.items() if place not in wanted}
        total = sum(idle.values())
        for place, size in idle.items():
            if total <= limit:
                return
            self._parameters.pop(place).drop()
            total -= size

    def _copies_fit(self, weights: Mapping[Place, Tensor], wanted: Collection[Place]) -> bool:
        """Whether plain copies of these weights are to be had; where not, those not wanted give way first."""
        needed: dict[torch.device, int] = {}
        for place, weight in weights.items():
            if place not in self._parameters:
                needed[weight.device] = needed.get(weight.device, 0) + weight.nbytes
        if self._spare is not None and sum(needed.values()) > self._spare:
            return False
        if all(copies_fit(size, device) for device, size in needed.items()):
            return True
        self._trim(0, wanted)
        return all(copies_fit(size, device) for device, size in needed.items())

    def _branch(
        self,
        wanted: Mapping[Place, list[Piece]],
        modules: Mapping[Place, nn.Module],
        networks: Mapping[str, nn.Module],
    ) -> None:
        """Build the branches that are not there as they are wanted."""
        fitting = all(branch.fits() for branch in self._branches.values())
        if fitting and wanted == self._branched and len(wanted) == len(self._branches):
            return
        for branch in self._branches.values():
            branch.detach()
        self._branches = {}
        self._branched = dict(wanted)
        by_device: dict[torch.device, list[Branch]] = {}
        for place, pieces in wanted.items():
            module = modules[place]
            branch = Branch(module, pieces, _compute_type(module, networks[place.part]))
            self._branches[place] = branch
            by_device.setdefault(branch.factors.device, []).append(branch)
        self._strengths = [BranchStrengths(found) for found in by_device.values()]


def _compute_type(module: nn.Module, network: nn.Module) -> torch.dtype:
    """What a layer computes in: its weight's type, or the network's where that cannot be computed in."""
    own: Tensor | None = getattr(module, "weight", None)
    for tensor in chain((own,), network.parameters()):
        if tensor is not None and (is_mergeable(tensor) or isinstance(tensor, WeightTensor)):
            return tensor.dtype
    return torch.float32

"""The contract of kinds of adapters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from sfumato.adapters import AdapterInfo, AdapterKind, AdapterUse, MatchReport
from sfumato.errors import UnknownName
from sfumato.library import ModelLibrary
from sfumato.models import LoadedModel, Placement, PromptText
from sfumato.registries import Registries
from sfumato.registry import Entry
from sfumato.tasks import TaskContext
from sfumato.testing.analytic import normal
from sfumato.testing.entries import EntryContract
from sfumato.testing.families import library_of

if TYPE_CHECKING:
    from torch import Tensor

STEPS = 4


class AdapterContract(EntryContract):
    """What a registered kind of adapter promises, tried on a tiny model and files that the class writes.

    Attributes:
        uses: Two ways to ask for the files in a prompt, each of which changes the first step already.
        size: Width and height of the pictures, in pixels.
    """

    registry: ClassVar[str] = "adapters"
    uses: ClassVar[tuple[AdapterUse, AdapterUse]]
    size: ClassVar[tuple[int, int]] = (64, 32)

    def write_files(self, folder: Path) -> Path:
        """Write a tiny model with all its parts, and the files of adapters, into an empty model folder.

        Returns:
            The model's file or folder.
        """
        raise NotImplementedError("Tell the contract how to write a tiny model and adapters for it.")

    @pytest.fixture(scope="class")
    @classmethod
    def checkpoint(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return cls().write_files(tmp_path_factory.mktemp("models"))

    @pytest.fixture(scope="class")
    @classmethod
    def library(cls, checkpoint: Path, registries: Registries) -> ModelLibrary:
        return library_of(checkpoint.parent, registries)

    @pytest.fixture
    def model(self, checkpoint: Path, library: ModelLibrary, registries: Registries) -> LoadedModel:
        info = library.detect(checkpoint)
        family = registries.model_families.get(info.family).load()()
        model: LoadedModel = family.load(info, library, Placement(dtype="float32"))
        return model

    @pytest.fixture
    def context(self, library: ModelLibrary, registries: Registries, tmp_path: Path) -> TaskContext:
        """One with all settings at their defaults."""
        sections = {entry.info.name: entry.load()() for entry in registries.settings}
        return TaskContext(registries, library, SimpleNamespace(**sections), tmp_path)

    @pytest.fixture
    def kind(self, entry: Entry[AdapterInfo]) -> AdapterKind:
        found: AdapterKind = entry.load()()
        return found

    def drawn(self, model: LoadedModel) -> Tensor:
        """What the model makes of a prompt and fixed noise, as adapters leave it."""
        step = model.latent_format.pixels_per_latent
        shape = (1, model.latent_format.channels, self.size[1] // step, self.size[0] // step)
        prompt = model.condition(PromptText(((("a red apple", 1.0),),)), {})
        noise_schedule = model.noise_schedule(*self.size, {})
        return model.denoise(normal(shape).float(), float(noise_schedule.sigma_max) / 2, [prompt], {})

    def test_each_use_changes_the_picture_and_none_leaves_the_model_as_loaded(
        self, kind: AdapterKind, model: LoadedModel, context: TaskContext
    ) -> None:
        parameters = _parameters(model)
        copies = {name: parameter.clone() for name, parameter in parameters.items()}
        plain = self.drawn(model)
        for use in self.uses:
            kind.apply(model, [use], context)
            assert not self.drawn(model).equal(plain), use
        kind.apply(model, [], context)
        assert self.drawn(model).equal(plain), "an empty sequence undoes what was done"
        assert all(parameter.equal(copies[name]) for name, parameter in _parameters(model).items())

    def test_the_same_set_gives_the_same_bits_whatever_came_before(
        self, kind: AdapterKind, model: LoadedModel, context: TaskContext
    ) -> None:
        sets: list[list[AdapterUse]] = [[self.uses[0]], [self.uses[1]], list(self.uses), []]
        first = []
        for uses in sets:
            kind.apply(model, uses, context)
            first.append(self.drawn(model))
        for uses, expected in zip(sets, first, strict=True):
            kind.apply(model, uses, context)
            assert self.drawn(model).equal(expected), uses

    def test_a_set_acts_again_after_others_did(
        self, kind: AdapterKind, model: LoadedModel, context: TaskContext
    ) -> None:
        first, second = ([use] for use in self.uses)
        applied = kind.apply(model, first, context)
        expected = self.drawn(model)
        for others in (second, []):
            kind.apply(model, others, context)
            applied.put_in_force()
            assert self.drawn(model).equal(expected), others

    def test_a_released_model_is_as_loaded_and_its_weights_may_be_others_afterwards(
        self, kind: AdapterKind, model: LoadedModel, context: TaskContext
    ) -> None:
        parameters, plain = _parameters(model), self.drawn(model)
        applied = kind.apply(model, self.uses, context)
        expected = self.drawn(model)
        kind.release(model)
        assert all(parameter is parameters[name] for name, parameter in _parameters(model).items())
        assert self.drawn(model).equal(plain)
        _move(model)
        moved = _parameters(model)
        applied.put_in_force()
        assert self.drawn(model).equal(expected), "it acts on the weights that are there now"
        kind.apply(model, [], context)
        assert all(parameter is moved[name] for name, parameter in _parameters(model).items())
        assert self.drawn(model).equal(plain), "and nothing of those before comes back"
        kind.release(model)

    def test_what_acts_is_reported_with_its_files(
        self, kind: AdapterKind, model: LoadedModel, context: TaskContext
    ) -> None:
        applied = kind.apply(model, self.uses, context)
        names = {use.name for use in self.uses}
        assert set(applied.files) == names
        assert all(path.exists() for path in applied.files.values())
        assert {report.name for report in applied.reports} == names
        for report in applied.reports:
            assert isinstance(report, MatchReport)
            assert len(report.unknown) + len(report.unmatched) <= report.keys
            assert report.is_full or any(report.path.name in note for note in applied.notes)
        hash(applied.text_identity)
        assert all(isinstance(value, str) for value in applied.infotext.values())

    def test_without_uses_there_is_nothing_to_tell(
        self, kind: AdapterKind, model: LoadedModel, context: TaskContext
    ) -> None:
        kind.apply(model, self.uses, context)
        applied = kind.apply(model, [], context)
        told: list[Sequence[Any]] = [applied.reports, applied.notes]
        assert not any(told)
        assert not applied.files
        assert not applied.infotext
        assert applied.text_identity is None
        assert not applied.changes_over_steps

    def test_steps_may_come_in_any_order_and_number(
        self, kind: AdapterKind, model: LoadedModel, context: TaskContext
    ) -> None:
        applied = kind.apply(model, self.uses, context)
        found: dict[int, Tensor] = {}
        for step in (0, STEPS - 1, 1, 0, 1, STEPS - 1):
            applied.at_step(step, STEPS)
            drawn = self.drawn(model)
            assert found.setdefault(step, drawn).equal(drawn), f"step {step}"
        assert applied.changes_over_steps or found[0].equal(found[STEPS - 1])
        applied.at_step(0, 1)

    def test_an_unknown_name_is_refused_and_nothing_changes(
        self, kind: AdapterKind, model: LoadedModel, context: TaskContext
    ) -> None:
        kind.apply(model, [self.uses[0]], context)
        before = self.drawn(model)
        with pytest.raises(UnknownName):
            kind.apply(model, [AdapterUse(self.uses[0].tag, "no such file anywhere")], context)
        kind.apply(model, [self.uses[0]], context)
        assert self.drawn(model).equal(before)

    def test_an_empty_text_holds_no_learned_words(
        self, kind: AdapterKind, model: LoadedModel, context: TaskContext
    ) -> None:
        assert list(kind.embeddings(model, "", context)) == []


def _parameters(model: LoadedModel) -> dict[str, Tensor]:
    return {
        f"{part} {name}": parameter
        for part, network in model.networks.items()
        for name, parameter in network.named_parameters()
    }


def _move(model: LoadedModel) -> None:
    """Make every weight another tensor, as taking them to another device and back does."""
    for network in model.networks.values():
        copies = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        network.load_state_dict(copies, assign=True)

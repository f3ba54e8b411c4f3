"""The contract of model families."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from sfumato.errors import BadInput, CheckpointError, MissingPart, SfumatoError
from sfumato.file_hashes import FileHashes
from sfumato.library import ModelLibrary
from sfumato.models import (
    CheckpointHeader,
    LayerTarget,
    LoadedModel,
    ModelFamily,
    ModelFamilyInfo,
    ModelInfo,
    Placement,
    PromptText,
    TensorInfo,
)
from sfumato.registries import Registries
from sfumato.registry import Entry
from sfumato.testing.analytic import conventions_of, normal
from sfumato.testing.entries import EntryContract, heavy_imports_of

if TYPE_CHECKING:
    from torch import Tensor

FOREIGN: tuple[dict[str, tuple[int, ...]], ...] = (
    {},
    {"weight": (4, 4)},
    {"model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3), "cond_stage_model.x": (1,)},
    {"first_stage_model.decoder.conv_in.weight": (512, 4, 3, 3)},
    {"lora_unet_down_blocks_0.lora_down.weight": (16, 320), "lora_unet_down_blocks_0.alpha": ()},
    {"": (), "\N{RED APPLE}": (0,), "a" * 1000: (1,) * 8},
)
"""Headers of what is no model, or surely another family's."""
PROMPTS = (
    *(PromptText(chunks=(((text, 1.0),),)) for text in ("", " ", "\N{RED APPLE} ä", "word " * 200)),
    PromptText(chunks=((("a", 0.0), ("sky", -1.0)),)),
    PromptText(chunks=((("a", 1.3), ("red apple", 0.7)), (("sky", 1.0),)), emphasis="no_norm", clip_skip=2),
    PromptText(chunks=((),)),
)
"""Empty ones, long ones, weights, and several chunks."""
DETECTING = """
from pathlib import Path
from sfumato.testing.entries import Installation
from sfumato.testing.families import library_of
registries = Installation().registries
header = library_of(Path(sys.argv[1]).parent, registries).header(Path(sys.argv[1]))
assert registries.model_families.get(sys.argv[2]).load()().detect(header)
"""


def library_of(folder: Path, registries: Registries) -> ModelLibrary:
    """The models below one folder."""
    return ModelLibrary([folder], registries, FileHashes(folder / "hashes.json"))


class ModelFamilyContract(EntryContract):
    """What a registered model family promises, tried on a tiny model that the class writes.

    Attributes:
        prompts: Two that the model may tell apart.
        size: Width and height of the pictures, in pixels.
        placement: Where the model is put.
    """

    registry: ClassVar[str] = "model_families"
    prompts: ClassVar[tuple[str, str]] = ("a red apple", "blue")
    size: ClassVar[tuple[int, int]] = (32, 16)
    placement: ClassVar[Placement] = Placement(device="cpu", dtype="float32")

    def write_checkpoint(self, folder: Path) -> Path:
        """Write a tiny model, and the parts that it needs besides, into an empty model folder.

        Returns:
            The checkpoint's file or folder.
        """
        raise NotImplementedError("Tell the contract how to write a tiny checkpoint of this family.")

    def write_incomplete(self, folder: Path) -> Path | None:
        """The same with a part missing; None for a family whose checkpoints hold everything."""
        return None

    def write_part(self, folder: Path) -> tuple[str, Path] | None:
        """The kind and the file of a part that fits the checkpoint; None where parts cannot be chosen."""
        return None

    @pytest.fixture(scope="class")
    @classmethod
    def checkpoint(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return cls().write_checkpoint(tmp_path_factory.mktemp("models"))

    @pytest.fixture(scope="class")
    @classmethod
    def library(cls, checkpoint: Path, registries: Registries) -> ModelLibrary:
        return library_of(checkpoint.parent, registries)

    @pytest.fixture
    def family(self, entry: Entry[ModelFamilyInfo]) -> ModelFamily:
        found: ModelFamily = entry.load()()
        return found

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, entry: Entry[ModelFamilyInfo], checkpoint: Path, library: ModelLibrary) -> LoadedModel:
        family: ModelFamily = entry.load()()
        info = family.detect(library.header(checkpoint))
        assert info is not None
        return family.load(info, library, cls.placement)

    @pytest.fixture
    def model_options(self, family: ModelFamily, model: LoadedModel) -> dict[str, Any]:
        """The options of the family as the engine hands them over: complete."""
        return family.options.model_validate({**model.info.options, **self.options}).model_dump()

    @pytest.fixture
    def picture(self, model: LoadedModel) -> Any:
        """What the model saw of a picture; None where it needs none."""
        return model.see(*self.picture_and_mask()) if model.info.sees_picture else None

    def picture_and_mask(self) -> tuple[Tensor, Tensor]:
        """A picture of the usual size, and a mask that asks for its right half."""
        import torch

        width, height = self.size
        mask = torch.zeros(1, 1, height, width)
        mask[..., width // 2 :] = 1
        pixels = normal((1, 3, height, width)).float().sigmoid()
        return pixels * (1 - mask) + 0.5 * mask, mask

    def latents(self, model: LoadedModel) -> Tensor:
        """Noise for two pictures, float32."""
        step = model.latent_format.pixels_per_latent
        shape = (2, model.latent_format.channels, self.size[1] // step, self.size[0] // step)
        return normal(shape).float()

    def test_every_option_has_a_default_and_an_explanation(self, family: ModelFamily) -> None:
        family.options()
        for name, field in family.options.model_fields.items():
            assert field.description, name

    def test_detection_tells_what_the_checkpoint_is(
        self, family: ModelFamily, checkpoint: Path, library: ModelLibrary, entry: Entry[ModelFamilyInfo]
    ) -> None:
        info = family.detect(library.header(checkpoint))
        assert info is not None
        assert info.family == entry.info.name
        assert info.path == checkpoint
        assert info.name
        assert info.parts
        assert info.size_bytes > 0
        family.options.model_validate(info.options)
        assert library.find(str(checkpoint)) == info, "another family claims it first"

    def test_what_a_file_is_called_decides_nothing(
        self, family: ModelFamily, checkpoint: Path, library: ModelLibrary, tmp_path: Path
    ) -> None:
        header = library.header(checkpoint)
        found, renamed = (family.detect(replace(header, path=p)) for p in (checkpoint, tmp_path / "x.y"))
        assert found is not None
        assert renamed is not None, "detect by tensor names and shapes alone: nobody keeps file names"
        for field in ("variant", "prediction", "sizes", "parts", "missing_parts"):
            assert getattr(renamed, field) == getattr(found, field), field

    @pytest.mark.parametrize("shapes", FOREIGN, ids=range(len(FOREIGN)))
    def test_checkpoints_of_others_are_left_to_them(
        self, family: ModelFamily, shapes: dict[str, tuple[int, ...]], tmp_path: Path
    ) -> None:
        tensors = {name: TensorInfo("F32", shape, 0, 4) for name, shape in shapes.items()}
        path = tmp_path / "other.safetensors"
        assert family.detect(CheckpointHeader(path, "single_file", "safetensors", tensors)) is None

    def test_damaged_checkpoints_are_refused_or_left_to_others(
        self, family: ModelFamily, checkpoint: Path, library: ModelLibrary
    ) -> None:
        header, reshaped = library.header(checkpoint), []
        everything = list(header.tensors.items())
        for name, tensor in everything[:: max(1, len(everything) // 50)]:  # of all parts that it holds
            without = {other: info for other, info in header.tensors.items() if other != name}
            is_accepted(family, replace(header, tensors=without))
            is_accepted(family, replace(header, tensors={**without, name: replace(tensor, dtype="Q9_X")}))
            for shape in ((), (*tensor.shape, 3), (0,) * len(tensor.shape)):
                if shape != tensor.shape:
                    tensors = {**without, name: replace(tensor, shape=shape)}
                    reshaped.append(is_accepted(family, replace(header, tensors=tensors)))
        assert not all(reshaped), "detect() looks at no shape; raise CheckpointError for impossible ones"

    def test_detecting_imports_nothing_heavy(self, checkpoint: Path, entry: Entry[ModelFamilyInfo]) -> None:
        assert heavy_imports_of(DETECTING, str(checkpoint), entry.info.name) == set()

    def test_a_loaded_model_says_what_it_is_and_where(self, model: LoadedModel, checkpoint: Path) -> None:
        assert isinstance(model, LoadedModel)
        assert model.device == self.placement.device
        files = [file for part in model.files.values() for file in part]
        assert any(file == checkpoint or checkpoint in file.parents for file in files)
        assert all(file.exists() for file in files)

    def test_layers_are_named_where_they_lie(self, model: LoadedModel) -> None:
        from torch import Tensor, nn

        for part, network in model.networks.items():
            assert isinstance(network, nn.Module), part
            for name, target in model.layer_names(part).items():
                weight = getattr(network.get_submodule(target.layer), "weight", None)
                assert isinstance(weight, Tensor), f"{name}: {target.layer} has no weight"
                start, end = target.rows or (0, len(weight))
                assert 0 <= start < end <= len(weight), name
                assert not (target.halves_swapped and (end - start) % 2), name

    def test_a_layer_goes_by_its_own_name_too(self, model: LoadedModel) -> None:
        from torch import Tensor

        for part, network in model.networks.items():
            names = model.layer_names(part)
            for path, module in network.named_modules():
                if path and isinstance(getattr(module, "weight", None), Tensor):
                    assert names[path] == LayerTarget(path)

    def test_parts_that_it_lacks_have_no_layers(self, model: LoadedModel) -> None:
        assert not model.layer_names("no such part")

    def test_it_sees_a_picture_just_when_it_says_so(
        self, model: LoadedModel, model_options: dict[str, Any], picture: Any
    ) -> None:
        if not model.info.sees_picture:
            with pytest.raises(BadInput):
                model.see(*self.picture_and_mask())
            return
        pixels, mask = self.picture_and_mask()
        x, sigma = self.latents(model), model.noise_schedule(*self.size, model_options).sigma(500)
        conditioning = [model.condition(prompt(text), model_options) for text in self.prompts]
        seen, other = (
            model.denoise(x, sigma, conditioning, model_options, picture=each)
            for each in (picture, model.see(1 - pixels, mask))
        )
        assert not seen.equal(other), "another picture should make a difference"

    def test_its_noise_levels_rise_and_suit_what_it_predicts(
        self, model: LoadedModel, model_options: dict[str, Any]
    ) -> None:
        table = model.noise_schedule(*self.size, model_options)
        assert {table.convention} == conventions_of([model.info.prediction])
        assert all(low < high for low, high in zip(table.sigmas, table.sigmas[1:], strict=False))

    def test_estimates_keep_shape_and_type_and_leave_latents_unchanged(
        self, model: LoadedModel, model_options: dict[str, Any], picture: Any
    ) -> None:
        x = self.latents(model)
        before = x.clone()
        conditioning = [model.condition(prompt(text), model_options) for text in self.prompts]
        for sigma in model.noise_schedule(*self.size, model_options).sigmas[::-333]:
            estimate = model.denoise(x, sigma, conditioning, model_options, picture=picture)
            assert (estimate.shape, estimate.dtype) == (x.shape, x.dtype)
            assert estimate.isfinite().all()
        assert x.equal(before)

    def test_a_batch_equals_its_single_pictures(
        self, model: LoadedModel, model_options: dict[str, Any], picture: Any
    ) -> None:
        import torch

        x = self.latents(model)
        sigma = model.noise_schedule(*self.size, model_options).sigma(500)
        conditioning = [model.condition(prompt(text), model_options) for text in self.prompts]
        together = model.denoise(x, sigma, conditioning, model_options, picture=picture)
        for i, one in enumerate(conditioning):
            alone = model.denoise(x[i : i + 1], sigma, [one], model_options, picture=picture)
            torch.testing.assert_close(alone, together[i : i + 1], rtol=1e-3, atol=1e-4)

    @pytest.mark.parametrize("text", PROMPTS, ids=range(len(PROMPTS)))
    def test_any_prompt_can_be_drawn_beside_another(
        self, model: LoadedModel, model_options: dict[str, Any], picture: Any, text: PromptText
    ) -> None:
        conditioning = [model.condition(each, model_options) for each in (text, prompt("a red apple"))]
        sigma = model.noise_schedule(*self.size, model_options).sigma(500)
        estimate = model.denoise(self.latents(model), sigma, conditioning, model_options, picture=picture)
        assert estimate.isfinite().all()

    def test_latents_become_pictures_and_pictures_latents(self, model: LoadedModel) -> None:
        import torch

        x = self.latents(model)
        pixels = model.decode(x)
        assert (pixels.shape, pixels.dtype) == ((2, 3, self.size[1], self.size[0]), torch.float32)
        assert 0 <= float(pixels.min()) <= float(pixels.max()) <= 1
        assert model.encode(pixels).shape == x.shape

    def test_memory_is_estimated_and_grows_with_the_work(
        self, model: LoadedModel, model_options: dict[str, Any]
    ) -> None:
        width, height = self.size
        tiny, four, large = (width, height, 1), (width, height, 4), (8 * width, 8 * height, 1)
        sampling = [model.sampling_memory(*work, model_options) for work in (tiny, four, large)]
        decoding = [model.decoding_memory(*work) for work in (tiny, four, large)]
        for least, *more in (sampling, decoding):
            assert 0 < least <= min(more)

    def test_a_missing_part_is_named(
        self, family: ModelFamily, registries: Registries, tmp_path: Path
    ) -> None:
        path = self.write_incomplete(tmp_path)
        if path is None:
            pytest.skip("checkpoints of this family hold everything")
        library = library_of(tmp_path, registries)
        info = family.detect(library.header(path))
        assert info is not None
        assert info.missing_parts
        with pytest.raises(MissingPart) as missing:
            family.load(info, library, self.placement)
        assert missing.value.hint, "what to get and where to put it"

    def test_a_part_that_is_wished_for_is_taken(
        self, family: ModelFamily, model: LoadedModel, library: ModelLibrary, tmp_path: Path
    ) -> None:
        wished = self.write_part(tmp_path)
        if wished is None:
            pytest.skip("parts of this family cannot be chosen")
        kind, path = wished
        other = family.load(model.info, library, replace(self.placement, part_files={kind: path}))
        assert list(other.files[kind]) == [path]
        assert {part for part, files in other.files.items() if files != model.files[part]} == {kind}

    def test_a_wished_part_that_is_none_is_refused(
        self, family: ModelFamily, model: LoadedModel, library: ModelLibrary, tmp_path: Path
    ) -> None:
        wished = self.write_part(tmp_path)
        if wished is None:
            pytest.skip("parts of this family cannot be chosen")
        wished[1].write_bytes(b"no weights at all")
        with pytest.raises(SfumatoError):
            family.load(model.info, library, replace(self.placement, part_files=dict([wished])))


def is_accepted(family: ModelFamily, header: CheckpointHeader) -> bool:
    """Whether it is taken for a sound checkpoint; any error but `CheckpointError` goes through."""
    try:
        found = family.detect(header)
    except CheckpointError:
        return False
    assert found is None or isinstance(found, ModelInfo)
    return found is not None


def prompt(text: str) -> PromptText:
    """A prompt without any weights."""
    return PromptText(chunks=(((text, 1.0),),))

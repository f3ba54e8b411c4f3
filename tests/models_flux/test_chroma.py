"""Chroma from its files to whole pictures, beside diffusers' transformer and pipeline."""

from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sfumato.errors import CheckpointError, MissingPart
from sfumato.models import Placement, PromptText
from sfumato.noise_schedule import shift_sigma
from sfumato.testing import ModelFamilyContract
from sfumato_models_flux import detection as flux
from sfumato_models_flux.chroma.config import ChromaConfig, expected_shapes
from sfumato_models_flux.chroma.detection import detect
from sfumato_models_flux.chroma.family import ChromaFamily
from sfumato_models_flux.chroma.model import ChromaModel
from sfumato_models_flux.chroma.transformer import ChromaTransformer
from sfumato_models_flux.diffusers_keys import sources
from sfumato_models_flux.transformer import image_positions, pack
from sfumato_networks.made_tensors import MadeTensors

from ..tiny_models import library_of
from ..tiny_models.chroma import TinyChroma, write_chroma, write_chroma_all_in_one, write_chroma_parts
from ..tiny_models.files import save
from ..tiny_models.headers import header_of
from ..tiny_models.tokenizers import write_t5_tokenizer
from .drawing import EIGHT_BIT_STEP, Wish

TINY = TinyChroma(double_blocks=2)
REAL = ChromaConfig()
WISH = replace(Wish(), cfg_scale=4.0)


def load(path: Path, root: Path) -> ChromaModel:
    library = library_of(root)
    return ChromaFamily().load(library.detect(path), library, Placement(dtype="float32"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ChromaModel:
    folder = tmp_path_factory.mktemp("chroma")
    write_chroma_parts(TINY, folder)
    return load(write_chroma(TINY, folder / "chroma.safetensors"), folder)


# The oracle


def transformer_of_diffusers(tiny: TinyChroma) -> Any:
    from diffusers import ChromaTransformer2DModel

    from ..tiny_models.oracle import with_weights

    config = tiny.transformer_config
    sizes = {
        "in_channels": config.in_channels,
        "num_layers": config.double_blocks,
        "num_single_layers": config.single_blocks,
        "attention_head_dim": config.head_size,
        "num_attention_heads": config.heads,
        "joint_attention_dim": config.context_size,
        "axes_dims_rope": config.axes,
        "approximator_num_channels": config.approximator_features,
        "approximator_hidden_dim": config.approximator_size,
        "approximator_layers": config.approximator_layers,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # diffusers' own class uses what it deprecates
        network = ChromaTransformer2DModel(**sizes)
    return with_weights(network, split_for_diffusers(tiny.transformer(), network.state_dict()))


def split_for_diffusers(original: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    tensors = {name: original[name] for name in wanted if name in original}
    for name, source in sources(wanted).items():
        pieces = original[name].split([wanted[part].shape[0] for part in source.names])
        tensors.update(zip(source.names, pieces, strict=True))
    return tensors


def pipeline_of(tiny: TinyChroma, folder: Path) -> Any:
    import diffusers

    from ..tiny_models.oracle import autoencoder, t5, t5_tokenizer

    write_t5_tokenizer(folder / "of_diffusers")
    pipeline = diffusers.ChromaPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=autoencoder(tiny, (0.3611, 0.1159)),
        text_encoder=t5(tiny),
        tokenizer=t5_tokenizer(folder / "of_diffusers"),
        transformer=transformer_of_diffusers(tiny),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def picture_by_diffusers(pipeline: Any, wish: Wish) -> Tensor:
    """Its masks are to hide padding, but are handed on as numbers to add: they are made Booleans here."""
    context, _, mask, negative, _, negative_mask = pipeline.encode_prompt(
        wish.prompt, wish.negative, max_sequence_length=wish.t5_length
    )
    return pipeline(
        prompt_embeds=context,
        prompt_attention_mask=mask.bool(),
        negative_prompt_embeds=negative,
        negative_prompt_attention_mask=negative_mask.bool(),
        guidance_scale=wish.cfg_scale,
        width=wish.width,
        height=wish.height,
        num_inference_steps=wish.steps,
        latents=pack(wish.noise(16)),
        output_type="pt",
    ).images


def picture(model: ChromaModel, wish: Wish) -> Tensor:
    options = {"t5_length": wish.t5_length}
    positive, negative = (
        model.condition(PromptText(([(text, 1.0)],)), options) for text in (wish.prompt, wish.negative)
    )
    shift = model.noise_schedule(wish.width, wish.height, options).shift
    sigmas = [shift_sigma(1 - step / wish.steps, shift) for step in range(wish.steps)] + [0.0]
    x = wish.noise(16)
    for sigma, target in pairwise(sigmas):
        with_prompt, without = model.denoise(torch.cat([x, x]), sigma, [positive, negative], options).chunk(2)
        x = x + (x - without.lerp(with_prompt, wish.cfg_scale)) / sigma * (target - sigma)
    return model.decode(x)


def test_the_transformer_answers_as_diffusers_does() -> None:
    pytest.importorskip("diffusers")
    config = TINY.transformer_config
    ours = ChromaTransformer(config)
    ours.load_state_dict(TINY.transformer())
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(2, 6, config.in_channels, generator=generator)
    context = torch.randn(2, 5, config.context_size, generator=generator)
    times, text_ids, image_ids = torch.tensor([0.83, 0.21]), torch.zeros(5, 3), image_positions(4, 6)
    with torch.no_grad():
        found = ours(tokens, times, context, ours.rotary(image_ids, text_ids))
        expected = transformer_of_diffusers(TINY)(
            hidden_states=tokens,
            encoder_hidden_states=context,
            timestep=times,
            img_ids=image_ids,
            txt_ids=text_ids,
        ).sample
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("prompt", ["red", WISH.prompt, "the red apple, a blue one. " * 9])
def test_a_file_draws_as_diffusers_pipeline(model: ChromaModel, tmp_path: Path, prompt: str) -> None:
    """Prompts with much padding, some, and none."""
    pytest.importorskip("diffusers")
    wish = replace(WISH, prompt=prompt)
    expected = picture_by_diffusers(pipeline_of(TINY, tmp_path), wish)
    assert expected.std() > 0.02
    assert float((picture(model, wish) - expected).abs().max()) <= EIGHT_BIT_STEP


def test_a_folder_that_diffusers_wrote_draws_the_same_as_the_file(model: ChromaModel, tmp_path: Path) -> None:
    pytest.importorskip("diffusers")
    pipeline_of(TINY, tmp_path).save_pretrained(tmp_path / "folder")
    folder = load(tmp_path / "folder", tmp_path)
    assert folder.info.family == "chroma"
    assert folder.info.missing_parts == ()
    assert folder.info.options == {"shift": 3.0}
    torch.testing.assert_close(picture(folder, WISH), picture(model, WISH))


def test_a_checkpoint_as_comfyui_saves_it_draws_the_same(model: ChromaModel, tmp_path: Path) -> None:
    write_t5_tokenizer(tmp_path / "tokenizers" / "t5xxl")
    whole = load(write_chroma_all_in_one(TINY, tmp_path / "all.safetensors"), tmp_path)
    torch.testing.assert_close(picture(whole, WISH), picture(model, WISH))


def test_what_diffusers_converts_comes_back_as_it_was() -> None:
    pytest.importorskip("diffusers")
    from diffusers.loaders.single_file_utils import convert_chroma_transformer_checkpoint_to_diffusers

    # The converter knows one width only, 3072, but it looks at rows alone: two columns do.
    config = ChromaConfig(double_blocks=1, single_blocks=2, approximator_size=8, approximator_layers=2)
    original = {
        name: torch.randn(shape[0], *([2] if len(shape) > 1 else []))
        for name, shape in expected_shapes(config).items()
    }
    converted = convert_chroma_transformer_checkpoint_to_diffusers(dict(original))
    made = sources(converted)
    back = {**converted, **MadeTensors(converted, made)}
    assert original.keys() <= back.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in original.items())


# Detection


def test_the_real_sizes_are_recognised_with_what_suits_them() -> None:
    info = detect(header_of(expected_shapes(REAL)))
    assert (info.family, info.label, info.prediction) == ("chroma", "Chroma", "flow")
    assert (info.defaults.steps, info.defaults.cfg_scale) == (26, 4.0)
    assert info.missing_parts == ("autoencoder", "t5_encoder", "t5_tokenizer")
    assert info.parts[0].parameters == pytest.approx(8.9e9, rel=0.01)


def test_flux_and_chroma_leave_each_other_alone() -> None:
    from sfumato_models_flux.config import expected_shapes as flux_shapes

    assert flux.detect(header_of(expected_shapes(REAL))) is None
    assert detect(header_of(flux_shapes(flux.FluxConfig()))) is None


def test_chroma_radiance_is_another_model() -> None:
    shapes = {**expected_shapes(REAL), "nerf_blocks.0.param_generator.weight": (4, 4)}
    assert detect(header_of(shapes)) is None


@pytest.mark.parametrize(
    "name",
    [
        "img_in.weight",
        "distilled_guidance_layer.norms.1.scale",
        "single_blocks.1.linear2.bias",
        "distilled_guidance_layer.in_proj.weight",
    ],
)
def test_a_tensor_that_is_missing_is_named(name: str) -> None:
    shapes = expected_shapes(TINY.transformer_config)
    del shapes[name]
    with pytest.raises(CheckpointError, match=name):
        detect(header_of(shapes))


def test_the_expected_shapes_are_those_of_the_network() -> None:
    network = ChromaTransformer(TINY.transformer_config)
    assert expected_shapes(TINY.transformer_config) == {
        n: tuple(t.shape) for n, t in network.state_dict().items()
    }


def test_sizes_are_read_off_the_shapes() -> None:
    config = TINY.transformer_config
    assert ChromaConfig.from_shapes(expected_shapes(config)) == config


# What the engine drives


def test_only_the_first_token_of_padding_is_kept(model: ChromaModel) -> None:
    one, more = (model.condition(PromptText(([(text, 1.0)],)), {}) for text in ("red", "red apple red apple"))
    assert one.context.shape == (1, 3, 32)  # the word, the end, one of padding
    assert more.context.shape[1] > 3
    full = model.condition(PromptText(([("red " * 30, 1.0)],)), {})
    assert full.context.shape[1] == 16
    assert full.notes


def test_every_layer_goes_by_diffusers_name_too(model: ChromaModel) -> None:
    pytest.importorskip("diffusers")
    names, network = model.layer_names("transformer"), model.networks["transformer"]
    for path, module in transformer_of_diffusers(TINY).named_modules():
        if isinstance(module, torch.nn.Linear):
            target = names[path]
            weight = network.get_submodule(target.layer).weight
            assert torch.equal(weight[slice(*target.rows)] if target.rows else weight, module.weight), path


def test_clip_is_not_needed(tmp_path: Path) -> None:
    library = library_of(tmp_path)
    info = library.detect(write_chroma(TINY, tmp_path / "chroma.safetensors"))
    with pytest.raises(MissingPart) as missing:
        ChromaFamily().load(info, library, Placement())
    assert "T5" in missing.value.what
    assert "CLIP" not in missing.value.what


class TestChroma(ModelFamilyContract):
    name = "chroma"
    size = (64, 32)

    def write_checkpoint(self, folder: Path) -> Path:
        write_chroma_parts(TINY, folder)
        return write_chroma(TINY, folder / "tiny.safetensors")

    def write_incomplete(self, folder: Path) -> Path:
        return write_chroma(TINY, folder / "tiny.safetensors")

    def write_part(self, folder: Path) -> tuple[str, Path]:
        return "autoencoder", save(folder / "other.safetensors", replace(TINY, seed=9).autoencoder())

"""A loaded Flux model, driven as the engine does."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from sfumato.models import Placement, PromptText
from sfumato.noise_schedule import dynamic_shift
from sfumato_models_flux.family import FluxFamily
from sfumato_models_flux.layout_model import KEPT_SIZES
from sfumato_models_flux.model import FluxModel
from sfumato_models_flux.options import FluxOptions
from sfumato_networks.t5_prompts import token_weights, weigh

from ..tiny_models import TinyFlux, library_of, write_all_in_one, write_tokenizers

RED = PromptText(([("a red apple", 1.0)],))
BLUE = PromptText(([("the blue one", 1.0)],))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> FluxModel:
    folder = tmp_path_factory.mktemp("model")
    write_tokenizers(folder / "tokenizers")
    library = library_of(folder)
    info = library.detect(write_all_in_one(TinyFlux(guidance=True), folder / "all.safetensors"))
    return FluxFamily().load(info, library, Placement(dtype="float32"))


def noise(b: int, h: int = 8, w: int = 8) -> torch.Tensor:
    return torch.randn(b, 16, h, w, generator=torch.Generator().manual_seed(0))


def variant(model: FluxModel, name: str) -> FluxModel:
    info = model.info.model_copy(update={"variant": name})
    return FluxModel(
        info, model.transformer, model.autoencoder, model.prompts, model.latent_format, model.scaling
    )


def test_the_shift_grows_with_the_picture_as_published(model: FluxModel) -> None:
    assert model.noise_schedule(256, 256, {}).shift == pytest.approx(2.718281828**0.5)
    assert model.noise_schedule(1024, 1024, {}).shift == pytest.approx(2.718281828**1.15)
    wide = model.noise_schedule(512, 256, {"base_shift": 0.0, "max_shift": 3.0})
    assert wide.shift == pytest.approx(dynamic_shift(512, base_shift=0.0, max_shift=3.0))


def test_a_static_shift_and_schnell_leave_the_size_aside(model: FluxModel) -> None:
    assert model.noise_schedule(1024, 1024, {"shift": 3.0}).shift == 3.0
    assert variant(model, "schnell").noise_schedule(1024, 1024, {}).shift == 1.0


def test_the_length_of_the_context_is_the_variants_or_the_tokenizers_or_chosen(model: FluxModel) -> None:
    assert model.condition(RED, {}).context.shape == (1, 16, 32)  # the tiny tokenizer says 16
    assert model.condition(RED, {"t5_length": 40}).context.shape == (1, 40, 32)
    assert model.condition(RED, FluxOptions()).vector.shape == (1, 64)


def test_pictures_of_a_batch_do_not_influence_each_other(model: FluxModel) -> None:
    red, blue = model.condition(RED, {}), model.condition(BLUE, {})
    x = noise(2)
    together = model.denoise(x, 0.8, [red, blue], {})
    alone = torch.cat([model.denoise(x[:1], 0.8, [red], {}), model.denoise(x[1:], 0.8, [blue], {})])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_a_batch_of_other_prompts_is_not_answered_from_the_last_one(model: FluxModel) -> None:
    red, blue = model.condition(RED, {}), model.condition(BLUE, {})
    first = model.denoise(noise(2), 0.8, [red, blue], {})
    second = model.denoise(noise(2), 0.8, [blue, red], {})
    assert not torch.allclose(first, second, atol=1e-3)


def test_guidance_reaches_a_distilled_model(model: FluxModel) -> None:
    red = [model.condition(RED, {})]
    weak, strong = (model.denoise(noise(1), 0.8, red, {"guidance": g}) for g in (1.0, 8.0))
    assert not torch.allclose(weak, strong, atol=1e-4)


def test_no_noise_means_no_change(model: FluxModel) -> None:
    x = noise(1)
    assert torch.equal(model.denoise(x, 0.0, [model.condition(RED, {})], {}), x)


def test_rotary_tables_are_kept_for_a_few_sizes_only(model: FluxModel) -> None:
    red = [model.condition(RED, {})]
    for w in range(2, 2 * KEPT_SIZES + 6, 2):
        model.denoise(noise(1, 4, w), 0.5, red, {})
    assert len(model._rotary) == KEPT_SIZES


def test_unknown_options_and_values_out_of_bounds_are_refused(model: FluxModel) -> None:
    for options in ({"guidence": 1.0}, {"guidance": -1.0}, {"t5_length": 0}, {"vae_dtype": "int4"}):
        with pytest.raises(ValidationError):
            model.noise_schedule(64, 64, options)


def test_pixels_stay_in_bounds_and_latents_scale_back_and_forth(model: FluxModel) -> None:
    pixels = model.decode(5 * noise(2, 4, 6))
    assert pixels.shape == (2, 3, 32, 48)
    assert pixels.dtype == torch.float32
    assert float(pixels.min()) >= 0
    assert float(pixels.max()) <= 1
    assert model.encode(pixels).shape == (2, 16, 4, 6)
    x = noise(1)
    torch.testing.assert_close(model.scaling.to_model(model.scaling.to_autoencoder(x)), x)


def test_memory_grows_with_pictures_and_pixels(model: FluxModel) -> None:
    sampling = model.sampling_memory(512, 512, 1, {})
    assert model.sampling_memory(512, 512, 3, {}) == 3 * sampling
    assert model.sampling_memory(1024, 1024, 1, {}) > 3 * sampling
    decoding = model.decoding_memory(512, 512, 1)
    assert model.decoding_memory(1024, 1024, 3) == 12 * decoding


def test_every_option_explains_itself() -> None:
    for name, field in FluxOptions.model_fields.items():
        assert field.title, name
        assert (field.description or "").endswith("."), name
        assert dict(field.json_schema_extra)["group"], name


# Attention weights


def test_weights_of_one_change_nothing_however_the_text_is_split(model: FluxModel) -> None:
    whole, split = (
        model.condition(RED, {}),
        model.condition(PromptText(([("a red", 1.0), (" apple", 1.0)],)), {}),
    )
    assert torch.equal(whole.context, split.context)
    assert torch.equal(whole.vector, split.vector)


def test_a_weight_acts_on_its_own_tokens_and_not_on_clip(model: FluxModel) -> None:
    plain = model.condition(PromptText(([("a red", 1.0), (" apple", 1.0)],)), {})
    strong = model.condition(PromptText(([("a red", 1.0), (" apple", 1.5)],)), {})
    assert torch.equal(plain.vector, strong.vector)
    ratio = strong.context / plain.context
    assert float((ratio[0, 3] / ratio[0, 0]).mean()) == pytest.approx(1.5, rel=1e-3)


def test_a_token_has_the_weight_of_the_piece_it_ends_in() -> None:
    text = [("a (", 1.0), ("", 5.0), ("red", 1.2), (") app", 1.0), ("le", 0.5)]
    assert token_weights(text, [1, 3, 4, 6, 7, 11, 13]) == [1.0, 1.0, 1.2, 1.2, 1.0, 1.0, 0.5]
    assert token_weights([("", 1.3)], [0]) == [1.3]


def test_the_mean_of_the_states_is_kept_where_it_is_not_near_zero() -> None:
    states = torch.rand(1, 4, 8) + 0.5
    weighted = weigh(states, [1.0, 1.4, 0.6, 1.0])
    assert float(weighted.mean()) == pytest.approx(float(states.mean()), rel=1e-5)
    assert float((weighted[0, 1] / weighted[0, 0] / (states[0, 1] / states[0, 0])).mean()) == pytest.approx(
        1.4
    )


@pytest.mark.parametrize("weight", [1.5, 0.0, -1.0, 1e6])
def test_a_mean_near_zero_is_not_blown_up(weight: float) -> None:
    states = torch.randn(1, 4, 8, generator=torch.Generator().manual_seed(0))
    states -= states.mean()
    weighted = weigh(states, [1.0, weight, 1.0, 1.0])
    assert weighted.isfinite().all()
    assert float(weighted[:, 0].abs().max()) <= 2.1 * float(states[:, 0].abs().max())


def test_emphasis_without_norm_multiplies_the_states_and_no_more(model: FluxModel) -> None:
    chunk = [("a red", 1.0), (" apple", 1.5)]
    plain = model.condition(PromptText(([(text, 1.0) for text, _ in chunk],)), {})
    strong = model.condition(PromptText((chunk,), emphasis="no_norm"), {})
    assert torch.equal(strong.context[0, 0], plain.context[0, 0])
    torch.testing.assert_close(strong.context[0, 3], 1.5 * plain.context[0, 3])


def test_chunks_are_encoded_apart_and_follow_each_other(model: FluxModel) -> None:
    red, blue = model.condition(RED, {}), model.condition(BLUE, {})
    both = model.condition(PromptText((*RED.chunks, *BLUE.chunks)), {})
    assert torch.equal(both.context, torch.cat((red.context, blue.context), dim=1))
    assert torch.equal(both.vector, red.vector)


def test_prompts_of_different_lengths_share_a_batch(model: FluxModel) -> None:
    x = noise(3)
    prompts = [
        model.condition(RED, {}),
        model.condition(PromptText((*RED.chunks, *BLUE.chunks)), {}),
        model.condition(BLUE, {}),
    ]
    together = model.denoise(x, 0.7, prompts, {})
    for position, prompt in enumerate(prompts):
        alone = model.denoise(x[position : position + 1], 0.7, [prompt], {})
        torch.testing.assert_close(together[position : position + 1], alone)


def test_a_prompt_too_long_is_cut_and_told(model: FluxModel) -> None:
    long = model.condition(PromptText(([("a red apple " * 9, 1.0)],)), {})
    assert long.context.shape == model.condition(RED, {}).context.shape
    assert long.notes == ("The prompt is too long: T5 reads the first 15 of its 36 tokens.",)
    assert model.condition(RED, {}).notes == ()


def test_an_empty_prompt_is_a_prompt(model: FluxModel) -> None:
    empty = model.condition(PromptText(([("", 1.0)],)), {})
    assert empty.context.shape == (1, 16, 32)
    assert empty.context.isfinite().all()

"""The layers of a Flux model by all their names: the rows named hold what diffusers has under the name."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sfumato.errors import BadInput
from sfumato.models import LayerTarget, Placement
from sfumato_models_flux.family import FluxFamily
from sfumato_models_flux.latent_space import latent_format
from sfumato_models_flux.model import FluxModel
from sfumato_networks.autoencoder import AutoencoderConfig
from sfumato_networks.parts import AUTOENCODER, Part

from ..tiny_models import TinyFlux, library_of, write_all_in_one, write_tokenizers
from ..tiny_models.headers import header_of

TINY = TinyFlux(guidance=True, double_blocks=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> FluxModel:
    folder = tmp_path_factory.mktemp("model")
    write_tokenizers(folder / "tokenizers")
    library = library_of(folder)
    info = library.detect(write_all_in_one(TINY, folder / "all.safetensors"))
    return FluxFamily().load(info, library, Placement(dtype="float32"))


def test_every_layer_of_diffusers_transformer_is_named_with_the_rows_it_has_there(model: FluxModel) -> None:
    pytest.importorskip("diffusers")
    from ..tiny_models.oracle import transformer

    names, network = model.layer_names("transformer"), model.networks["transformer"]
    for path, module in transformer(TINY).named_modules():
        if not isinstance(module, torch.nn.Linear):
            continue
        target = names[path]
        weight = network.get_submodule(target.layer).weight
        rows = weight[slice(*target.rows)] if target.rows else weight
        expected = torch.cat(module.weight.chunk(2)[::-1]) if target.halves_swapped else module.weight
        torch.testing.assert_close(rows, expected, rtol=0, atol=0, msg=path)


def test_the_last_modulation_alone_has_its_halves_swapped(model: FluxModel) -> None:
    names = model.layer_names("transformer")
    swapped = {name: target for name, target in names.items() if target.halves_swapped}
    assert swapped == {"norm_out.linear": LayerTarget("final_layer.adaLN_modulation.1", halves_swapped=True)}
    assert names["final_layer.adaLN_modulation.1"] == LayerTarget("final_layer.adaLN_modulation.1")


def test_text_encoders_go_by_transformers_names_and_come_in_the_order_of_adapters(model: FluxModel) -> None:
    assert list(model.networks) == ["transformer", "clip_text", "t5_encoder", "autoencoder"]
    clip = model.layer_names("clip_text")
    own = LayerTarget("text_model.encoder.layers.1.self_attn.q_proj")
    assert clip["text_model.encoder.layers.1.self_attn.q_proj"] == own
    assert clip["encoder.layers.1.self_attn.q_proj"] == own
    assert "encoder.block.1.layer.0.SelfAttention.q" in model.layer_names("t5_encoder")


def test_a_model_without_a_guidance_embedding_names_none(model: FluxModel) -> None:
    named = model.layer_names("transformer")
    assert "time_text_embed.guidance_embedder.linear_1" in named
    plain = FluxModel(
        model.info,
        _transformer(replace(TINY, guidance=False)),
        model.autoencoder,
        model.prompts,
        model.latent_format,
        model.scaling,
    )
    assert not [name for name in plain.layer_names("transformer") if "guidance" in name]


def _transformer(tiny: TinyFlux):
    from sfumato_models_flux.transformer import FluxTransformer

    return FluxTransformer(tiny.transformer_config)


def test_a_model_that_draws_from_a_prompt_alone_sees_no_picture(model: FluxModel) -> None:
    with pytest.raises(BadInput, match="sees no picture"):
        model.see(torch.zeros(1, 3, 16, 16), torch.ones(1, 1, 16, 16))


@pytest.mark.parametrize(
    ("config", "metadata", "name"),
    [
        (AutoencoderConfig(), {}, "flux"),
        (AutoencoderConfig(base_channels=64), {}, ""),
        (AutoencoderConfig(), {"sfumato.latent_scale": "0.5"}, ""),
    ],
    ids=["its own", "another size", "another scale"],
)
def test_latents_are_called_flux_only_where_they_mean_the_same(
    config: AutoencoderConfig, metadata: dict[str, str], name: str
) -> None:
    part = Part(AUTOENCODER, "", header_of({}))
    assert latent_format(part, config, metadata).name == name

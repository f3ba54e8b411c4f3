"""OpenCLIP's encoder in its own layout beside transformers' after diffusers' conversion."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfumato.errors import CheckpointError
from sfumato_networks.clip_text import ClipText, ClipTextConfig
from sfumato_networks.open_clip_text import OpenClipText
from sfumato_networks.part_loading import ClipEncoder, load_clip_text
from sfumato_networks.parts import CLIP_G_TEXT, CLIP_TEXT, OPEN_CLIP_TEXT, Part, recognise

from ..tiny_models import library_of
from ..tiny_models.files import save
from ..tiny_models.flux import random_tensors

transformers = pytest.importorskip("transformers")
WIDTH, LAYERS, POSITIONS, END = 128, 3, 16, 39
XL, REFINER, SD2 = (
    "conditioner.embedders.1.model.",
    "conditioner.embedders.0.model.",
    "cond_stage_model.model.",
)


def original(prefix: str = "", layers: int = LAYERS) -> dict[str, torch.Tensor]:
    shapes = {
        "token_embedding.weight": (END + 1, WIDTH),
        "positional_embedding": (POSITIONS, WIDTH),
        "ln_final.weight": (WIDTH,),
        "ln_final.bias": (WIDTH,),
        "text_projection": (WIDTH, WIDTH),
    }
    linear = {
        "attn.out_proj": (WIDTH, WIDTH),
        "mlp.c_fc": (2 * WIDTH, WIDTH),
        "mlp.c_proj": (WIDTH, 2 * WIDTH),
    }
    for n in range(layers):
        layer = {"attn.in_proj_weight": (3 * WIDTH, WIDTH), "attn.in_proj_bias": (3 * WIDTH,)}
        for name, shape in (linear | {"ln_1": (WIDTH,), "ln_2": (WIDTH,)}).items():
            layer |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
        shapes |= {f"transformer.resblocks.{n}.{name}": shape for name, shape in layer.items()}
    tensors = random_tensors(shapes, seed=3)
    for name in tensors:
        if "ln_" in name and name.endswith("weight"):
            tensors[name] = 1 + tensors[name]
    return {prefix + name: tensor for name, tensor in tensors.items()}


def converted() -> torch.nn.Module:
    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint

    config = transformers.CLIPTextConfig(
        vocab_size=END + 1,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        max_position_embeddings=POSITIONS,
        hidden_act="gelu",
        eos_token_id=END,
    )
    model = transformers.CLIPTextModelWithProjection(config).eval()
    tensors = convert_open_clip_checkpoint(model, original(XL), prefix=XL)
    missing, surplus = model.load_state_dict(tensors, strict=False)
    assert not surplus
    assert not [name for name in missing if not name.endswith("position_ids")]
    return model


def loaded(file: Path, tensors: dict[str, torch.Tensor], **options: bool) -> tuple[Part, ClipEncoder]:
    save(file, tensors)
    library = library_of(file.parent)
    (part,) = recognise(library.header(file))
    return part, load_clip_text(part, library.open_tensors(file), torch.float32, "cpu", **options)


def token_ids() -> torch.Tensor:
    ids = torch.randint(0, END, (3, POSITIONS), generator=torch.Generator().manual_seed(0))
    ids[0, 4:] = END
    ids[1, 15] = END
    ids[2, 1:] = END
    return ids


@torch.no_grad()
def test_states_equal_those_of_transformers_after_the_conversion_of_diffusers(tmp_path: Path) -> None:
    _, ours = loaded(tmp_path / "xl.safetensors", original(XL), projected=True)
    expected, found = converted()(token_ids(), output_hidden_states=True), ours(token_ids(), END)
    for ours_then, theirs_then in zip(found.hidden_states, expected.hidden_states, strict=True):
        torch.testing.assert_close(ours_then, theirs_then, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.last, expected.last_hidden_state, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.pooled, expected.text_embeds, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("prefix", "kind"), [(XL, CLIP_G_TEXT), (REFINER, CLIP_G_TEXT), (SD2, OPEN_CLIP_TEXT), ("", CLIP_G_TEXT)]
)
def test_it_is_recognised_in_the_places_where_checkpoints_have_it(
    tmp_path: Path, prefix: str, kind: str
) -> None:
    part, network = loaded(tmp_path / "some.safetensors", original(prefix))
    assert (part.kind, part.prefix, part.width, part.in_open_clip_layout) == (kind, prefix, WIDTH, True)
    assert isinstance(network, OpenClipText)
    assert network.config == ClipTextConfig(END + 1, WIDTH, 2 * WIDTH, LAYERS, POSITIONS, 64, "gelu")


def test_weights_stay_mapped_in_the_layout_of_the_file(tmp_path: Path) -> None:
    file = save(tmp_path / "xl.safetensors", original(XL))
    library = library_of(tmp_path)
    (part,) = recognise(library.header(file))
    opened = library.open_tensors(file)
    network = load_clip_text(part, opened, torch.float32, "cpu", projected=True)
    stored = {name: opened[XL + name].data_ptr() for name in original()}
    names = {name.replace("in_proj_", "in_proj."): name for name in stored}
    names["text_projection.weight"] = names.pop("text_projection")
    assert {names[name]: tensor.data_ptr() for name, tensor in network.state_dict().items()} == stored


def test_the_projection_is_left_out_unless_it_is_asked_for(tmp_path: Path) -> None:
    _, network = loaded(tmp_path / "sd2.safetensors", original(SD2))
    assert network.text_projection is None


def test_the_vision_model_of_a_whole_clip_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = original() | {"visual.proj": torch.ones(2), "logit_scale": torch.ones(1)}
    _, network = loaded(tmp_path / "whole.safetensors", whole, projected=True)
    assert network.text_projection is not None
    assert "not used" not in caplog.text


def test_clip_g_without_its_projection_is_a_clear_error_where_it_is_needed(tmp_path: Path) -> None:
    tensors = original(XL)
    del tensors[f"{XL}text_projection"]
    with pytest.raises(CheckpointError, match="cannot be used") as caught:
        loaded(tmp_path / "xl.safetensors", tensors, projected=True)
    assert "projection" in caught.value.why


def test_a_layer_without_its_attention_is_a_clear_error(tmp_path: Path) -> None:
    tensors = original(XL)
    del tensors[f"{XL}transformer.resblocks.1.attn.in_proj_weight"]
    with pytest.raises(CheckpointError, match="do not fit") as caught:
        loaded(tmp_path / "xl.safetensors", tensors)
    assert "1 tensors are missing" in caught.value.why


@torch.no_grad()
def test_layers_that_transformers_names_are_the_same_ones_here(tmp_path: Path) -> None:
    _, ours = loaded(tmp_path / "xl.safetensors", original(XL))
    theirs = dict(converted().named_modules())
    targets = ours.layer_names()
    compared = 0
    for name, target in targets.items():
        module = theirs.get(name, theirs.get(name.removeprefix("text_model.")))
        if name.startswith("text_model.") and module is not None:
            start, end = target.rows or (0, None)
            assert torch.equal(ours.get_submodule(target.layer).weight[start:end], module.weight), name
            compared += 1
    assert compared == 2 + 8 * LAYERS


def transformers_layout(width: int, layers: int = 2, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    config = ClipTextConfig(END + 1, width, 64, layers, POSITIONS)
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in ClipText(config).state_dict().items()}
    return random_tensors(shapes, seed=1) | more


@pytest.mark.parametrize(
    ("width", "kind", "activation"),
    [(768, CLIP_TEXT, "quick_gelu"), (1024, OPEN_CLIP_TEXT, "gelu"), (1280, CLIP_G_TEXT, "gelu")],
)
def test_kinds_in_the_layout_of_transformers_are_told_apart_by_their_width(
    tmp_path: Path, width: int, kind: str, activation: str
) -> None:
    part, network = loaded(tmp_path / "encoder.safetensors", transformers_layout(width))
    assert (part.kind, network.config.activation) == (kind, activation)
    assert network.config.hidden_size // network.config.head_size == width // 64


def test_clip_l_is_projected_where_asked_and_its_file_has_a_projection(tmp_path: Path) -> None:
    with_it = transformers_layout(128, **{"text_projection.weight": torch.ones(32, 128)})
    assert loaded(tmp_path / "a.safetensors", with_it, projected=True)[1].config.projection_size == 32
    assert loaded(tmp_path / "b.safetensors", with_it)[1].config.projection_size == 0
    plain = transformers_layout(128)
    assert loaded(tmp_path / "c.safetensors", plain, projected=True)[1].config.projection_size == 0


@pytest.mark.parametrize(
    ("tensors", "dropped"),
    [
        (transformers_layout(1024), 1),  # diffusers' Stable Diffusion 2 has 23 of 24 layers
        (transformers_layout(1280), 0),
        (original(SD2), 0),
        (original(SD2, layers=23), 1),
        (original(XL, layers=23), 0),
    ],
    ids=["diffusers sd2", "clip g", "original", "original made from diffusers", "another kind"],
)
def test_the_last_layer_that_conversions_of_stable_diffusion_2_drop_is_counted(
    tmp_path: Path, tensors: dict[str, torch.Tensor], dropped: int
) -> None:
    assert loaded(tmp_path / "encoder.safetensors", tensors)[1].config.dropped_layers == dropped

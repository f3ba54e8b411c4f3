"""Adapters in every layout against tiny models: what they change is what their makers' own code changes."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfumato.models import LoadedModel
from sfumato_adapters.reading import ReadAdapter

from ..tiny_models import sd, sd3
from .adapter_files import changed_weights, linear_layers, lora_of, random, read
from .loaded_models import FLUX, load_flux, load_sd, load_sd3


@pytest.fixture(scope="module")
def flux(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_flux(tmp_path_factory.mktemp("flux"))


@pytest.fixture(scope="module", params=[sd.SD15, sd.SD21, sd.SDXL], ids=lambda tiny: tiny.variant)
def tiny(request: pytest.FixtureRequest) -> sd.TinySD:
    return request.param


@pytest.fixture(scope="module")
def model(tiny: sd.TinySD, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_sd(tmp_path_factory.mktemp(tiny.variant), tiny)


@pytest.fixture(scope="module")
def diffusers_unet(tiny: sd.TinySD, tmp_path_factory: pytest.TempPathFactory) -> nn.Module:
    diffusers = pytest.importorskip("diffusers")
    folder = sd.write_folder(tiny, tmp_path_factory.mktemp("folder"))
    return diffusers.UNet2DConditionModel.from_pretrained(folder, subfolder="unet").requires_grad_(False)


@pytest.fixture
def diffusers_flux() -> nn.Module:
    pytest.importorskip("diffusers")
    from ..tiny_models.oracle import transformer

    return transformer(FLUX).requires_grad_(False)


def original_of(model: LoadedModel, part: str, name: str) -> tuple[Tensor, Any]:
    target = model.layer_names(part)[name]
    return model.networks[part].get_submodule(target.layer).weight, target


def assert_parameters(
    model: LoadedModel, part: str, adapter: ReadAdapter, expected: dict[str, Tensor]
) -> None:
    """Each parameter of diffusers' network has become what is expected, by its name there."""
    changed = changed_weights(model, adapter)
    for name, value in expected.items():
        layer, _, parameter = name.rpartition(".")
        target = model.layer_names(part)[layer]
        original = getattr(model.networks[part].get_submodule(target.layer), parameter)
        found = changed.get((part, target.layer, parameter), original)
        found = found[slice(*target.rows)] if target.rows else found
        if target.halves_swapped:
            found = torch.cat(found.chunk(2)[::-1])
        torch.testing.assert_close(found.reshape(value.shape), value, rtol=1e-5, atol=1e-5, msg=name)


def with_lora(network: nn.Module, **settings: Any) -> Any:
    """A network of diffusers' with PEFT's LoRA on all its linear layers, as if trained."""
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, target_modules=list(linear_layers(network)), **settings)
    network.add_adapter(config)
    for name, parameter in network.named_parameters():
        if "lora_" in name and "magnitude" not in name:
            parameter.data.copy_(0.3 * random(name, *parameter.shape))
        elif "magnitude" in name:
            parameter.data.mul_(1 + 0.2 * random(name, *parameter.shape).abs())
    return config


def merged(network: Any) -> dict[str, Tensor]:
    """The weights and biases of the linear layers with LoRA in them."""
    network.fuse_lora()
    return {
        f"{name.removesuffix('.base_layer')}.{parameter}": value.detach()
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and "lora_" not in name
        for parameter, value in module.named_parameters()
    }


def saved(pipeline: str, folder: Path, **given: Any) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and metadata as a pipeline of diffusers' saves them."""
    import diffusers
    from safetensors import safe_open

    getattr(diffusers, pipeline).save_lora_weights(folder, **given)
    with safe_open(folder / "pytorch_lora_weights.safetensors", "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118


@pytest.mark.filterwarnings("ignore:.*invalid shape")  # PEFT takes biases for matrices cut short
@pytest.mark.parametrize(
    "settings",
    [
        {"lora_alpha": 3},
        {"lora_alpha": 3, "use_rslora": True},
        {"lora_alpha": 3, "alpha_pattern": {"to_q": 5, "single_transformer_blocks.0.proj_out": 1}},
        {"lora_alpha": 2, "use_dora": True},
        {"lora_alpha": 2, "lora_bias": True},
    ],
    ids=str,
)
def test_flux_changes_as_peft_merges_it(
    flux: LoadedModel, diffusers_flux: nn.Module, tmp_path: Path, settings: dict[str, Any]
) -> None:
    from peft import get_peft_model_state_dict

    config = with_lora(diffusers_flux, **settings)
    tensors, metadata = saved(
        "FluxPipeline",
        tmp_path,
        transformer_lora_layers=get_peft_model_state_dict(diffusers_flux),
        transformer_lora_adapter_metadata=config.to_dict(),
    )
    adapter = read(flux, tensors, metadata)
    assert adapter.report.is_full
    assert adapter.report.layout == "diffusers"
    assert adapter.report.made_for == "Flux.1"
    assert adapter.report.kinds == (("lora", "dora") if settings.get("use_dora") else ("lora",))
    assert_parameters(flux, "transformer", adapter, merged(diffusers_flux))


def test_unets_change_as_peft_merges_them(
    model: LoadedModel, diffusers_unet: nn.Module, tmp_path: Path
) -> None:
    from peft import get_peft_model_state_dict

    unet = copy.deepcopy(diffusers_unet)
    config = with_lora(unet, lora_alpha=3)
    tensors, metadata = saved(
        "StableDiffusionPipeline",
        tmp_path,
        unet_lora_layers=get_peft_model_state_dict(unet),
        unet_lora_adapter_metadata=config.to_dict(),
    )
    adapter = read(model, tensors, metadata)
    assert adapter.report.is_full
    assert adapter.report.layers == {"unet": len(linear_layers(model.networks["unet"]))}
    assert_parameters(model, "unet", adapter, merged(unet))


@pytest.mark.parametrize("tiny", [sd3.SD3, sd3.SD35_MEDIUM], ids=["3", "3.5 medium"])
def test_sd3_changes_as_peft_merges_it(tiny: sd3.TinySD3, tmp_path: Path) -> None:
    pytest.importorskip("diffusers")
    from peft import get_peft_model_state_dict

    from ..tiny_models.sd3_oracle import transformer

    theirs = transformer(tiny).requires_grad_(False)
    config = with_lora(theirs, lora_alpha=3)
    tensors, metadata = saved(
        "StableDiffusion3Pipeline",
        tmp_path,
        transformer_lora_layers=get_peft_model_state_dict(theirs),
        transformer_lora_adapter_metadata=config.to_dict(),
    )
    model = load_sd3(tmp_path, tiny)
    adapter = read(model, tensors, metadata)
    assert adapter.report.is_full
    assert_parameters(model, "transformer", adapter, merged(theirs))


def kohya_layers(network: nn.Module, kinds: tuple[str, ...], prefix: str) -> dict[str, nn.Module]:
    """The layers sd-scripts trains: linear ones and 1x1 convolutions in some modules, by its names."""
    return {
        f"{prefix}_{path}_{child}".replace(".", "_"): layer
        for path, module in network.named_modules()
        if type(module).__name__ in kinds
        for child, layer in module.named_modules()
        if isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1))
    }


def test_all_that_sd_scripts_trains_in_a_unet_is_found(model: LoadedModel, diffusers_unet: nn.Module) -> None:
    layers = kohya_layers(diffusers_unet, ("Transformer2DModel",), "lora_unet")
    tensors = {}
    for stem, layer in layers.items():
        outputs, *inputs = layer.weight.shape
        tensors[f"{stem}.lora_down.weight"] = random(f"{stem} down", 2, *inputs)
        tensors[f"{stem}.lora_up.weight"] = random(f"{stem} up", outputs, 2, *[1] * (len(inputs) - 1))
        tensors[f"{stem}.alpha"] = torch.tensor(1.0)
    adapter = read(model, tensors)
    assert adapter.report.is_full
    assert adapter.report.layout == "kohya"
    assert adapter.report.layers == {"unet": len(layers)}
    expected = {}
    for path, layer in diffusers_unet.named_modules():
        stem = f"lora_unet_{path.replace('.', '_')}"
        if stem in layers:
            up, down = (tensors[f"{stem}.lora_{side}.weight"].flatten(1) for side in ("up", "down"))
            expected[f"{path}.weight"] = layer.weight + (up @ down / 2).reshape(layer.weight.shape)
    assert len(expected) == len(layers)
    assert_parameters(model, "unet", adapter, expected)


def test_sdxl_by_the_names_of_its_own_checkpoint(model: LoadedModel, tiny: sd.TinySD) -> None:
    names = linear_layers(model.networks["unet"])
    adapter = read(
        model, lora_of({f"lora_unet_{name.replace('.', '_')}": size for name, size in names.items()})
    )
    assert adapter.report.is_full
    assert {change.target.layer for change in adapter.changes} == set(names)


def test_text_encoders_by_the_numbers_that_trainers_give_them(model: LoadedModel, tiny: sd.TinySD) -> None:
    numbers = {"lora_te1": "clip_text", "lora_te2": "clip_g_text"} if tiny.is_xl else {"lora_te": None}
    for prefix, part in numbers.items():
        part = part or ("clip_text" if tiny.clip else "open_clip_text")
        text = tiny.clip if part == "clip_text" else tiny.open_clip
        assert text is not None
        stem = f"{prefix}_text_model_encoder_layers_1_self_attn_k_proj"
        tensors = lora_of({stem: (text.width, text.width)})
        adapter = read(model, tensors)
        assert adapter.report.layers == {part: 1}
        name = "text_model.encoder.layers.1.self_attn.k_proj"
        original, target = original_of(model, part, name)
        rows = original[slice(*target.rows)] if target.rows else original
        up, down = (tensors[f"{stem}.lora_{side}.weight"] for side in ("up", "down"))
        assert_parameters(model, part, adapter, {f"{name}.weight": rows + up @ down / 2})


def test_t5_is_the_third_text_encoder_for_sd_scripts_and_the_second_for_diffusers(flux: LoadedModel) -> None:
    t5 = linear_layers(flux.networks["t5_encoder"])
    clip = linear_layers(flux.networks["clip_text"])
    kohya = {f"lora_te3_{name.replace('.', '_')}": size for name, size in t5.items()}
    kohya |= {f"lora_te1_{name.replace('.', '_')}": size for name, size in clip.items()}
    diffusers = {f"text_encoder_2.{name}": size for name, size in t5.items()}
    diffusers |= {f"text_encoder.{name}": size for name, size in clip.items()}
    for tensors in (lora_of(kohya), lora_of(diffusers, names="peft", alpha=None)):
        report = read(flux, tensors).report
        assert report.is_full
        assert report.layers == {"t5_encoder": len(t5), "clip_text": len(clip)}


def flux_layers(flux: LoadedModel, blocks: str) -> dict[str, tuple[int, int]]:
    layers = linear_layers(flux.networks["transformer"])
    return {name: size for name, size in layers.items() if name.startswith(blocks)}


def converted(convert: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """What diffusers makes of a file in another layout."""
    conversions = pytest.importorskip("diffusers.loaders.lora_conversion_utils")
    return getattr(conversions, convert)(dict(tensors))


def assert_same_changes(model: LoadedModel, first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    one, other = (changed_weights(model, read(model, tensors)) for tensors in (first, second))
    assert one.keys() == other.keys()
    for place, weight in one.items():
        torch.testing.assert_close(weight, other[place], rtol=1e-5, atol=1e-5, msg=str(place))


def test_sd_scripts_names_of_flux_mean_what_diffusers_takes_them_for(flux: LoadedModel) -> None:
    layers = flux_layers(flux, "double_blocks")
    tensors = lora_of({f"lora_unet_{name.replace('.', '_')}": size for name, size in layers.items()})
    assert read(flux, tensors).report.is_full
    assert_same_changes(flux, tensors, converted("_convert_kohya_flux_lora_to_diffusers", tensors))


def test_xlabs_names_mean_what_diffusers_takes_them_for(flux: LoadedModel) -> None:
    width = FLUX.transformer_config.hidden_size
    joint = {"qkv_lora1": 3 * width, "qkv_lora2": 3 * width, "proj_lora1": width, "proj_lora2": width}
    layers = {f"double_blocks.1.processor.{name}": (outputs, width) for name, outputs in joint.items()}
    layers["single_blocks.0.processor.qkv_lora"] = (3 * width, width)
    layers["single_blocks.0.processor.proj_lora"] = (
        width,
        flux_layers(flux, "single_blocks.0.linear2").popitem()[1][1],
    )
    tensors = {}
    for stem, (outputs, inputs) in layers.items():
        tensors[f"{stem}.down.weight"] = random(f"{stem} down", 2, inputs)
        tensors[f"{stem}.up.weight"] = random(f"{stem} up", outputs, 2)
    report = read(flux, tensors).report
    assert report.is_full
    assert report.layout == "xlabs"
    assert_same_changes(flux, tensors, converted("_convert_xlabs_flux_lora_to_diffusers", tensors))


@pytest.mark.parametrize("prefix", ["", "diffusion_model.", "transformer.", "base_model.model."])
def test_flux_by_the_names_of_its_own_checkpoint(flux: LoadedModel, prefix: str) -> None:
    layers = linear_layers(flux.networks["transformer"])
    adapter = read(flux, lora_of({f"{prefix}{name}": size for name, size in layers.items()}, names="peft"))
    assert adapter.report.is_full
    assert [change.target.layer for change in adapter.changes] == list(layers)


class Unfused(nn.Module):
    """Attention that keeps apart what others fuse."""

    def __init__(self) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v = nn.Linear(6, 8), nn.Linear(6, 4), nn.Linear(6, 4)


class UnfusedModel:
    """As much of a loaded model as adapters look at."""

    def __init__(self, like: LoadedModel) -> None:
        self.info = like.info
        self.networks = {"transformer": nn.ModuleDict({"attention": Unfused()})}

    def layer_names(self, part: str) -> dict[str, Any]:
        from sfumato.models import LayerTarget

        return {f"attention.to_{letter}": LayerTarget(f"attention.to_{letter}") for letter in "qkv"}


@pytest.mark.parametrize("kind", ["lora", "loha", "dora", "glora", "ia3"])
def test_a_fused_layer_is_shared_out_where_the_network_keeps_it_apart(flux: LoadedModel, kind: str) -> None:
    stem = "lora_unet_attention_qkv"
    tensors: dict[str, Tensor] = {
        "lora": lora_of({stem: (16, 6)}),
        "dora": lora_of({stem: (16, 6)}) | {f"{stem}.dora_scale": random("lengths", 16, 1).abs()},
        "loha": {
            f"{stem}.hada_w{n}_{side}": random(f"{n}{side}", *shape)
            for n in (1, 2)
            for side, shape in (("a", (16, 2)), ("b", (2, 6)))
        },
        "glora": {
            f"{stem}.{name}.weight": random(name, *shape)
            for name, shape in (("a1", (6, 2)), ("a2", (2, 6)), ("b1", (16, 2)), ("b2", (2, 6)))
        },
        "ia3": {f"{stem}.weight": random("factors", 16), f"{stem}.on_input": torch.tensor(0)},
    }[kind]
    apart: Any = UnfusedModel(flux)
    attention = apart.networks["transformer"]["attention"]
    fused: Any = UnfusedModel(flux)
    fused.networks = {"transformer": nn.ModuleDict({"attention": nn.ModuleDict({"qkv": nn.Linear(6, 16)})})}
    weight = torch.cat([attention.to_q.weight, attention.to_k.weight, attention.to_v.weight]).detach()
    fused.networks["transformer"]["attention"]["qkv"].weight.data = weight
    fused.layer_names = lambda part: {"attention.qkv": _target("attention.qkv")}
    whole = changed_weights(fused, read(fused, tensors))[("transformer", "attention.qkv", "weight")]
    adapter = read(apart, tensors)
    assert adapter.report.is_full
    pieces = changed_weights(apart, adapter)
    found = torch.cat([pieces[("transformer", f"attention.to_{letter}", "weight")] for letter in "qkv"])
    torch.testing.assert_close(found, whole)


def test_z_image_by_the_names_of_its_own_checkpoint(flux: LoadedModel) -> None:
    layers = {f"layers.0.attention.to_{name}": nn.Linear(8, 8) for name in ("q", "k", "v", "out.0")}
    model: Any = UnfusedModel(flux)
    model.layer_names = lambda part: {name: _target(name) for name in layers}
    network = nn.Module()
    network.get_submodule = layers.__getitem__  # type: ignore[method-assign, assignment]
    model.networks = {"transformer": network}
    stems = {"attention.qkv": (24, 8), "attention.out": (8, 8)}
    for prefix, dot in (("diffusion_model.layers.0.", "."), ("lora_unet_layers_0_", "_")):
        report = read(
            model, lora_of({prefix + stem.replace(".", dot): size for stem, size in stems.items()})
        ).report
        assert report.is_full
        assert report.layers == {"transformer": 4}
        assert report.made_for == "Z-Image"


def _target(layer: str) -> Any:
    from sfumato.models import LayerTarget

    return LayerTarget(layer)


@pytest.mark.parametrize(
    ("encoders", "expected"),
    [
        (["clip_text"], {"te": "clip_text", "te1": "clip_text"}),
        (["open_clip_text"], {"te": "open_clip_text", "te1": "open_clip_text"}),
        (["clip_g_text"], {"te": "clip_g_text", "te2": "clip_g_text"}),
        (["clip_text", "clip_g_text"], {"te": "clip_text", "te1": "clip_text", "te2": "clip_g_text"}),
        (
            ["clip_g_text", "t5_encoder"],
            {"te": "clip_g_text", "te1": "t5_encoder", "te2": "clip_g_text", "te3": "t5_encoder"},
        ),
        (
            ["clip_text", "t5_encoder"],
            {"te": "clip_text", "te1": "clip_text", "te2": "t5_encoder", "te3": "t5_encoder"},
        ),
        (["t5_encoder"], {"te": "t5_encoder", "te1": "t5_encoder", "te2": "t5_encoder", "te3": "t5_encoder"}),
    ],
    ids=str,
)
def test_text_encoders_are_numbered_whichever_are_loaded(
    flux: LoadedModel, encoders: list[str], expected: dict[str, str]
) -> None:
    model: Any = UnfusedModel(flux)
    model.networks = {
        part: nn.ModuleDict({"layer": nn.Linear(6, 8)}) for part in ("unet", *encoders, "autoencoder")
    }
    model.layer_names = lambda part: {"layer": _target("layer")}
    found = {}
    for prefix in ("te", "te1", "te2", "te3"):
        tensors = lora_of({"lora_unet_layer": (8, 6), f"lora_{prefix}_layer": (8, 6)})
        parts = [change.part for change in read(model, tensors).changes]
        assert parts[0] == "unet"
        if len(parts) > 1:
            found[prefix] = parts[1]
    assert found == expected


def test_rotations_of_a_fused_layer_are_told_where_it_is_kept_apart(flux: LoadedModel) -> None:
    model: Any = UnfusedModel(flux)
    tensors = {"attention.qkv.oft_blocks": random("blocks", 4, 4, 4)}
    tensors |= lora_of({"attention.to_q": (8, 6)})
    report = read(model, tensors).report
    assert report.unmatched == ("attention.qkv.oft_blocks",)


def test_stored_types_of_a_half_or_a_byte_are_taken(flux: LoadedModel) -> None:
    full = lora_of({"transformer.transformer_blocks.0.attn.to_q": (64, 64)}, names="peft", alpha=None)
    for dtype in (torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2):
        tensors = {name: tensor.to(dtype) for name, tensor in full.items()}
        same = {name: tensor.float() for name, tensor in tensors.items()}
        assert_same_changes(flux, tensors, same)


def test_products_are_kept_for_the_layers_as_they_are_stored(flux: LoadedModel) -> None:
    adapter = read(flux, lora_of({"transformer.norm_out.linear": (128, 64)}, names="peft"))
    (change,) = adapter.changes
    assert change.target.halves_swapped
    product = change.low_rank()
    assert product is not None
    original = flux.networks["transformer"].get_submodule(change.target.layer).weight
    torch.testing.assert_close(product[1] @ product[0], change.delta(original))


def test_metadata_that_is_none_is_left_alone(flux: LoadedModel) -> None:
    tensors = lora_of({"transformer.transformer_blocks.0.attn.to_q": (64, 64)}, names="peft", alpha=None)
    plain = read(flux, tensors).changes[0].low_rank()
    for text in (
        "",
        "no json",
        "[1]",
        json.dumps({"transformer.lora_alpha": "three", "transformer.alpha_pattern": {"(": 2}}),
    ):
        found = read(flux, tensors, {"lora_adapter_metadata": text}).changes[0].low_rank()
        assert plain is not None
        assert found is not None
        assert found[1].equal(plain[1])

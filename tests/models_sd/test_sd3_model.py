"""A loaded SD3 model, driven as the engine does; parts that are missing, and what is wrong with files."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from sfumato.errors import BadInput, CheckpointError, MissingPart
from sfumato.models import LoadedModel, Placement, PromptText, TextEmbedding
from sfumato_models_sd.sd3.family import Sd3Family
from sfumato_models_sd.sd3.latent_space import LatentScaling, latent_format
from sfumato_models_sd.sd3.loading import clip_widths
from sfumato_models_sd.sd3.model import Sd3Model
from sfumato_models_sd.sd3.options import Sd3Options
from sfumato_networks.autoencoder import AutoencoderConfig

from ..tiny_models import library_of
from ..tiny_models.files import save
from ..tiny_models.headers import header_of
from ..tiny_models.sd3 import (
    CLIP_G,
    CLIP_L,
    METADATA,
    SD3,
    SD35_LARGE,
    SD35_MEDIUM,
    TinySD3,
    write_bare_sd3,
    write_sd3,
    write_sd3_parts,
    write_sd3_tokenizers,
)

RED = PromptText(([("a red apple", 1.0)],))
BLUE = PromptText(([("the blue one", 1.0)],))
SHORT = {"t5_length": 16}


def load(path: Path, root: Path, placement: Placement | None = None) -> Sd3Model:
    library, family = library_of(root), Sd3Family()
    info = family.detect(library.header(path))
    assert info is not None
    model = family.load(info, library, placement or Placement(dtype="float32"))
    assert isinstance(model, Sd3Model)
    return model


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sd3")
    write_sd3_tokenizers(folder / "tokenizers")
    return write_sd3(SD35_MEDIUM, folder / "sd3.safetensors")


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> Sd3Model:
    return load(checkpoint, checkpoint.parent)


def noise(b: int, h: int = 8, w: int = 8) -> torch.Tensor:
    return torch.randn(b, 16, h, w, generator=torch.Generator().manual_seed(0))


def mapped(tensor: torch.Tensor, path: Path) -> bool:
    """Whether the tensor's memory is a mapping of this file."""
    address = tensor.data_ptr()
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, *_, name = line.split(maxsplit=5)
        start, end = (int(bound, 16) for bound in span.split("-"))
        if start <= address < end:
            return name == str(path)
    return False


def test_the_loaded_model_is_what_the_engine_expects(model: Sd3Model) -> None:
    assert isinstance(model, LoadedModel)
    assert (model.device, model.latent_format.channels, model.latent_format.size_multiple) == ("cpu", 16, 16)
    kinds = ["transformer", "clip_text", "clip_g_text", "t5_encoder", "autoencoder"]
    assert list(model.networks) == kinds


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_in_the_compute_type_stay_mapped_from_the_file(tmp_path: Path, dtype: torch.dtype) -> None:
    write_sd3_tokenizers(tmp_path / "tokenizers")
    path = write_sd3(SD35_MEDIUM, tmp_path / "all.safetensors", dtype)
    found = load(path, tmp_path, Placement(dtype=str(dtype).removeprefix("torch.")))
    for network in found.networks.values():
        assert all(mapped(parameter, path) for parameter in network.parameters())
    assert mapped(found.positions._grid, path)


def test_nothing_in_a_checkpoint_is_left_over(checkpoint: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        load(checkpoint, checkpoint.parent)
    assert "not used" not in caplog.text


def test_surplus_tensors_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_sd3_parts(SD3, tmp_path)
    surplus = {"joint_blocks.0.strange.weight": torch.zeros(3)}
    with caplog.at_level(logging.WARNING):
        load(save(tmp_path / "x.safetensors", SD3.transformer() | surplus), tmp_path)
    assert "joint_blocks.0.strange.weight" in caplog.text


def test_parts_in_the_model_folders_draw_as_those_in_the_checkpoint(tmp_path: Path) -> None:
    write_sd3_parts(SD3, tmp_path)
    path = write_sd3(SD3, tmp_path / "x.safetensors", text_encoders=("clip_l",), vae=False)
    parts = load(path, tmp_path)
    whole = load(write_sd3(SD3, tmp_path / "all" / "x.safetensors"), tmp_path)
    torch.testing.assert_close(parts.decode(noise(1)), whole.decode(noise(1)))
    found, expected = (each.condition(RED, SHORT).context for each in (parts, whole))
    torch.testing.assert_close(found[..., :24], expected[..., :24])
    torch.testing.assert_close(found[:, 77:], expected[:, 77:])
    assert found[:, :77, 24:64].abs().sum() > 0  # another CLIP-G: OpenCLIP's layout has other random weights


def test_sizes_of_clips_are_told_by_what_the_checkpoint_holds_or_shared_out() -> None:
    assert clip_widths(header_of({}), 2048) == (768, 1280)
    tokens = "text_model.embeddings.token_embedding.weight"
    assert clip_widths(header_of({f"text_encoders.clip_l.transformer.{tokens}": (9, 32)}), 64) == (32, 32)
    assert clip_widths(header_of({f"text_encoders.clip_g.transformer.{tokens}": (9, 40)}), 56) == (16, 40)


# Text encoders, each of which may be absent


def test_conditioning_is_laid_out_as_published(model: Sd3Model) -> None:
    red = model.condition(RED, SHORT)
    assert (red.context.shape, red.vector.shape) == ((1, 77 + 16, 96), (1, CLIP_L.width + CLIP_G.width))
    assert red.context[:, :77, 64:].abs().max() == 0
    assert model.condition(RED, {}).context.shape == (1, 77 + 256, 96)


@pytest.mark.parametrize(
    ("held", "missing"),
    [
        (("clip_l", "clip_g"), "T5"),
        (("clip_l", "t5xxl"), "CLIP-G"),
        (("clip_g", "t5xxl"), "CLIP-L"),
        (("t5xxl",), "CLIP-L, CLIP-G"),
        (("clip_g",), "CLIP-L, T5"),
    ],
)
def test_absent_text_encoders_leave_zeros_and_a_note(
    tmp_path: Path, model: Sd3Model, held: tuple[str, ...], missing: str
) -> None:
    write_sd3_tokenizers(tmp_path / "tokenizers")
    path = write_sd3(SD35_MEDIUM, tmp_path / "some.safetensors", text_encoders=held)
    some = load(path, tmp_path)
    found, whole = some.condition(RED, SHORT), model.condition(RED, SHORT)
    places = {"CLIP-L": (slice(0, 77), slice(0, 24)), "CLIP-G": (slice(0, 77), slice(24, 64))}
    places["T5"] = (slice(77, None), slice(None))
    expected = whole.context.clone()
    for name in missing.split(", "):
        expected[(0, *places[name])] = 0
    assert torch.equal(found.context, expected)
    assert found.notes[0].startswith("The text encoder")
    assert f"not found: {missing}." in found.notes[0]
    assert whole.notes == ()
    assert some.denoise(noise(1), 0.5, [found], SHORT).isfinite().all()


def test_without_any_text_encoder_all_are_named_and_that_one_is_enough(tmp_path: Path) -> None:
    path = write_sd3(SD3, tmp_path / "none.safetensors", text_encoders=())
    with pytest.raises(MissingPart) as caught:
        load(path, tmp_path)
    for part in ("CLIP-L text encoder", "CLIP-G text encoder", "T5 text encoder"):
        assert part in caught.value.what
    assert "autoencoder" not in caught.value.what
    assert "One of the text encoders is enough" in caught.value.hint


def test_a_bare_transformer_names_its_own_autoencoder_too(tmp_path: Path) -> None:
    with pytest.raises(MissingPart) as caught:
        load(write_bare_sd3(SD3, tmp_path / "diffusion_models" / "bare.safetensors"), tmp_path)
    assert "autoencoder (VAE) of Stable Diffusion 3" in caught.value.what
    assert "sd3_vae.safetensors" in caught.value.hint


def test_a_t5_without_its_tokenizer_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = write_sd3(SD3, tmp_path / "all.safetensors")
    with pytest.raises(MissingPart, match="T5 tokenizer"):
        load(path, tmp_path)


def test_an_autoencoder_of_flux_is_not_taken(tmp_path: Path) -> None:
    write_sd3_parts(SD3, tmp_path)
    (tmp_path / "vae" / "sd3_vae.safetensors").rename(tmp_path / "vae" / "ae.safetensors")
    with pytest.raises(MissingPart, match="named after Flux"):
        load(write_sd3(SD3, tmp_path / "x.safetensors", vae=False), tmp_path)


def test_long_prompts_take_more_windows_and_break_makes_chunks(model: Sd3Model) -> None:
    long = model.condition(PromptText(([("a red apple " * 40, 1.0)],)), SHORT)
    assert long.context.shape == (1, 2 * 77 + 16, 96)
    assert "T5 reads the first 15" in long.notes[0]
    both = model.condition(PromptText((*RED.chunks, *BLUE.chunks)), SHORT)
    red, blue = model.condition(RED, SHORT), model.condition(BLUE, SHORT)
    pieces = (red.context[:, :77], blue.context[:, :77], red.context[:, 77:], blue.context[:, 77:])
    assert torch.equal(both.context, torch.cat(pieces, dim=1))
    assert torch.equal(both.vector, red.vector)


def test_weights_act_on_all_encoders(model: Sd3Model) -> None:
    chunk = [("a red", 1.0), (" apple", 1.5)]
    plain = model.condition(PromptText(([(text, 1.0) for text, _ in chunk],)), SHORT)
    strong = model.condition(PromptText((chunk,), emphasis="no_norm"), SHORT)
    ratio = strong.context / plain.context
    assert ratio[0, 3, :64].tolist() == pytest.approx([1.5] * 64)
    assert ratio[0, 77 + 3].tolist() == pytest.approx([1.5] * 96, rel=1e-3)
    assert torch.equal(strong.vector, plain.vector)


def test_a_word_that_only_one_clip_learned_is_told_and_the_other_reads_its_name(model: Sd3Model) -> None:
    word = TextEmbedding("zz", "1", Path("zz.safetensors"), {"clip_text": torch.randn(70, CLIP_L.width)})
    text = PromptText(([("a red zz apple " * 2, 1.0)],), embeddings=(word,))
    found = model.condition(text, SHORT)
    assert found.context.shape == (1, 2 * 77 + 16, 96)
    assert found.context[:, 77:154, 24:64].abs().max() == 0
    assert [note for note in found.notes if "'zz'" in note]


# Sampling


def test_pictures_of_a_batch_do_not_influence_each_other(model: Sd3Model) -> None:
    red, blue = model.condition(RED, SHORT), model.condition(BLUE, SHORT)
    x = noise(2)
    together = model.denoise(x, 0.8, [red, blue], SHORT)
    alone = torch.cat([model.denoise(x[:1], 0.8, [red], SHORT), model.denoise(x[1:], 0.8, [blue], SHORT)])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    other = model.denoise(x, 0.8, [blue, red], SHORT)
    assert not torch.allclose(together, other, atol=1e-3)


def test_no_noise_means_no_change(model: Sd3Model) -> None:
    assert torch.equal(model.denoise(noise(1), 0.0, [model.condition(RED, SHORT)], SHORT), noise(1))


def test_the_shift_is_that_of_the_options(model: Sd3Model) -> None:
    assert model.noise_schedule(64, 64, {}).shift == 3.0
    assert model.noise_schedule(64, 64, Sd3Options(shift=1.5)).shift == 1.5
    assert len(model.noise_schedule(64, 64, {}).sigmas) == 1000


def test_pictures_beyond_the_table_of_positions_are_refused_with_the_limit(model: Sd3Model) -> None:
    assert model.noise_schedule(160, 160, {})
    with pytest.raises(BadInput, match=r"176 x 64 pixels.*up to 160 pixels"):
        model.noise_schedule(176, 64, {})
    with pytest.raises(BadInput, match="64 x 176 pixels"):
        model.denoise(noise(1, 22, 8), 0.5, [model.condition(RED, SHORT)], SHORT)


def test_it_sees_no_picture(model: Sd3Model) -> None:
    with pytest.raises(BadInput, match="sees no picture"):
        model.see(torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 16, 16))


def test_bfloat16_draws_close_to_float32(checkpoint: Path) -> None:
    pictures = []
    for dtype in ("float32", "bfloat16"):
        found = load(checkpoint, checkpoint.parent, Placement(dtype=dtype))
        pictures.append(found.decode(found.denoise(noise(1), 0.9, [found.condition(RED, SHORT)], SHORT)))
    assert (pictures[0] - pictures[1]).abs().mean() < 0.02


def test_latents_scale_back_and_forth_and_are_named_where_they_are_sd3s(model: Sd3Model) -> None:
    torch.testing.assert_close(model.scaling.to_model(model.scaling.to_autoencoder(noise(1))), noise(1))
    assert model.latent_format.name == ""
    published = latent_format(AutoencoderConfig(), LatentScaling(), 2)
    assert (published.name, len(published.rgb_factors)) == ("sd3", 16)


# Names of layers


@pytest.mark.parametrize("tiny", [SD3, SD35_LARGE, SD35_MEDIUM], ids=["3", "large", "medium"])
def test_layers_go_by_diffusers_names_too(tmp_path: Path, tiny: TinySD3) -> None:
    pytest.importorskip("diffusers")
    from ..tiny_models.sd3_oracle import transformer

    write_sd3_tokenizers(tmp_path / "tokenizers")
    found = load(write_sd3(tiny, tmp_path / "x.safetensors"), tmp_path)
    names, theirs = found.layer_names("transformer"), transformer(tiny).state_dict()
    wanted = {name.removesuffix(".weight") for name in theirs if name.endswith(".weight")}
    assert wanted <= names.keys()
    for name in wanted:
        weight = found.transformer.get_submodule(names[name].layer).weight
        start, end = names[name].rows or (0, len(weight))
        piece = weight[start:end]
        piece = torch.cat(piece.chunk(2)[::-1]) if names[name].halves_swapped else piece
        assert torch.equal(piece, theirs[f"{name}.weight"]), name


def test_text_encoders_have_names_of_transformers(model: Sd3Model) -> None:
    for part in ("clip_text", "clip_g_text"):
        assert "text_model.encoder.layers.0.self_attn.q_proj" in model.layer_names(part)
    assert "encoder.block.0.layer.0.SelfAttention.q" in model.layer_names("t5_encoder")
    assert model.layer_names("unet") == {}


# Bad input


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = write_sd3(SD3, tmp_path / "cut.safetensors")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="truncated"):
        library_of(tmp_path).header(path)


@pytest.mark.parametrize(
    "prefix", ["first_stage_model.", "text_encoders.clip_g.transformer.", "text_encoders.t5xxl.transformer."]
)
def test_a_part_with_a_missing_tensor_is_an_error_that_names_it(tmp_path: Path, prefix: str) -> None:
    write_sd3_tokenizers(tmp_path / "tokenizers")
    path = write_sd3(SD3, tmp_path / "all.safetensors")
    tensors = dict(library_of(tmp_path).open_tensors(path))
    name = [name for name in tensors if name.startswith(prefix) and "norm" in name][-1]
    rest = {other: tensor.clone() for other, tensor in tensors.items() if other != name}
    with pytest.raises(CheckpointError, match=name.removeprefix(prefix)):
        load(save(path, rest, metadata=METADATA), tmp_path)


def test_a_tokenizer_of_another_model_is_told_apart(tmp_path: Path) -> None:
    write_sd3_tokenizers(tmp_path / "tokenizers")
    file = tmp_path / "tokenizers" / "t5xxl" / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["model"]["vocab"] += [[f"▁word{number}", -50.0] for number in range(50)]
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(CheckpointError, match="belongs to another text encoder"):
        load(write_sd3(SD3, tmp_path / "all.safetensors"), tmp_path)


def test_a_part_that_is_wished_for_comes_before_that_in_the_checkpoint(tmp_path: Path) -> None:
    write_sd3_tokenizers(tmp_path / "tokenizers")
    vae = save(tmp_path / "other" / "mine.safetensors", TinySD3(seed=5).autoencoder())
    path = write_sd3(SD3, tmp_path / "all.safetensors")
    wished: dict[str, Any] = {"autoencoder": vae}
    found = load(path, tmp_path, Placement(dtype="float32", part_files=wished))
    expected = TinySD3(seed=5).autoencoder()["decoder.conv_in.weight"]
    assert torch.equal(found.autoencoder.decoder.conv_in.weight, expected)
    assert found.files["autoencoder"] == (vae,)

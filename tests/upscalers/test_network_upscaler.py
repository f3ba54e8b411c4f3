"""Upscaler models: found by file, run in tiles, brought to the size; wrong files are refused."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from sfumato.errors import BadInput, Cancelled, CheckpointError, UnknownName
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato.upscaling import UpscaleContext, all_upscalers, find_upscaler
from sfumato_upscalers import network_files
from sfumato_upscalers.network_upscaler import upscale
from sfumato_upscalers.resampling import lanczos
from sfumato_upscalers.settings import UpscalerSettings

from .networks import compact, picture, write


def context(path: Path, settings: UpscalerSettings | None = None, **fields: Any) -> UpscaleContext:
    return UpscaleContext(
        path=path, settings=SimpleNamespace(upscalers=settings or UpscalerSettings()), **fields
    )


@pytest.fixture
def doubling(tmp_path: Path) -> Path:
    return write(compact(scale=2), tmp_path / "doubling.pth")


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_a_picture_is_what_the_network_makes_of_it(tmp_path: Path, ending: str) -> None:
    path, given = write(compact(), tmp_path / f"x.{ending}"), picture()
    torch.testing.assert_close(upscale(given, 80, 60, context(path)), compact()(given).clamp(0, 1))


@pytest.mark.parametrize(("size", "rounds"), [((80, 60), 1), ((81, 60), 2), ((300, 200), 3), ((900, 90), 3)])
def test_it_runs_until_the_size_is_reached_then_lanczos_brings_it_there(
    doubling: Path, size: tuple[int, int], rounds: int
) -> None:
    enlarged = picture()
    for _ in range(rounds):
        enlarged = compact()(enlarged).clamp(0, 1)
    found = upscale(picture(), *size, context(doubling, UpscalerSettings(tile=0)))
    torch.testing.assert_close(found, lanczos(enlarged, *size, UpscaleContext()))


def test_a_picture_that_only_shrinks_needs_no_network_and_one_that_keeps_its_size_goes_through_once(
    doubling: Path,
) -> None:
    seen: list[tuple[int, int]] = []
    work = context(doubling, on_tile=lambda done, total: seen.append((done, total)))
    upscale(picture(), 20, 15, work)
    assert seen == []
    upscale(picture(), 40, 30, work)
    assert seen == [(1, 1)]


def test_a_network_that_keeps_the_size_runs_once_and_lanczos_does_the_rest(tmp_path: Path) -> None:
    path = write(compact(scale=1), tmp_path / "denoise.safetensors")
    found = upscale(picture(), 80, 60, context(path))
    assert found.shape == (1, 3, 60, 80)
    same = upscale(picture(), 40, 30, context(path))
    torch.testing.assert_close(same, compact(scale=1)(picture()).clamp(0, 1))


def test_a_network_for_greys_enlarges_each_colour(tmp_path: Path) -> None:
    network = compact(channels=1)
    found = upscale(picture(), 80, 60, context(write(network, tmp_path / "grey.pth")))
    expected = torch.cat([network(plane) for plane in picture().split(1, dim=1)], dim=1)
    torch.testing.assert_close(found, expected.clamp(0, 1))


def test_a_network_for_pictures_with_alpha_gets_opaque_ones(tmp_path: Path) -> None:
    network = compact(channels=4)
    found = upscale(picture(), 80, 60, context(write(network, tmp_path / "alpha.pth")))
    opaque = torch.cat([picture(), torch.ones(1, 1, 30, 40)], dim=1)
    torch.testing.assert_close(found, network(opaque)[:, :3].clamp(0, 1))


@pytest.mark.parametrize("overlap", [12, 16])
def test_tiles_show_no_seam_where_the_network_looks_no_farther_than_a_quarter_of_the_overlap(
    doubling: Path, overlap: int
) -> None:
    given = picture(90, 70)
    tiled = upscale(given, 180, 140, context(doubling, UpscalerSettings(tile=32, overlap=overlap)))
    torch.testing.assert_close(tiled, compact()(given).clamp(0, 1), atol=1e-6, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
def test_windows_of_attention_lie_in_tiles_as_in_the_whole_picture(tmp_path: Path) -> None:
    from spandrel.architectures.SwinIR.__arch.SwinIR import SwinIR

    torch.manual_seed(0)
    sizes = {"img_size": 16, "embed_dim": 12, "depths": [2], "num_heads": [2], "window_size": 8}
    path = write(SwinIR(upscale=2, upsampler="pixelshuffle", **sizes), tmp_path / "SwinIR.pth")
    given = picture(112, 80)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a network's own making are none of the user's
        network_files.load(path)
    whole, tiled = (
        upscale(given, 224, 160, context(path, UpscalerSettings(tile=tile, overlap=tile // 2)))
        for tile in (0, 64)
    )
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


def test_tiles_are_counted_over_all_rounds_and_pictures(doubling: Path) -> None:
    seen: list[tuple[int, int]] = []
    settings = UpscalerSettings(tile=32, overlap=8)
    work = context(doubling, settings, on_tile=lambda done, total: seen.append((done, total)))
    upscale(torch.cat([picture(), picture()]), 160, 120, work)
    total = 2 * (1 * 1 + 4 * 2)  # 40 x 30 pixels, then 80 x 60
    assert seen == [(i + 1, total) for i in range(total)]


def test_a_cancel_is_heard_between_tiles(doubling: Path) -> None:
    seen: list[int] = []
    settings = UpscalerSettings(tile=16, overlap=4)

    def stop(done: int, total: int) -> None:
        seen.append(done)
        work.cancel.cancel()

    work = context(doubling, settings, on_tile=stop)
    with pytest.raises(Cancelled):
        upscale(picture(), 80, 60, work)
    assert seen == [1]


def test_the_networks_used_last_are_kept_until_their_file_changes(tmp_path: Path) -> None:
    paths = [write(compact(seed=i), tmp_path / f"{i}.safetensors") for i in range(3)]
    workspace: dict[str, Any] = {}

    def kept(path: Path) -> list[Any]:
        upscale(picture(), 80, 60, context(path, UpscalerSettings(keep_models=2), workspace=workspace))
        (networks,) = workspace.values()
        return list(networks.values())

    first = kept(paths[0])[-1]
    assert kept(paths[1])[0] is first
    assert kept(paths[0])[-1] is first
    assert first in kept(paths[2])
    save_file(compact(seed=7).state_dict() | {"unused": torch.zeros(3)}, paths[0])
    with pytest.raises(CheckpointError):
        kept(paths[0])
    write(compact(seed=8), paths[0])
    assert kept(paths[0])[-1] is not first


def a_lora(path: Path) -> None:
    save_file({"lora_unet_x.lora_down.weight": torch.ones(4, 8), "lora_unet_x.alpha": torch.ones(())}, path)


def a_torn_file(path: Path) -> None:
    write(compact(), path)
    path.write_bytes(path.read_bytes()[:900])


def an_inpainting_network(path: Path) -> None:
    from spandrel.architectures.LaMa.__arch.LaMa import LaMa

    write(LaMa(in_nc=4, out_nc=3), path)


def a_program(path: Path) -> None:
    class Program:
        def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
            import os

            return os.system, (f"touch {path}.ran",)

    path.write_bytes(pickle.dumps({"params": Program()}))


def a_torchscript_program(path: Path) -> None:
    torch.jit.trace(torch.nn.Conv2d(3, 3, 1), torch.ones(1, 3, 4, 4)).save(path)


def a_network_that_does_not_fit(path: Path) -> None:
    network = compact()
    network.body[2].weight.data = torch.ones(5, 8, 3, 3)
    write(network, path)


def an_empty_file(path: Path) -> None:
    path.touch()


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    ("make", "name", "said"),
    [
        (a_lora, "lora.safetensors", "not an upscaler"),
        (a_torn_file, "torn.safetensors", "torn.safetensors"),
        (a_torn_file, "torn.pth", "cannot be read"),
        (an_inpainting_network, "lama.pth", "made for Inpainting"),
        (a_program, "program.pth", "refused"),
        (a_torchscript_program, "script.pt", "refused"),
        (a_network_that_does_not_fit, "odd.pth", "size mismatch"),
        (an_empty_file, "empty.pth", "cannot be read"),
        (an_empty_file, "empty.safetensors", "empty"),
    ],
)
def test_a_file_that_is_no_upscaler_is_refused_by_name(
    tmp_path: Path, make: Callable[[Path], None], name: str, said: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(CheckpointError, match=said) as refused:
        upscale(picture(), 80, 60, context(tmp_path / name))
    assert name in refused.value.what
    assert refused.value.hint
    assert not list(tmp_path.glob("*.ran"))


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone\.pth"):
        upscale(picture(), 80, 60, context(tmp_path / "gone.pth"))


def test_float16_is_refused_on_a_cpu(doubling: Path) -> None:
    with pytest.raises(BadInput, match="float16 on cpu"):
        upscale(picture(), 80, 60, context(doubling, UpscalerSettings(dtype="float16")))


def test_bfloat16_is_near_float32(doubling: Path) -> None:
    exact, near = (
        upscale(picture(), 80, 60, context(doubling, UpscalerSettings(dtype=dtype)))
        for dtype in ("float32", "bfloat16")
    )
    assert near.dtype == torch.float32
    assert 0 < (near - exact).abs().max() < 0.02


@pytest.mark.gpu
def test_a_gpu_gives_the_same_picture(doubling: Path) -> None:
    settings = UpscalerSettings(tile=32, overlap=12, dtype="float32")
    found = upscale(picture(), 80, 60, context(doubling, settings, device="cuda"))
    torch.testing.assert_close(
        found, upscale(picture(), 80, 60, context(doubling, settings)), atol=1e-3, rtol=0
    )


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    for folder, name in (
        ("ESRGAN", "RealESRGAN_x4plus_anime_6B.pth"),
        ("upscale_models", "4x-UltraSharp.safetensors"),
        ("DAT", "DAT_x4.pth"),
    ):
        write(compact(), tmp_path / folder / name)
    return Studio(Settings.load(overrides={"general.model_folders": json.dumps([str(tmp_path)])}))


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("R-ESRGAN 4x+ Anime6B", "RealESRGAN_x4plus_anime_6B"),
        ("r-esrgan 4x+ anime6b", "RealESRGAN_x4plus_anime_6B"),
        ("RealESRGAN_x4plus_anime_6B.pth", "RealESRGAN_x4plus_anime_6B"),
        ("4x-UltraSharp", "4x-UltraSharp"),
        ("DAT x4", "DAT_x4"),
    ],
)
def test_a_file_is_found_by_its_name_and_by_what_a1111_calls_it(studio: Studio, name: str, stem: str) -> None:
    found = find_upscaler(name, studio.registries, studio.library)
    assert found.path is not None
    assert found.path.stem == stem == found.name


def test_all_upscalers_are_listed_with_the_labels_people_know(studio: Studio) -> None:
    labels = {found.label for found in all_upscalers(studio.registries, studio.library)}
    assert labels >= {"None", "Lanczos", "Latent", "R-ESRGAN 4x+ Anime6B", "4x-UltraSharp", "DAT x4"}


def test_an_unknown_upscaler_is_told_with_those_near(studio: Studio) -> None:
    with pytest.raises(UnknownName, match="4x-UltraSharp"):
        find_upscaler("4x-UltraShrap", studio.registries, studio.library)

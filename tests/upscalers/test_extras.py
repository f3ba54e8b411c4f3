"""Extras: pictures enlarged, mended and saved anew with what they told of themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sfumato.errors import BadInput, Cancelled, CheckpointError, UnknownName
from sfumato.events import CancelToken, Event, ImageSaved, StepCompleted, Warned
from sfumato.registry import Registrar
from sfumato.request import UpscaleRequest
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato.upscaling import UpscaleContext, UpscaleResult
from sfumato_pictures import infotext
from sfumato_pictures.reading import read_metadata
from sfumato_upscalers.sizes import crop_window, enlarged_size

from .networks import compact, picture, write

INFOTEXT = (
    "a red apple\nNegative prompt: blur\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 40x30"
)


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    write(compact(), tmp_path / "models" / "upscale_models" / "RealESRGAN_x2plus.pth")
    overrides = {
        "general.model_folders": json.dumps([str(tmp_path / "models")]),
        "general.output_folder": str(tmp_path / "out"),
        "engine.device": "cpu",
    }
    return Studio(Settings.load(overrides=overrides))


def colours(seed: int = 1) -> np.ndarray:
    return picture(seed=seed)[0].permute(1, 2, 0).mul(255).round().byte().numpy()


def save(path: Path, pixels: np.ndarray, **texts: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    chunks = PngInfo()
    for keyword, text in texts.items():
        chunks.add_text(keyword, text)
    Image.fromarray(pixels).save(path, pnginfo=chunks)
    return path


def run(studio: Studio, *images: Path, events: list[Event] | None = None, **fields: Any) -> UpscaleResult:
    seen: list[Event] = [] if events is None else events
    request = UpscaleRequest(images=images, **fields)
    result: UpscaleResult = studio.run("upscale", request, on_event=seen.append)
    return result


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image, np.int16)


def resized(pixels: np.ndarray, size: tuple[int, int], by: Image.Resampling) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize(size, by), np.int16)


def test_a_picture_is_enlarged_and_saved_under_its_name(studio: Studio, tmp_path: Path) -> None:
    given = save(tmp_path / "An apple!.png", colours())
    (record,) = run(studio, given, upscaler="Nearest", scale=2.5).images
    assert record.path == tmp_path / "out" / "00001-An apple!.png"
    assert (record.width, record.height) == (100, 75)
    assert (pixels_of(record.path) == resized(colours(), (100, 75), Image.Resampling.NEAREST)).all()


def test_a_network_enlarges_it_as_the_network_alone_does(studio: Studio, tmp_path: Path) -> None:
    (record,) = run(studio, save(tmp_path / "x.png", colours()), upscaler="R-ESRGAN 2x+", scale=2).images
    expected = compact()(torch.from_numpy(colours()).permute(2, 0, 1)[None] / 255).clamp(0, 1)
    found = torch.from_numpy(pixels_of(record.path)).permute(2, 0, 1)[None] / 255
    assert (found - expected).abs().max() <= 0.51 / 255


def test_what_a_picture_told_of_itself_is_kept_and_what_was_done_added(
    studio: Studio, tmp_path: Path
) -> None:
    story = '{"prompt": "a red apple"}'
    given = save(tmp_path / "x.png", colours(), parameters=INFOTEXT, sfumato=story, prompt="{}", other="mine")
    (record,) = run(studio, given, upscaler="R-ESRGAN 2x+", scale=2).images
    with Image.open(record.path) as image:
        texts = dict(image.text)
    assert (texts["sfumato"], texts["prompt"], texts["other"]) == (story, "{}", "mine")
    assert texts["parameters"] == record.infotext
    assert texts["parameters"].startswith(INFOTEXT + ", ")
    read = infotext.read(texts["parameters"])
    assert (read.prompt, read.negative_prompt) == ("a red apple", "blur")
    assert read.fields["Postprocess upscale by"] == "2"
    assert read.fields["Postprocess upscaler"] == "R-ESRGAN 2x+"
    assert (record.seed, record.request.prompt) == (42, "a red apple")


def test_a_picture_without_infotext_gets_none_but_tells_what_was_done(studio: Studio, tmp_path: Path) -> None:
    done = {"width": 80, "height": 80, "crop": True, "second_upscaler": "nearest", "second_visibility": 0.25}
    (record,) = run(studio, save(tmp_path / "x.png", colours()), **done).images
    with Image.open(record.path) as image:
        texts = dict(image.text)
    assert list(texts) == ["postprocessing"]
    assert infotext.read(texts["postprocessing"]).fields == {
        "Postprocess upscale to": "80x80",
        "Postprocess crop to": "80x80",
        "Postprocess upscaler": "Lanczos",
        "Postprocess upscaler 2": "Nearest",
        "Postprocess upscaler 2 visibility": "0.25",
    }


def test_two_upscalers_are_blended_by_the_share_of_the_second(studio: Studio, tmp_path: Path) -> None:
    given = save(tmp_path / "x.png", colours())
    shares = {"upscaler": "nearest", "second_upscaler": "bilinear", "second_visibility": 0.25, "scale": 3}
    (record,) = run(studio, given, **shares).images
    first, second = (
        resized(colours(), (120, 90), by) for by in (Image.Resampling.NEAREST, Image.Resampling.BILINEAR)
    )
    assert np.abs(pixels_of(record.path) - (0.75 * first + 0.25 * second)).max() <= 1


def test_alpha_is_kept_and_enlarged_apart(studio: Studio, tmp_path: Path) -> None:
    alpha = np.full((30, 40, 1), 255, np.uint8)
    alpha[:, :13] = 0
    given = save(tmp_path / "x.png", np.concatenate([colours(), alpha], axis=2))
    (record,) = run(studio, given, upscaler="nearest", scale=2).images
    found = pixels_of(record.path)
    assert found.shape == (60, 80, 4)
    assert (found[..., 3] == np.repeat(np.repeat(alpha[..., 0], 2, 0), 2, 1)).all()
    assert (found[..., :3] == resized(colours(), (80, 60), Image.Resampling.NEAREST)).all(), (
        "hidden colours too"
    )


@pytest.mark.parametrize(
    ("fields", "size", "kept"),
    [
        ({"scale": 2}, (80, 60), (80, 60)),
        ({"scale": 0.1}, (4, 3), (4, 3)),
        ({"width": 60}, (60, 45), (60, 45)),
        ({"height": 60, "crop": True}, (80, 60), (80, 60)),
        ({"width": 60, "height": 60}, (80, 60), (80, 60)),
        ({"width": 60, "height": 60, "crop": True}, (80, 60), (60, 60)),
        ({"width": 100, "height": 20, "crop": True}, (100, 75), (100, 20)),
    ],
)
def test_sizes_and_crops(fields: dict[str, Any], size: tuple[int, int], kept: tuple[int, int]) -> None:
    request = UpscaleRequest(images=(Path("x.png"),), **fields)
    assert enlarged_size(40, 30, request) == size
    rows, columns = crop_window(*size, request)
    assert (columns.stop - columns.start, rows.stop - rows.start) == kept
    assert abs(rows.start - (size[1] - rows.stop)) <= 1, "the middle stays"


def test_the_format_is_that_of_the_settings_and_keeps_the_infotext(studio: Studio, tmp_path: Path) -> None:
    jpeg = Studio(Settings.load(overrides={"saving.format": "jpeg", "engine.device": "cpu"}))
    request = UpscaleRequest(images=(save(tmp_path / "x.png", colours(), parameters=INFOTEXT),), scale=2)
    (record,) = jpeg.run("upscale", request, output_folder=tmp_path / "out").images
    assert record.path.name == "00001-x.jpg"
    assert read_metadata(record.path).parameters == record.infotext
    assert "Postprocess upscaler: Lanczos" in record.infotext


def test_a_folder_is_done_in_the_order_of_names_and_bad_pictures_are_told_and_skipped(
    studio: Studio, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    save(folder / "c.png", colours(3))
    save(folder / "a.png", colours(1))
    (folder / "b.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("not one")
    events: list[Event] = []
    result = run(studio, folder, tmp_path / "gone.png", events=events, scale=2)
    assert [record.path.name for record in result.images] == ["00001-a.png", "00002-c.png"]
    assert [skipped.path.name for skipped in result.skipped] == ["b.png", "gone.png"]
    assert "b.png" in result.skipped[0].reason
    warned = [event.message for event in events if isinstance(event, Warned)]
    assert len(warned) == 2
    assert "'b.png' is skipped" in warned[0]
    assert [event.image for event in events if isinstance(event, ImageSaved)] == list(result.images)


def test_a_picture_that_would_be_too_large_is_refused(studio: Studio, tmp_path: Path) -> None:
    given = save(tmp_path / "x.png", np.zeros((2, 3000, 3), np.uint8))
    with pytest.raises(BadInput, match="too many"):
        run(studio, given, height=2000, width=32768)


def test_an_empty_folder_is_told(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="holds no pictures"):
        run(studio, tmp_path / "empty")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"upscaler": "R-ESRGAN 4x"}, "R-ESRGAN 2x+"),
        ({"second_upscaler": "nothing", "second_visibility": 0.5}, "nothing"),
        ({"face_restorer": "GFPGAN"}, "GFPGAN"),
        ({"upscaler": "Latent"}, "latents, not pictures"),
    ],
)
def test_a_wrong_name_is_told_before_any_picture(
    studio: Studio, tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said.replace("+", r"\+")):
        run(studio, save(tmp_path / "x.png", colours()), **fields)
    assert not (tmp_path / "out").exists()


def test_an_upscaler_whose_file_is_none_ends_the_batch(studio: Studio, tmp_path: Path) -> None:
    write(torch.nn.Linear(2, 2), tmp_path / "models" / "upscale_models" / "odd.safetensors")
    paths = [save(tmp_path / f"{i}.png", colours()) for i in range(2)]
    with pytest.raises(CheckpointError, match="odd"):
        run(studio, *paths, upscaler="odd")


def test_a_cancel_keeps_the_pictures_that_are_finished(studio: Studio, tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{i}.png", colours()) for i in range(3)]
    cancel = CancelToken()

    def stop(event: Event) -> None:
        if isinstance(event, StepCompleted) and event.batch == 1:
            cancel.cancel()

    request = UpscaleRequest(images=tuple(paths), upscaler="R-ESRGAN 2x+")
    with pytest.raises(Cancelled):
        studio.run("upscale", request, on_event=stop, cancel=cancel)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["00001-0.png"]


def test_tiles_are_told_as_steps(studio: Studio, tmp_path: Path) -> None:
    events: list[Event] = []
    run(studio, save(tmp_path / "x.png", colours()), events=events, upscaler="R-ESRGAN 2x+", scale=4)
    told = [(event.step, event.steps, event.batches) for event in events if isinstance(event, StepCompleted)]
    assert told == [(1, 2, 1), (2, 2, 1)]


def inverted(pixels: torch.Tensor, options: Any, context: UpscaleContext) -> torch.Tensor:
    return 255 - pixels


@pytest.mark.parametrize("faces_last", [False, True])
def test_faces_are_mended_as_far_as_asked_for_before_or_after_enlarging(
    studio: Studio, tmp_path: Path, faces_last: bool
) -> None:
    seen: list[tuple[int, ...]] = []

    def restorer(pixels: torch.Tensor, options: Any, context: UpscaleContext) -> torch.Tensor:
        seen.append(tuple(pixels.shape))
        return inverted(pixels, options, context)

    registrar: Registrar[Any] = studio.registries.face_restorers.registrar("probe")
    registrar.add("inverted", restorer, label="Inverted")
    registrar.commit()
    faces = {"face_restorer": "inverted", "face_visibility": 0.25, "faces_last": faces_last}
    (record,) = run(studio, save(tmp_path / "x.png", colours()), upscaler="nearest", scale=2, **faces).images
    plain = resized(colours(), (80, 60), Image.Resampling.NEAREST)
    assert np.abs(pixels_of(record.path) - (0.75 * plain + 0.25 * (255 - plain))).max() <= 1
    assert seen == [(60, 80, 3) if faces_last else (30, 40, 3)]
    with Image.open(record.path) as image:
        assert "Postprocess face restoration: Inverted" in image.text["postprocessing"]


def test_an_unknown_upscaler_offers_those_near(studio: Studio, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean"):
        run(studio, save(tmp_path / "x.png", colours()), upscaler="lancsoz")


def test_none_leaves_the_picture_as_it_is(studio: Studio, tmp_path: Path) -> None:
    given = save(tmp_path / "x.png", colours(), parameters=INFOTEXT)
    fields = {"width": 80, "height": 10, "crop": True, "second_upscaler": "nearest", "second_visibility": 0.5}
    (record,) = run(studio, given, upscaler="None", **fields).images
    assert (pixels_of(record.path) == colours()).all()
    assert (record.width, record.height, record.infotext) == (40, 30, INFOTEXT)
    assert "postprocessing" not in read_metadata(record.path).texts


def test_a_second_upscaler_of_none_is_no_second_one(studio: Studio, tmp_path: Path) -> None:
    given = save(tmp_path / "x.png", colours())
    (record,) = run(
        studio, given, upscaler="nearest", scale=2, second_upscaler="None", second_visibility=0.5
    ).images
    assert (pixels_of(record.path) == resized(colours(), (80, 60), Image.Resampling.NEAREST)).all()
    assert "upscaler 2" not in record.infotext


@pytest.mark.parametrize("seed", ["9" * 5000, "-5", "٣", "1e3"])
def test_a_seed_that_is_none_does_not_stop_the_work(studio: Studio, tmp_path: Path, seed: str) -> None:
    given = save(tmp_path / "x.png", colours(), parameters=INFOTEXT.replace("42", seed))
    (record,) = run(studio, given, upscaler="nearest", scale=2).images
    assert (record.seed, record.request.prompt) == (-1, "a red apple")

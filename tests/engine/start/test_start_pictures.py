"""img2img, inpainting and outpainting on the exact tiny model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch
from PIL import Image

from sfumato.errors import BadInput
from sfumato.request import GenerationRequest, Img2Img, Inpaint, Outpaint, SoftInpaint
from sfumato_engine.settings import EngineSettings
from sfumato_engine.start.start_picture import _layout, start_from
from sfumato_engine.start.view import View
from sfumato_pictures.reading import read_picture

from ..conftest import Workbench
from ..test_generate import pixels
from .pictures import left_and_right, mask, plain


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return left_and_right(tmp_path / "start.png")


def as_model_shows(workbench: Workbench, path: Path) -> numpy.ndarray:
    """A picture as it comes out of the tiny model's autoencoder, which keeps one colour of 8x8 pixels."""
    whole = torch.from_numpy(numpy.array(Image.open(path).convert("RGB"), dtype=numpy.float32) / 255)
    model = workbench.model
    shown = model.decode(model.encode(whole.permute(2, 0, 1)[None]))
    return (shown[0].permute(1, 2, 0) * 255).round().numpy().astype(int)


def test_strength_0_gives_the_picture_back(workbench: Workbench, picture: Path) -> None:
    result = workbench.generate(seed=1, img2img=Img2Img(image=picture, denoising_strength=0))
    assert abs(pixels(result.images[0].path) - as_model_shows(workbench, picture)).max() <= 1
    assert workbench.model.batches == []


def test_the_picture_gives_its_size_where_none_is_asked_for(workbench: Workbench, tmp_path: Path) -> None:
    wide = plain(tmp_path / "wide.png", (70, 40))
    result = workbench.generate(seed=1, img2img=Img2Img(image=wide))
    assert (result.images[0].width, result.images[0].height) == (64, 32)


def test_more_strength_leads_further_from_the_picture(workbench: Workbench, picture: Path) -> None:
    distances = []
    for strength in (0.1, 0.5, 1.0):
        start = Img2Img(image=picture, denoising_strength=strength)
        drawn = pixels(workbench.generate(seed=1, steps=10, img2img=start).images[0].path)
        distances.append(abs(drawn - as_model_shows(workbench, picture)).mean())
    assert distances == sorted(set(distances))


def test_only_the_share_of_the_steps_is_run_unless_all_are_asked_for(
    workbench: Workbench, picture: Path
) -> None:
    for all_steps, run in ((False, 6), (True, 10)):
        start = Img2Img(image=picture, denoising_strength=0.5, all_steps=all_steps)
        workbench.generate(seed=1, steps=10, cfg_scale=1.0, img2img=start)
        assert len(workbench.model.batches) == run
        workbench.model.batches.clear()


def test_pictures_of_a_batch_are_the_same_alone(workbench: Workbench, picture: Path) -> None:
    start = {"img2img": Img2Img(image=picture, denoising_strength=0.6)}
    together = workbench.generate(seed=5, batch_size=3, **start).images
    for number, image in enumerate(together):
        alone = workbench.generate(seed=5 + number, **start).images[0]
        assert abs(pixels(alone.path) - pixels(image.path)).max() <= 1


@pytest.mark.parametrize("content", ["original", "fill", "latent_noise", "latent_nothing"])
@pytest.mark.parametrize("area", ["whole_picture", "only_masked"])
def test_what_is_not_masked_stays_to_the_bit(
    workbench: Workbench, picture: Path, tmp_path: Path, content: Any, area: Any
) -> None:
    half = mask(tmp_path / "mask.png", (16, 0, 32, 32))
    inpaint = Inpaint(mask=half, content=content, area=area, blur=0, padding=4)
    result = workbench.generate(
        "blue",
        seed=2,
        width=32,
        height=32,
        img2img=Img2Img(image=picture, denoising_strength=1.0),
        inpaint=inpaint,
    )
    drawn, original = pixels(result.images[0].path), pixels(picture)
    assert (drawn[:, :16] == original[:, :16]).all()
    assert abs(drawn[:, 16:] - original[:, 16:]).mean() > 5


def test_an_inverted_mask_paints_the_other_half(workbench: Workbench, picture: Path, tmp_path: Path) -> None:
    half = mask(tmp_path / "mask.png", (16, 0, 32, 32))
    start = Img2Img(image=picture, denoising_strength=1.0)
    drawn = pixels(
        workbench.generate(seed=2, img2img=start, inpaint=Inpaint(mask=half, invert=True, blur=0))
        .images[0]
        .path
    )
    assert (drawn[:, 16:] == pixels(picture)[:, 16:]).all()
    assert (drawn[:, :16] != pixels(picture)[:, :16]).any()


def test_masked_contents_start_from_different_latents(
    workbench: Workbench, picture: Path, tmp_path: Path
) -> None:
    half = mask(tmp_path / "mask.png", (16, 0, 32, 32))
    start = Img2Img(image=picture, denoising_strength=0.4)
    drawn = [
        pixels(
            workbench.generate(seed=2, img2img=start, inpaint=Inpaint(mask=half, content=c)).images[0].path
        )
        for c in ("original", "fill", "latent_noise", "latent_nothing")
    ]
    for one in range(4):
        for other in range(one):
            assert (drawn[one] != drawn[other]).any()


def test_only_masked_draws_the_masked_part_alone_at_the_size_asked_for(
    workbench: Workbench, tmp_path: Path
) -> None:
    large = left_and_right(tmp_path / "large.png", (200, 120))
    spot = mask(tmp_path / "mask.png", (150, 60, 170, 80), (200, 120))
    inpaint = Inpaint(mask=spot, area="only_masked", padding=6)
    result = workbench.generate(
        seed=2, width=64, height=64, img2img=Img2Img(image=large, denoising_strength=1.0), inpaint=inpaint
    )
    drawn, before = pixels(result.images[0].path), pixels(large)
    assert drawn.shape == before.shape
    changed = numpy.argwhere((drawn != before).any(axis=2))
    assert changed.size
    assert (changed.min(axis=0) >= (40, 130)).all()
    assert (changed.max(axis=0) <= (100, 190)).all()


def test_a_mask_of_half_the_size_is_enlarged_to_the_picture(
    workbench: Workbench, picture: Path, tmp_path: Path
) -> None:
    small = mask(tmp_path / "mask.png", (8, 0, 16, 16), (16, 16))
    start = Img2Img(image=picture, denoising_strength=1.0)
    drawn = pixels(
        workbench.generate(seed=2, img2img=start, inpaint=Inpaint(mask=small, blur=0)).images[0].path
    )
    assert (drawn[:, :8] == pixels(picture)[:, :8]).all()


@pytest.mark.parametrize("opacity", [130, 255])
def test_a_mask_of_opacity_is_all_or_nothing(
    workbench: Workbench, picture: Path, tmp_path: Path, opacity: int
) -> None:
    brush = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    brush.paste((0, 0, 0, opacity), (16, 0, 32, 32))
    brush.save(tmp_path / "brush.png")
    white = mask(tmp_path / "white.png", (16, 0, 32, 32))
    start = Img2Img(image=picture, denoising_strength=1.0)
    drawn = [
        pixels(workbench.generate(seed=2, img2img=start, inpaint=Inpaint(mask=path)).images[0].path)
        for path in (tmp_path / "brush.png", white)
    ]
    assert (drawn[0] == drawn[1]).all()


def test_a_mask_of_other_proportions_is_refused(workbench: Workbench, picture: Path, tmp_path: Path) -> None:
    wide = mask(tmp_path / "mask.png", (0, 0, 8, 8), (64, 32))
    with pytest.raises(BadInput, match="does not belong to the picture"):
        workbench.generate(seed=1, img2img=Img2Img(image=picture), inpaint=Inpaint(mask=wide))


@pytest.mark.parametrize("area", ["whole_picture", "only_masked"])
@pytest.mark.parametrize(
    ("box", "blur", "why"),
    [
        (None, 0, "The mask is all black"),
        ((5, 5, 6, 6), 64, "Softened over 64 pixels, nothing of the mask is left"),
        ((5, 5, 6, 6), 3, "What is white of the mask is too small"),
    ],
)
def test_a_mask_that_would_change_nothing_is_refused(
    workbench: Workbench, picture: Path, tmp_path: Path, area: Any, box: Any, blur: float, why: str
) -> None:
    inpaint = Inpaint(mask=mask(tmp_path / "mask.png", box), area=area, blur=blur)
    with pytest.raises(BadInput, match=rf"nothing to paint anew\. {why}"):
        workbench.generate(seed=1, width=32, height=32, img2img=Img2Img(image=picture), inpaint=inpaint)


def test_a_stroke_thinner_than_a_latent_is_painted(
    workbench: Workbench, picture: Path, tmp_path: Path
) -> None:
    thin = mask(tmp_path / "thin.png", (4, 6, 28, 9))
    start = Img2Img(image=picture, denoising_strength=1.0)
    request = {"seed": 2, "width": 32, "height": 32, "img2img": start}
    whole = pixels(workbench.generate(**request).images[0].path)
    drawn = pixels(workbench.generate(**request, inpaint=Inpaint(mask=thin, blur=0)).images[0].path)
    given = numpy.asarray(read_picture(picture).colours.resize((32, 32))).astype(int)
    assert abs(drawn - given)[12:].max() <= 2
    assert abs(drawn - whole)[7, 6:26].mean() < abs(given - whole)[7, 6:26].mean() / 2


def test_only_masked_keeps_the_proportions_of_a_picture_that_is_too_narrow(
    workbench: Workbench, tmp_path: Path
) -> None:
    flat = left_and_right(tmp_path / "flat.png", (96, 32))
    whole = mask(tmp_path / "mask.png", (0, 0, 96, 32), (96, 32))
    start = Img2Img(image=flat, denoising_strength=0)
    request = GenerationRequest(
        img2img=start, inpaint=Inpaint(mask=whole, area="only_masked", blur=0), width=96, height=96
    )
    layout, _, _ = _layout(request, start, Image.open(flat), (96, 96))
    assert layout.picture.crop((0, 32, 96, 64)).tobytes() == Image.open(flat).tobytes()
    assert layout.overlay is not None
    assert layout.overlay.over(layout.picture).tobytes() == Image.open(flat).tobytes()


def test_latents_beside_latent_noise_know_nothing_of_what_lay_beneath_the_mask(
    workbench: Workbench, tmp_path: Path
) -> None:
    spot = mask(tmp_path / "mask.png", (12, 0, 32, 32))
    drawn = []
    for colour in ((255, 0, 0), (0, 0, 255)):
        picture = Image.new("RGB", (32, 32), (90, 90, 90))
        picture.paste(colour, (12, 0, 32, 32))
        picture.save(tmp_path / "start.png")
        workbench.generate(
            seed=1,
            img2img=Img2Img(image=tmp_path / "start.png", denoising_strength=0.5),
            inpaint=Inpaint(mask=spot, content="latent_nothing", blur=0),
        )
        start = start_from(
            GenerationRequest(
                img2img=Img2Img(image=tmp_path / "start.png"),
                inpaint=Inpaint(mask=spot, content="latent_nothing", blur=0),
            ),
            workbench.model,
            (32, 32),
            workbench.context,
        )
        assert start is not None
        drawn.append(start.latents)
    assert torch.equal(drawn[0], drawn[1])


def test_greys_of_the_mask_are_seen_by_inpainting_models_only_where_they_count(tmp_path: Path) -> None:
    grey = Image.new("L", (16, 16), 100)
    shown: list[torch.Tensor] = []
    model: Any = SimpleNamespace(
        info=SimpleNamespace(sees_picture=True),
        device="cpu",
        see=lambda pixels, covered: shown.append(covered),
    )
    for greys in (False, True):
        View(Image.new("RGB", (16, 16)), grey, greys=greys).shown_to(model)
    assert [float(covered.mean()) for covered in shown] == pytest.approx([0, 100 / 255])


@pytest.mark.parametrize("name", ["no_such.png", "text.png"])
def test_what_is_no_picture_is_refused_before_anything_is_drawn(
    workbench: Workbench, tmp_path: Path, name: str
) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(BadInput, match=name):
        workbench.generate(seed=1, img2img=Img2Img(image=tmp_path / name))
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_soft_inpainting_keeps_what_is_far_from_the_mask(workbench: Workbench, tmp_path: Path) -> None:
    picture = left_and_right(tmp_path / "start.png", (128, 64))
    soft_mask = mask(tmp_path / "mask.png", (80, 0, 128, 64), (128, 64))
    result = workbench.generate(
        "blue",
        seed=2,
        steps=8,
        img2img=Img2Img(image=picture, denoising_strength=1.0),
        inpaint=Inpaint(mask=soft_mask, blur=8, soft=SoftInpaint()),
    )
    drawn, before = pixels(result.images[0].path), pixels(picture)
    assert (abs(drawn[:, :32] - before[:, :32]) <= 1).all()
    assert abs(drawn[:, 112:] - before[:, 112:]).mean() > 5


def test_large_start_pictures_are_encoded_in_parts(workbench: Workbench, tmp_path: Path) -> None:
    picture = left_and_right(tmp_path / "start.png", (192, 128))
    drawn = []
    for tiling, parts in (("never", 1), ("always", 6)):
        workbench.settings = EngineSettings(vae_tiling=tiling, vae_tile=64, vae_overlap=16)
        result = workbench.generate(seed=1, img2img=Img2Img(image=picture, denoising_strength=0.5))
        drawn.append(pixels(result.images[0].path))
        assert len(workbench.model.pictures) >= parts
        workbench.model.pictures.clear()
    assert abs(drawn[0] - drawn[1]).max() <= 1


@pytest.mark.parametrize(
    ("size", "sides", "box"),
    [
        ((64, 64), {"right": 32, "bottom": 16}, (0, 0, 52, 52)),
        ((50, 37), {"left": 20, "top": 10}, (32, 22, 70, 47)),
        ((100, 75), {"right": 3}, (0, 0, 90, 75)),
    ],
)
def test_outpainting_adds_as_much_room_as_asked_for_and_keeps_the_picture(
    workbench: Workbench, tmp_path: Path, size: tuple[int, int], sides: dict, box: tuple[int, int, int, int]
) -> None:
    picture = left_and_right(tmp_path / "start.png", size)
    result = workbench.generate(
        "blue",
        seed=2,
        img2img=Img2Img(image=picture, denoising_strength=1.0),
        outpaint=Outpaint(**sides, blur=2),
    )
    drawn = Image.open(result.images[0].path)
    left, top = sides.get("left", 0), sides.get("top", 0)
    assert drawn.size == (
        left + size[0] + sides.get("right", 0),
        top + size[1] + sides.get("bottom", 0),
    )
    inside = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
    assert drawn.crop(box).tobytes() == Image.open(picture).crop(inside).tobytes()


def test_outpainting_without_a_side_is_refused(workbench: Workbench, picture: Path) -> None:
    with pytest.raises(BadInput, match="No side is to be carried on"):
        workbench.generate(seed=1, img2img=Img2Img(image=picture), outpaint=Outpaint())


def test_colour_correction_brings_the_colours_of_the_picture_back_and_leaves_the_brightness(
    workbench: Workbench, picture: Path
) -> None:
    def drawn(correct: bool) -> Image.Image:
        start = Img2Img(image=picture, denoising_strength=1.0, color_correction=correct)
        return Image.open(workbench.generate(seed=4, steps=6, img2img=start).images[0].path).convert("YCbCr")

    def far_from_picture(image: Image.Image, channel: int) -> float:
        both = (image, Image.open(picture).convert("YCbCr"))
        one, other = (numpy.sort(numpy.asarray(each.getchannel(channel)).ravel()) for each in both)
        return float(abs(one.astype(int) - other).mean())

    corrected, plain_one = drawn(True), drawn(False)
    for channel in (1, 2):
        assert far_from_picture(corrected, channel) < far_from_picture(plain_one, channel) / 2
    brightness = [numpy.asarray(each.getchannel(0)).astype(int) for each in (corrected, plain_one)]
    assert abs(brightness[0] - brightness[1]).mean() < 3


def test_transparent_parts_are_laid_on_the_background(workbench: Workbench, tmp_path: Path) -> None:
    path = tmp_path / "clear.png"
    Image.new("RGBA", (32, 32), (255, 0, 0, 0)).save(path)
    start = Img2Img(image=path, denoising_strength=0, background="#204060")
    drawn = pixels(workbench.generate(seed=1, img2img=start).images[0].path)
    assert abs(drawn - numpy.array([0x20, 0x40, 0x60])).max() <= 1
    assert read_picture(path).alpha is not None

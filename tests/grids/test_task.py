"""Grids drawn by the embedded model: all cells once, in whatever way the work is cut short."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfumato.errors import BadInput, Cancelled
from sfumato.events import CancelToken, Event, ImageSaved, StepCompleted, Warned
from sfumato.request import GridRequest
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato_grids.records import GridProgress, GridResult
from sfumato_pictures import infotext
from sfumato_pictures.reading import read_metadata

from .conftest import Drawing, apples, axis, pixels


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not path.name.startswith("."))


def drawn_pictures(result: GridResult) -> list[np.ndarray]:
    return [pixels(cell.images[0].path) for cell in result.cells]


def test_cells_are_what_their_requests_draw_alone(draw: Drawing, tmp_path: Path) -> None:
    result = draw(GridRequest(base=apples(), x=axis("steps", "1-2"), y=axis("Prompt S/R", "red", "blue")))
    for cell in result.cells:
        color = ("red", "blue")[cell.row]
        alone = draw.studio.generate(
            f"a {color} apple", seed=5, steps=cell.column + 1, output_folder=tmp_path / "alone"
        )
        assert np.array_equal(pixels(cell.images[0].path), pixels(alone.images[0].path))
    assert [cell.labels for cell in result.cells][1] == ("Steps: 2", "red", "")


def test_a_sheet_has_every_picture_at_its_place(draw: Drawing) -> None:
    grid = GridRequest(
        base=apples(), x=axis("steps", "1-3"), y=axis("seed", "1-2"), z=axis("CFG Scale", "1", "4"),
        legend=False,
    )  # fmt: skip
    result = draw(grid)
    at = {(cell.column, cell.row, cell.sheet): pixels(cell.images[0].path) for cell in result.cells}
    blocks = [np.block([[[at[x, y, z]] for x in range(3)] for y in range(2)]) for z in range(2)]
    first, second, whole = (pixels(sheet.path) for sheet in result.sheets)
    assert np.array_equal(first, blocks[0])
    assert np.array_equal(second, blocks[1])
    assert np.array_equal(whole, np.hstack(blocks))


def test_legends_and_margins_surround_the_same_pictures(draw: Drawing) -> None:
    result = draw(GridRequest(base=apples(), x=axis("steps", "1-2"), y=axis("Sampler", "Euler"), margin=10))
    (sheet,) = (pixels(sheet.path) for sheet in result.sheets)
    one, other = drawn_pictures(result)
    assert np.array_equal(sheet[-64:, -64:], other)
    assert np.array_equal(sheet[-64:, -138:-74], one)
    assert sheet.shape[0] > 64
    assert (sheet[:-64] < 128).any()  # ink


def test_the_infotext_of_a_sheet_tells_the_axes_as_a1111_does(draw: Drawing) -> None:
    result = draw(GridRequest(base=apples(), x=axis("steps", "1-2"), z=axis("Var. seed", "3", "4")))
    texts = [infotext.read(read_metadata(sheet.path).parameters).fields for sheet in result.sheets]
    assert [text["Script"] for text in texts] == ["X/Y/Z plot"] * 3
    assert (texts[0]["X Type"], texts[0]["X Values"], texts[0]["Steps"]) == ("Steps", "1-2", "1")
    assert ["Z Type" in text for text in texts] == [False, False, True]
    assert texts[2]["Z Values"] == "3,4"


def test_pictures_of_several_sizes_stand_on_one_sheet(draw: Drawing) -> None:
    result = draw(GridRequest(base=apples(), x=axis("Size", "32x64", "64x32"), legend=False))
    assert pixels(result.sheets[0].path).shape == (64, 128, 3)
    assert [(cell.images[0].width, cell.images[0].height) for cell in result.cells] == [(32, 64), (64, 32)]


def test_dear_changes_come_first_and_the_layout_stays_as_asked(draw: Drawing) -> None:
    result = draw(GridRequest(base=apples(), x=axis("Prompt S/R", "red", "blue"), y=axis("steps", "1-3")))
    saved = [event.image for event in draw.events if isinstance(event, ImageSaved)][:6]
    prompts = [image.request.prompt for image in saved]
    assert sum(one != other for one, other in pairwise(prompts)) == 1
    assert [(cell.column, cell.row) for cell in result.cells] == [(x, y) for y in range(3) for x in range(2)]


def test_progress_counts_the_cells_that_are_drawn(draw: Drawing) -> None:
    draw(GridRequest(base=apples(), x=axis("steps", "1", "2", "2", "3")))
    told = [event for event in draw.events if isinstance(event, GridProgress)]
    assert [(event.cell, event.cells) for event in told] == [(1, 3), (2, 3), (3, 3)]
    assert [event.detail for event in told][2] == "cell 3 of 3"
    assert told[0].seconds_left is None
    assert told[2].seconds_left is not None
    assert told[2].labels[0] == "Steps: 3"


def test_a_grid_given_again_draws_nothing_again(draw: Drawing) -> None:
    grid = GridRequest(base=apples(seed=-1), x=axis("steps", "1-2"))
    first = draw(grid)
    before = files(draw.folder)
    draw.events.clear()
    second = draw(grid)
    assert files(draw.folder) == before
    assert [cell.images for cell in second.cells] == [cell.images for cell in first.cells]
    assert second.sheets == first.sheets
    assert all(cell.from_before for cell in second.cells)
    assert not any(isinstance(event, StepCompleted) for event in draw.events)
    assert "2 of 2 cells were drawn before" in second.warnings[0]


def test_a_picture_taken_away_is_drawn_again_with_the_same_seed(draw: Drawing) -> None:
    grid = GridRequest(base=apples(seed=-1), x=axis("steps", "1-2"))
    first = draw(grid)
    gone = first.cells[1].images[0]
    kept = pixels(gone.path)
    gone.path.unlink()
    again = draw(grid).cells[1].images[0]
    assert again.seed == gone.seed
    assert np.array_equal(pixels(again.path), kept)


def test_a_fresh_grid_draws_all_anew(draw: Drawing) -> None:
    grid = GridRequest(base=apples(), x=axis("steps", "1-2"))
    draw(grid)
    fresh = draw(grid.model_copy(update={"resume": False}))
    assert not any(cell.from_before for cell in fresh.cells)
    assert len(files(draw.folder)) == 6


def test_a_stop_keeps_what_is_done_and_the_next_run_goes_on(draw: Drawing) -> None:
    grid, cancel = GridRequest(base=apples(), x=axis("steps", "1-3")), CancelToken()

    def stop(event: Event) -> None:
        if isinstance(event, GridProgress) and event.cell == 3:
            cancel.cancel()

    with pytest.raises(Cancelled):
        draw(grid, on_event=stop, cancel=cancel)
    assert len(files(draw.folder)) == 2
    result = draw(grid)
    assert [cell.from_before for cell in result.cells] == [True, True, False]


def test_a_picture_saved_just_before_a_crash_is_not_drawn_twice(draw: Drawing) -> None:
    grid = GridRequest(base=apples(count=2), x=axis("steps", "1-3"), sheets=False)
    saved: list[Event] = []

    def crash(event: Event) -> None:
        saved.extend([event] * isinstance(event, ImageSaved))
        if len(saved) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw(grid, on_event=crash)
    result = draw(grid)
    assert len(files(draw.folder)) == 6
    assert [cell.from_before for cell in result.cells] == [True, True, False]
    assert [image.seed for image in result.cells[1].images] == [5, 6]
    assert [image.request.steps for image in result.cells[1].images] == [2, 2]


def test_a_cell_that_fails_leaves_its_place_empty_and_the_others_are_drawn(draw: Drawing) -> None:
    grid = GridRequest(base=apples(), x=axis("lora", "", "not_there"), y=axis("steps", "1-2"), legend=False)
    result = draw(grid)
    assert [bool(cell.images) for cell in result.cells] == [True, False, True, False]
    assert len(result.failed) == 2
    assert all("not_there" in cell.error for cell in result.failed)
    assert sum("not_there" in message for message in result.warnings) == 2
    sheet = pixels(result.sheets[0].path)
    assert np.array_equal(sheet[:64, :64], pixels(result.cells[0].images[0].path))
    assert (sheet[:64, 64:].min(axis=2) > 100).mean() > 0.5  # paper with a reason on it
    assert [cell.from_before for cell in draw(grid).cells] == [True, False, True, False]


def test_a_lora_and_its_weight_are_axes(draw: Drawing) -> None:
    grid = GridRequest(
        base=apples(steps=3), x=axis("lora", "None", "all_blue"), y=axis("lora_weight", "0", "1")
    )
    without, zero, _, blue = drawn_pictures(draw(grid))
    assert np.array_equal(without, zero)
    redness = [float(picture[..., 0].mean()) - float(picture[..., 2].mean()) for picture in (without, blue)]
    assert redness[0] > redness[1]


def test_a_grid_that_cannot_be_leaves_nothing_behind(draw: Drawing) -> None:
    grid = GridRequest(
        base=apples(), x=axis("steps", "0"), y=axis("Sampler", "Eulr"), z=axis("model", "emji")
    )
    with pytest.raises(BadInput) as caught:
        draw(grid)
    assert all(part in caught.value.why for part in ("steps '0'", "'Eulr'", "'emji'", "Did you mean emoji"))
    assert not draw.folder.exists()


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("model_options.guidance", "much", "model_options.guidance 'much'"),
        ("model_options.guidanc", "1", "guidanc"),
        ("sampler_options.etta", "1", "etta"),
        ("stages.film_grain.amount", "1", "film_grain"),
        ("hires.upscaler", "Latnt", "Latnt"),
        ("Schedule type", "karas", "karas"),
        ("face_restorer", "gfpgan", "gfpgan"),
        ("Styles", "no such style", "no such style"),
    ],
)
def test_options_and_names_are_checked_before_drawing(
    draw: Drawing, field: str, value: str, told: str
) -> None:
    with pytest.raises(BadInput, match=told):
        draw(GridRequest(base=apples(), x=axis(field, value)))


def test_a_matrix_is_drawn_with_a_sheet(draw: Drawing) -> None:
    result = draw(GridRequest(base=apples(prompt="an apple|red|on a mat"), matrix={}, legend=False))
    one, other, third, fourth = drawn_pictures(result)
    sheet = np.block([[[one], [other]], [[third], [fourth]]])
    assert np.array_equal(pixels(result.sheets[0].path), sheet)
    assert "prompt_matrix" in result.sheets[0].path.name


def test_prompts_are_drawn_without_a_sheet_unless_one_is_wanted(draw: Drawing) -> None:
    prompts = {"lines": ("a fig", "--prompt a pear --steps 2")}
    result = draw(GridRequest(base=apples(prompt=""), prompts=prompts))
    assert [cell.images[0].request.steps for cell in result.cells] == [1, 2]
    assert result.sheets == ()
    assert len(draw(GridRequest(base=apples(prompt=""), prompts=prompts, sheets=True)).sheets) == 1


def test_results_of_a_folder_are_named_as_its_pictures(draw: Drawing, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("one [x].png", "two.jpg"):
        Image.new("RGB", (64, 48), "red").save(tmp_path / "in" / name)
    (tmp_path / "in" / "broken.png").write_bytes(b"no picture")
    base = apples(img2img={"image": tmp_path / "in", "denoising_strength": 0.5}, steps=2)
    result = draw(GridRequest(base=base, pictures={"folder": tmp_path / "in"}))
    assert [cell.images[0].path.name for cell in result.cells if cell.images] == ["one (x).png", "two.png"]
    assert [cell.labels for cell in result.failed] == [("broken.png",)]
    assert "no picture" in result.failed[0].error
    assert (result.cells[1].images[0].width, result.cells[1].images[0].height) == (64, 48)


def test_settings_decide_the_format_of_sheets_and_whether_there_are_any(
    draw: Drawing, tmp_path: Path
) -> None:
    grid = GridRequest(base=apples(), x=axis("steps", "1"))
    overrides = {"engine.device": "cpu", "saving.grid_format": "webp"}
    webp = Studio(Settings.load(file=tmp_path / "none.toml", environ={}, overrides=overrides))
    assert draw(grid, studio=webp).sheets[0].path.suffix == ".webp"
    without = overrides | {"saving.save_grids": "false"}
    none = Studio(Settings.load(file=tmp_path / "none.toml", environ={}, overrides=without))
    assert draw(grid.model_copy(update={"margin": 1}), studio=none).sheets == ()


def test_warnings_of_cells_are_the_grids_too(draw: Drawing) -> None:
    result = draw(GridRequest(base=apples(negative_prompt="x", cfg_scale=1), x=axis("steps", "1-2")))
    told = [event.message for event in draw.events if isinstance(event, Warned)]
    assert len(result.warnings) == 1
    assert result.warnings[0] in told

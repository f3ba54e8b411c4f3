"""The task from end to end, on a tiny exact model and the real samplers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfumato.errors import BadInput, Cancelled, SfumatoError
from sfumato.events import Event, ImageSaved, PhaseStarted, StepCompleted, Warned
from sfumato.models import PromptText
from sfumato_engine.settings import EngineSettings
from sfumato_pictures import infotext
from sfumato_pictures.settings import SavingSettings

from .conftest import Workbench
from .gaussian_model import OneModelLibrary

EMPTY_HASH = "e3b0c44298"
"""How the SHA-256 of a file without content begins."""


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral", "dpmpp_sde", "dpmpp_2m_sde"])
def test_a_seed_gives_the_same_picture_at_any_batch_size_and_position(
    workbench: Workbench, sampler: str
) -> None:
    alone = workbench.generate(seed=12, sampler=sampler)
    middle = workbench.generate(seed=11, batch_size=3, sampler=sampler)
    later = workbench.generate(seed=10, batch_size=1, count=3, sampler=sampler)
    expected = pixels(alone.images[0].path)
    for picture in (middle.images[1], later.images[2]):
        assert picture.seed == 12
        assert np.abs(pixels(picture.path) - expected).max() <= 1


def test_pictures_differ_by_seed_and_by_prompt(workbench: Workbench) -> None:
    seeds = workbench.generate(seed=1, batch_size=2)
    other = workbench.generate("a blue ball", seed=1)
    first, second, third = (pixels(image.path) for image in (*seeds.images, *other.images))
    assert (first != second).any()
    assert (first != third).any()


def test_a_picture_tells_how_it_was_made(workbench: Workbench) -> None:
    record = workbench.generate("a red apple", negative_prompt="blue", seed=3, sampler="euler_a",
                                sampler_options={"eta": 0.5}).images[0]  # fmt: skip
    with Image.open(record.path) as image:
        assert image.info["parameters"] == record.infotext
        story = json.loads(image.info["sfumato"])
    fields = infotext.read(record.infotext).fields
    assert fields["Sampler"] == "Euler a"
    assert fields["Schedule type"] == "Flow"
    assert (fields["Eta"], fields["CFG scale"], fields["Size"], fields["RNG"]) == (
        "0.5",
        "2.0",
        "32x32",
        "CPU",
    )
    assert (fields["Model"], fields["Model hash"]) == ("gauss", EMPTY_HASH)
    assert story["request"]["sampler_options"] == {"eta": 0.5}
    assert story["seed"] == 3
    assert {"sfumato", "plugins", "torch", "python"} <= story["environment"].keys()


def test_the_stored_request_makes_the_same_picture_again(workbench: Workbench) -> None:
    record = workbench.generate(
        seed=3, sampler="dpmpp_sde", scheduler="karras", sampler_options={"r": 0.4}
    ).images[0]
    with Image.open(record.path) as image:
        stored = json.loads(image.info["sfumato"])["request"]
    again = workbench.generate(stored.pop("prompt"), **stored).images[0]
    assert (pixels(again.path) == pixels(record.path)).all()


@pytest.mark.parametrize(("variant", "expected"), [("dev", "3.5"), ("schnell", None)])
def test_distilled_guidance_is_written_only_for_variants_that_have_it(
    tmp_path: Path, variant: str, expected: str | None
) -> None:
    record = Workbench(tmp_path, variant=variant).generate(seed=1).images[0]
    assert infotext.read(record.infotext).fields.get("Distilled CFG Scale") == expected


def test_events_tell_the_way_of_a_picture(workbench: Workbench) -> None:
    workbench.generate(seed=1, steps=2, count=2)
    told = [event.phase if isinstance(event, PhaseStarted) else event.kind for event in workbench.events]
    batch = ["sampling", "step_completed", "step_completed", "decoding", "image_saving", "image_saved"]
    assert told == ["loading", "encoding", *batch, *batch, "work_measured"]
    last = [event for event in workbench.events if isinstance(event, StepCompleted)][-1]
    assert (last.step, last.steps, last.batch, last.batches, last.seconds_left) == (2, 2, 1, 2, 0)


def test_previews_arrive_while_sampling(workbench: Workbench) -> None:
    workbench.settings = EngineSettings(preview_every=2)
    workbench.generate(seed=1, steps=4, batch_size=2)
    counts = [len(event.preview) for event in workbench.events if isinstance(event, StepCompleted)]
    assert counts == [0, 2, 0, 2]


def test_cancelling_keeps_finished_pictures_and_stops_at_the_next_step(workbench: Workbench) -> None:
    def cancel_in_the_second_batch(event: Event) -> None:
        if isinstance(event, StepCompleted) and event.batch == 1 and event.step == 2:
            workbench.cancel.cancel()

    workbench.on_event = cancel_in_the_second_batch
    with pytest.raises(Cancelled):
        workbench.generate(seed=1, steps=5, count=3)
    assert isinstance(workbench.events[-1], StepCompleted)
    saved = [event.image.path for event in workbench.events if isinstance(event, ImageSaved)]
    assert [path.name for path in saved] == ["00001-1.png"]
    assert sorted((workbench.folder / "out").iterdir()) == saved


def test_drawing_does_not_end_before_what_runs_beside_it(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []

    def slow_sha256(library: OneModelLibrary, path: Path) -> str:
        time.sleep(0.5)
        hashed.append(path)
        return ""

    monkeypatch.setattr(OneModelLibrary, "sha256", slow_sha256)
    workbench.on_event = lambda event: isinstance(event, StepCompleted) and workbench.cancel.cancel()
    with pytest.raises(Cancelled):
        workbench.generate(seed=1)
    assert hashed == [workbench.model_file]


def test_a_prompt_is_encoded_once_and_the_model_loaded_once(workbench: Workbench) -> None:
    workbench.generate("a (red:1.5) apple", seed=1)
    model = workbench.model
    workbench.generate("a (red:1.5) apple", seed=2, steps=3, model_options={"guidance": 2.0})
    assert workbench.model is model
    assert model.encoded == [
        PromptText(((("a ", 1.0), ("red", 1.5), (" apple", 1.0)),)),
        PromptText(((("", 1.0),),), is_negative=True),
    ]
    workbench.generate("a (red:1.5) apple", seed=1, model_options={"length": 4})
    assert len(model.encoded) == 4


def test_a_changed_file_or_compute_type_is_loaded_anew(workbench: Workbench) -> None:
    workbench.generate(seed=1)
    first = workbench.model
    workbench.generate(seed=1, model_options={"body_dtype": "bfloat16"})
    assert workbench.model is not first
    assert workbench.model.placement.part_dtypes == {"body": "bfloat16"}
    workbench.model_file.write_bytes(b"other weights")
    second = workbench.model
    workbench.generate(seed=1, model_options={"body_dtype": "bfloat16"})
    assert workbench.model is not second


def test_a_model_folder_may_hold_links_to_nowhere(workbench: Workbench) -> None:
    workbench.model_file.unlink()
    workbench.model_file.mkdir()
    (workbench.model_file / "weights.bin").symlink_to(workbench.folder / "nowhere")
    workbench.generate(seed=1)


def test_a_picture_is_saved_although_its_model_cannot_be_hashed(workbench: Workbench) -> None:
    workbench.model_file.unlink()
    result = workbench.generate(seed=1, count=2)
    assert [image.path.name for image in result.images] == ["00001-1.png", "00002-2.png"]
    assert "Model hash" not in infotext.read(result.images[0].infotext).fields
    told = [event.message for event in workbench.events if isinstance(event, Warned)]
    assert told == list(result.warnings)
    assert len(told) == 1
    assert "gauss.safetensors" in told[0]


@pytest.mark.parametrize(
    ("side", "batch_size", "evaluated", "decoded"),
    [(352, 1, 2, [1]), (352, 2, 2, [1, 1]), (368, 1, 1, [1]), (32, 3, 6, [3])],
)
def test_small_work_is_done_side_by_side_and_large_one_after_another(
    workbench: Workbench, side: int, batch_size: int, evaluated: int, decoded: list[int]
) -> None:
    workbench.generate(seed=1, steps=1, width=side, height=side, batch_size=batch_size, cfg_scale=2)
    assert set(workbench.model.batches) == {evaluated}
    assert workbench.model.decoded == decoded


def test_at_cfg_scale_one_the_negative_prompt_is_not_encoded_but_warned_about(workbench: Workbench) -> None:
    result = workbench.generate(seed=1, cfg_scale=1, negative_prompt="blue")
    assert len(workbench.model.encoded) == 1
    assert result.warnings
    assert [event.message for event in workbench.events if isinstance(event, Warned)] == list(result.warnings)


@pytest.mark.parametrize(
    "prompt",
    [
        "../../etc/passwd",
        "a\nNegative prompt: b\nSteps: 1, Seed: 2, Size: 3x3",
        "nul \0 and \udcff",
        '"},{"x',
        "字" * 50_000,
    ],
)
def test_hostile_prompts_make_readable_pictures_in_their_folder(workbench: Workbench, prompt: str) -> None:
    workbench.settings = EngineSettings(file_name="{prompt}")
    record = workbench.generate(prompt, seed=1).images[0]
    assert record.path.parent == workbench.folder / "out"
    with Image.open(record.path) as image:
        assert json.loads(image.info["sfumato"])["request"]["prompt"] == record.request.prompt
        assert image.info["parameters"] == record.infotext


@pytest.mark.parametrize("fields", [{"width": 40}, {"height": 100}, {"sampler": "oiler"}, {"model": "none"}])
def test_bad_requests_leave_nothing_behind(workbench: Workbench, fields: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        workbench.generate(**fields)
    out = workbench.folder / "out"
    assert not out.exists() or not list(out.iterdir())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "cuda:99"}, "cuda:99"),
        ({"dtype": "float16"}, "float16"),
    ],
)
def test_devices_and_types_that_cannot_be_used_are_told(
    workbench: Workbench, settings: dict[str, str], message: str
) -> None:
    workbench.settings = EngineSettings(**{"device": "cpu", **settings})  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=message):
        workbench.generate(seed=1)


def test_a_picture_of_no_numbers_is_an_error_not_a_black_file(workbench: Workbench) -> None:
    with pytest.raises(SfumatoError, match="NaN"):
        workbench.generate("(a:1e39)" + "(b:9999999999999999999999999999999999999999999999)", seed=1)


def test_a_decoder_that_gives_no_numbers_is_told_apart(workbench: Workbench) -> None:
    workbench.generate(seed=1)
    workbench.model.contrast = float("nan")
    with pytest.raises(SfumatoError, match=r"autoencoder .* bfloat16"):
        workbench.generate(seed=2)
    assert [path.name for path in (workbench.folder / "out").iterdir()] == ["00001-1.png"]


def test_resolving_a_misspelt_name_imports_no_tensor_library() -> None:
    program = "import sys, sfumato_engine.generate, sfumato_engine.plugin, sfumato_engine.settings\n" \
              "sys.exit('torch' in sys.modules or 'PIL' in sys.modules)"  # fmt: skip
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


INTERRUPTED = """
import os, pathlib, signal, sys
from tests.engine.conftest import Workbench
bench = Workbench(pathlib.Path(sys.argv[1]))
bench.on_event = lambda event: event.kind == "image_saved" and os.kill(os.getpid(), signal.SIGINT)
bench.generate(seed=1, count=50)
"""


def test_ctrl_c_keeps_finished_pictures(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, tmp_path], cwd=root, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGINT
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["00001-1.png"]


def test_a_contact_sheet_is_saved_where_the_settings_ask_for_it(workbench: Workbench) -> None:
    assert workbench.generate(seed=1, batch_size=2).sheet is None
    workbench.saving = SavingSettings(save_contact_sheets=True, grid_format="webp")
    assert workbench.generate(seed=1).sheet is None
    result = workbench.generate(seed=1, batch_size=2, count=2)
    assert result.sheet is not None
    assert result.sheet.suffix == ".webp"
    with Image.open(result.sheet) as sheet:
        assert sheet.size == (64, 64)
    workbench.saving = SavingSettings(save_contact_sheets=True, grid_megapixels=1)
    result = workbench.generate(seed=1, batch_size=2, width=1024, height=1024)
    assert (len(result.images), result.sheet) == (2, None)
    assert "no contact sheet" in result.warnings[-1]

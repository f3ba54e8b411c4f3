"""Pictures again: the same to the bit, varied, and what is told when they cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sfumato.errors import BadInput, SfumatoError, UnknownName
from sfumato.replay import CannotReplay, NoStory

from .conftest import ReplayBench, repainted, rewritten, story_of, with_texts


def test_a_picture_is_drawn_again_to_the_bit(bench: ReplayBench) -> None:
    picture = bench.draw("(a red apple:1.2)", negative_prompt="blue", steps=6)
    report = bench.replay(picture)
    assert (report.verdict, report.same, report.source) == ("same", True, "story")
    assert (report.largest_difference, report.differing_share) == (0, 0.0)
    assert report.differences == report.changes == report.not_carried_over == ()
    assert report.record.path != picture
    assert report.record.path.is_file()


@pytest.mark.parametrize(
    "fields", [{"sampler": "euler_a", "sampler_options": {"eta": 0.5}}, {"sampler": "dpmpp_sde"}]
)
def test_noise_on_the_way_is_the_same_again(bench: ReplayBench, fields: dict[str, Any]) -> None:
    assert bench.replay(bench.draw(steps=6, **fields)).verdict == "same"


def test_a_picture_of_a_batch_is_drawn_again_alone(bench: ReplayBench) -> None:
    for image in bench.generate("a red apple", seed=7, batch_size=3, count=2).images:
        report = bench.replay(image.path)
        assert report.same
        assert report.record.seed == image.seed
        assert report.record.request.image_total == 1


def test_a_varied_picture_is_not_compared_but_its_changes_are_told(bench: ReplayBench) -> None:
    report = bench.replay(bench.draw(), steps=9, prompt="a blue car")
    assert (report.verdict, report.largest_difference) == ("varied", None)
    assert [str(change) for change in report.changes] == [
        "steps: 4 then, 9 now",
        "prompt: a red apple then, a blue car now",
    ]
    assert (report.record.request.steps, report.record.request.prompt) == (9, "a blue car")


def test_several_variations_come_at_once(bench: ReplayBench) -> None:
    report = bench.replay(bench.draw(), seed=20, count=3)
    assert [record.seed for record in (report.record, *report.further)] == [20, 21, 22]


def test_what_a_change_leaves_open_is_told_as_it_was_drawn(bench: ReplayBench) -> None:
    report = bench.replay(bench.draw(), seed=-1)
    assert report.changes[0].now == str(report.record.seed)


def test_changes_that_change_nothing_leave_a_comparison(bench: ReplayBench) -> None:
    assert bench.replay(bench.draw(steps=5), steps=5).verdict == "same"


def test_one_option_can_be_changed_and_the_others_stay(bench: ReplayBench) -> None:
    picture = bench.draw(sampler="euler_a", sampler_options={"eta": 0.5, "s_noise": 1.1})
    report = bench.replay(picture, **{"sampler_options.eta": 0.25, "model_options.guidance": 4.0})
    assert report.record.request.sampler_options == {"eta": 0.25, "s_noise": 1.1}
    assert report.record.request.model_options == {"guidance": 4.0}


def test_an_option_or_a_stage_changed_to_nothing_is_taken_out(bench: ReplayBench) -> None:
    picture = bench.draw(sampler="euler_a", sampler_options={"eta": 0.5, "s_noise": 1.1})
    report = bench.replay(picture, **{"sampler_options.eta": None, "stages.fog": None})
    assert report.record.request.sampler_options == {"s_noise": 1.1}
    assert [str(change) for change in report.changes] == ["sampler_options.eta: 0.5 then, nothing now"]


def test_options_that_another_sampler_lacks_are_left_out_and_told(bench: ReplayBench) -> None:
    picture = bench.draw(sampler="euler_a", sampler_options={"eta": 0.5})
    report = bench.replay(picture, sampler="heun")
    assert report.record.request.sampler_options == {}
    assert report.not_carried_over == ("eta: 0.5",)


def test_options_that_are_asked_for_must_fit(bench: ReplayBench) -> None:
    with pytest.raises(UnknownName, match="no sampler option named 'etta'"):
        bench.replay(bench.draw(), **{"sampler_options.etta": 0.5})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stepz": 5}, "Did you mean steps"),
        ({"steps": 0}, "greater than or equal to 1"),
        ({"steps.fine": 3}, "'steps' has no options"),
        ({"sampler": "eulr"}, "Did you mean Euler"),
    ],
)
def test_changes_that_cannot_be_are_bad_input(
    bench: ReplayBench, changes: dict[str, object], message: str
) -> None:
    picture = bench.draw()
    with pytest.raises(BadInput, match=message):
        bench.replay(picture, **changes)


def test_other_pixels_are_measured(bench: ReplayBench) -> None:
    def brighten_a_corner(image: Image.Image) -> Image.Image:
        red, green, blue = image.getpixel((0, 0))  # type: ignore[misc]
        image.putpixel((0, 0), (red, (green + 100) % 256, blue))
        return image

    picture = bench.draw()
    with Image.open(picture) as image:
        green = image.convert("RGB").getpixel((0, 0))[1]  # type: ignore[index]
    report = bench.replay(repainted(picture, brighten_a_corner))
    assert report.verdict == "differs"
    assert report.largest_difference == abs((green + 100) % 256 - green)
    assert report.differing_share == 1 / 1024


def test_one_level_is_rounding(bench: ReplayBench) -> None:
    picture = bench.draw()
    report = bench.replay(repainted(picture, lambda image: image.point(lambda level: level ^ 1)))
    assert (report.verdict, report.same, report.largest_difference) == ("rounding", True, 1)
    assert report.differing_share == 1.0


def test_a_picture_of_another_size_is_not_the_same(bench: ReplayBench) -> None:
    report = bench.replay(repainted(bench.draw(), lambda image: image.resize((64, 64))))
    assert (report.verdict, report.largest_difference) == ("differs", None)
    assert [str(difference) for difference in report.differences] == ["size: 64x64 then, 32x32 now"]


def test_what_was_installed_then_is_compared(bench: ReplayBench) -> None:
    def age(story: dict) -> None:
        story["environment"].update({"torch": "1.0", "device": "cuda (NVIDIA H100)"})
        story["environment"]["plugins"]["samplers"] = "0.0.1"

    picture = bench.draw()
    torch = story_of(picture)["environment"]["torch"]
    told = {d.what: (d.then, d.now) for d in bench.replay(rewritten(picture, age)).differences}
    assert told["torch"] == ("1.0", torch)
    assert told["device"] == ("cuda (NVIDIA H100)", "cpu")
    assert told["plugin samplers"] == ("0.0.1", "0.1.0")


def test_a_sampler_that_is_gone_is_named_with_its_plugin(bench: ReplayBench) -> None:
    def dream(story: dict) -> None:
        story["request"]["sampler"] = "dreamy"
        story["environment"]["contributors"]["sampler"] = "dreams"
        story["environment"]["plugins"]["dreams"] = "1.2"
        story["environment"]["distributions"]["dreams"] = "sfumato-dreams"

    picture = rewritten(bench.draw(), dream)
    with pytest.raises(CannotReplay, match="sampler 'dreamy' is not here") as caught:
        bench.replay(picture)
    assert caught.value.why == "It came from the plugin 'dreams' 1.2."
    assert "pip install sfumato-dreams" in caught.value.hint
    assert "plugin dreams: 1.2 then, nothing now" in map(str, caught.value.differences)
    assert bench.replay(picture, sampler="euler").verdict == "varied"


def test_one_stage_that_is_gone_can_be_left_out_alone(bench: ReplayBench) -> None:
    picture = rewritten(bench.draw(), lambda story: story["request"].update(stages={"fog": {}}))
    with pytest.raises(CannotReplay) as caught:
        bench.replay(picture)
    assert caught.value.hint.endswith("To draw without it: --set stages.fog=null")
    assert bench.replay(picture, **{"stages.fog": None}).record.request.stages == {}


@pytest.mark.parametrize("group", ["contributors", "distributions"])
def test_no_command_is_made_of_what_is_no_name(bench: ReplayBench, group: str) -> None:
    def trap(story: dict) -> None:
        story["request"]["sampler"] = "dreamy"
        story["environment"]["contributors"]["sampler"] = "dreams"
        story["environment"][group] |= {"sampler": "x; rm -rf ~", "dreams": "x; rm -rf ~"}

    with pytest.raises(CannotReplay) as caught:
        bench.replay(rewritten(bench.draw(), trap))
    assert "rm -rf" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"request": {"scheduler": "dusk"}}, "The scheduler 'dusk' is not here"),
        ({"request": {"stages": {"fog": {}}}}, "The stage 'fog' is not here"),
        ({"model": {"family": "unheard_of"}}, "The model family 'unheard_of' is not here"),
    ],
)
def test_whatever_a_plugin_brought_is_named(bench: ReplayBench, change: dict, message: str) -> None:
    (part, values), *_ = change.items()
    picture = rewritten(bench.draw(), lambda story: story[part].update(values))
    with pytest.raises(CannotReplay, match=message):
        bench.replay(picture)


def test_a_picture_of_the_first_format_is_still_read(bench: ReplayBench) -> None:
    def first_format(story: dict) -> None:
        environment = story.pop("environment")
        del story["variation_seed"], story["model"]["size"]
        story["format"], story["device"] = 1, "cpu"
        story["versions"] = {name: environment[name] for name in ("sfumato", "plugins", "python")}
        story["versions"]["torch"] = "2.0"

    report = bench.replay(rewritten(bench.draw(), first_format))
    assert report.verdict == "same"
    assert [difference.what for difference in report.differences] == ["torch"]


def test_fields_of_a_later_version_are_told(bench: ReplayBench) -> None:
    picture = rewritten(bench.draw(), lambda story: story["request"].update(smell="lemon"))
    assert bench.replay(picture).not_carried_over == ("smell: lemon",)


def test_the_variation_seed_of_the_picture_counts(bench: ReplayBench) -> None:
    def second_variation(story: dict) -> None:
        story["request"].update(variation_seed=5, variation_strength=0.5)
        story["variation_seed"] = 6

    request = bench.replay(rewritten(bench.draw(), second_variation)).record.request
    assert (request.seed, request.variation_seed, request.variation_strength) == (7, 6, 0.5)


def test_where_a_picture_was_drawn_is_no_order(bench: ReplayBench) -> None:
    picture = rewritten(bench.draw(), lambda story: story["request"].update(backend="elsewhere", count=1000))
    assert bench.replay(picture).verdict == "same"


def test_a_picture_without_texts_says_so(bench: ReplayBench) -> None:
    with pytest.raises(NoStory, match="does not tell how it was made"):
        bench.replay(with_texts(bench.draw(), {}))


def test_errors_while_drawing_name_the_picture(bench: ReplayBench) -> None:
    picture = rewritten(bench.draw(), lambda story: story["request"].update(width=40))
    with pytest.raises(CannotReplay, match="again\\. This model cannot draw 40x32") as caught:
        bench.replay(picture)
    assert caught.value.exit_code == BadInput.exit_code


def test_a_renamed_model_is_found_by_its_hash(bench: ReplayBench) -> None:
    picture = bench.draw()
    bench.model_file.rename(bench.models / "new-name.safetensors")
    bench.add_model("gaussian-too", b"the weighty")
    report = bench.replay(picture)
    assert report.verdict == "same"
    assert report.record.request.model == "new-name"


def test_another_model_of_the_same_name_gives_way_to_the_right_one(bench: ReplayBench) -> None:
    picture = bench.draw()
    bench.model_file.rename(bench.models / "old.safetensors")
    bench.add_model("gauss", b"other weights")
    assert bench.replay(picture).record.request.model == "old"


def test_a_model_that_changed_is_told(bench: ReplayBench) -> None:
    picture = bench.draw()
    bench.add_model("gauss", b"other weights")
    assert {"model file", "transformer file"} == {d.what for d in bench.replay(picture).differences}


def test_a_model_that_is_gone_is_named_with_its_hash(bench: ReplayBench) -> None:
    picture = bench.draw()
    sha256 = story_of(picture)["model"]["sha256"]
    bench.model_file.rename(bench.models / "gauss.gone")
    with pytest.raises(CannotReplay, match=rf"'gauss' \(hash {sha256[:10]}\) is not here"):
        bench.replay(picture)
    other = bench.add_model("other", b"x")
    assert bench.replay(picture, model="other").record.request.model == "other"
    assert other.exists()


@pytest.mark.parametrize("stored", ["/home/them/models/gauss.safetensors", "C:\\models\\gauss.safetensors"])
def test_paths_of_another_machine_lead_to_the_name(bench: ReplayBench, stored: str) -> None:
    picture = rewritten(bench.draw(), lambda story: story["request"].update(model=stored))
    report = bench.replay(picture)
    assert (report.verdict, report.record.request.model) == ("same", "gauss")


def test_a_path_outside_the_model_folders_is_used_only_for_the_very_file(
    bench: ReplayBench, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.safetensors"
    picture = rewritten(bench.draw(), lambda story: story["request"].update(model=str(outside)))
    bench.model_file.rename(outside)
    assert bench.replay(picture).record.request.model == str(outside)
    outside.write_bytes(b"not weights")  # as long as the weights
    with pytest.raises(CannotReplay, match="is not here"):
        bench.replay(picture)


@pytest.mark.parametrize(
    "stored", ["/dev/zero", "//server/share/a.safetensors", "..", "~root", "", "\0", "a\n" * 9]
)
def test_hostile_model_names_lead_nowhere(bench: ReplayBench, stored: str) -> None:
    def rename(story: dict) -> None:
        story["request"]["model"] = stored
        story["model"].update(name=stored, file=stored, sha256="ab" * 32, size=0)

    with pytest.raises(SfumatoError, match="is not here"):
        bench.replay(rewritten(bench.draw(), rename))

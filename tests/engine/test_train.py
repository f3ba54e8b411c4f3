"""The task 'train' finds the trainer, checks what it is told, and never writes over anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sfumato.errors import BadInput, PluginError, UnknownName
from sfumato.registries import Registries
from sfumato.sampling import Option
from sfumato.settings import Settings
from sfumato.studio import Studio
from sfumato.training import TrainingConfig, TrainingResult


def counting(config: TrainingConfig, context: Any) -> TrainingResult:
    """A trainer that writes down what it was told."""
    config.output.write_text(config.model_dump_json(), "utf-8")
    return TrainingResult(path=config.output, steps=config.steps, loss=0.0)


def failing(config: TrainingConfig, context: Any) -> TrainingResult:
    raise ZeroDivisionError("no pictures")


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    studio = Studio(Settings.load(file=tmp_path / "settings.toml", environ={}))
    add_trainers(studio.registries)
    return studio


def add_trainers(registries: Registries) -> None:
    rate = Option(name="decay", default=0.5, minimum=0, maximum=1, description="How quickly it forgets.")
    trainers = registries.trainers.registrar("counting")
    trainers.add("counting", counting, label="Counting", aliases=("counter",), options=(rate,))
    trainers.add("failing", failing, label="Failing")
    trainers.commit()
    registries.trainers.settle()


def config(tmp_path: Path, **fields: Any) -> TrainingConfig:
    given = {"trainer": "counting", "dataset": tmp_path, "output": tmp_path / "new" / "lora.safetensors"}
    return TrainingConfig(**given | fields)


def test_a_trainer_answers_to_any_of_its_names_and_gets_all_its_options(
    studio: Studio, tmp_path: Path
) -> None:
    for i, (trainer, options) in enumerate([("Counter", {}), ("counting", {"decay": "0.25"})]):
        output = tmp_path / f"{i}.safetensors"
        studio.train(config(tmp_path, trainer=trainer, options=options, output=output))
        told = TrainingConfig.model_validate_json(output.read_text("utf-8"))
        assert (told.trainer, told.options) == ("counting", {"decay": 0.25 if options else 0.5})


def test_the_folder_of_the_output_is_made(studio: Studio, tmp_path: Path) -> None:
    result = studio.train(config(tmp_path, steps=7))
    assert (result.path, result.steps) == (tmp_path / "new" / "lora.safetensors", 7)
    assert result.path.is_file()


def test_weights_that_are_there_are_never_written_over(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "mine.safetensors").write_text("mine", "utf-8")
    with pytest.raises(BadInput, match="exists already"):
        studio.train(config(tmp_path, output=tmp_path / "mine.safetensors"))
    assert (tmp_path / "mine.safetensors").read_text("utf-8") == "mine"


def test_a_folder_that_cannot_be_made_is_told(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot hold the weights"):
        studio.train(config(tmp_path, output=tmp_path / "file" / "lora.safetensors"))


@pytest.mark.parametrize(
    ("fields", "near"),
    [({"trainer": "countign"}, "counting"), ({"options": {"decya": 1}}, "decay")],
)
def test_a_slip_in_a_name_is_answered_with_the_nearest_one(
    studio: Studio, tmp_path: Path, fields: dict[str, Any], near: str
) -> None:
    with pytest.raises(UnknownName) as slip:
        studio.train(config(tmp_path, **fields))
    assert near in [name.lower() for name in slip.value.nearest]
    assert not (tmp_path / "new").exists()


def test_an_option_out_of_bounds_is_refused(studio: Studio, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="goes from 0"):
        studio.train(config(tmp_path, options={"decay": 2}))


def test_a_trainer_that_breaks_is_named(studio: Studio, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"'Failing' failed.*ZeroDivisionError.*plugin 'counting'"):
        studio.train(config(tmp_path, trainer="failing"))

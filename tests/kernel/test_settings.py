"""Settings: what each layer gives, what a wrong value says, and what writing keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, Field, model_validator

from sfumato.errors import BadInput, SfumatoError, UnknownName
from sfumato.settings import Settings, allowed


class EngineSection(BaseModel):
    """What a plugin could offer."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = Field(default=None, ge=1, le=64)
    folders: tuple[Path, ...] = ()
    scale: float = 1.0


class RangeSection(BaseModel):
    """A rule that joins two fields."""

    low: int = 1
    high: int = 5

    @model_validator(mode="after")
    def _in_order(self) -> RangeSection:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.toml"


def load(
    file: Path, environ: dict[str, str] | None = None, *, lenient: bool = False, **overrides: str
) -> Settings:
    dotted = {key.replace("__", "."): text for key, text in overrides.items()}
    settings = Settings.load(file=file, environ=environ or {}, overrides=dotted, lenient=lenient)
    return settings.with_sections({"engine": EngineSection, "range": RangeSection})


def test_every_layer_wins_over_the_ones_before_it(file: Path) -> None:
    environ: dict[str, str] = {}
    assert load(file).engine.threads is None
    file.write_text("[engine]\nthreads = 2\n")
    assert load(file).engine.threads == 2
    environ["SFUMATO_ENGINE__THREADS"] = "3"
    assert load(file, environ).engine.threads == 3
    assert load(file, environ, engine__threads="4").engine.threads == 4


def test_every_value_tells_where_it_comes_from(file: Path) -> None:
    file.write_text("[engine]\nthreads = 2\n")
    settings = load(file, {"SFUMATO_ENGINE__DEVICE": "cpu"}, engine__scale="2")
    told = [str(settings.where(f"engine.{name}")) for name in ("folders", "threads", "device", "scale")]
    assert told == [
        "default",
        f"file ({file})",
        "environment (SFUMATO_ENGINE__DEVICE)",
        "command line (--set)",
    ]


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[general]\noutput_folder = "pictures"\n')
    settings = Settings.load(environ={"SFUMATO_CONFIG": str(file)})
    assert settings.general.output_folder == Path("pictures")


def test_a_variable_without_a_section_is_no_setting(file: Path) -> None:
    assert load(file, {"SFUMATO_LOG": "debug", "SFUMATO___X": "1"}).unused_keys() == {}


@pytest.mark.parametrize("text", ["a, b", '["a", "b"]'])
def test_a_list_is_written_with_commas_or_as_json(file: Path, text: str) -> None:
    assert load(file, {"SFUMATO_ENGINE__FOLDERS": text}).engine.folders == (Path("a"), Path("b"))


def test_the_word_none_is_no_value(file: Path) -> None:
    file.write_text("[engine]\nthreads = 2\n")
    assert load(file, engine__threads="none").engine.threads is None


def test_a_tilde_is_the_home_folder(file: Path) -> None:
    settings = load(file, general__output_folder="~/pictures")
    assert settings.general.output_folder == Path.home() / "pictures"


def test_a_wrong_value_names_key_source_and_what_is_allowed(file: Path) -> None:
    with pytest.raises(BadInput) as caught:
        load(file, {"SFUMATO_ENGINE__THREADS": "99"})
    assert "engine.threads" in caught.value.what
    assert "SFUMATO_ENGINE__THREADS" in caught.value.why
    assert caught.value.hint == "Allowed: integer, from 1 to 64 or none."


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("device", "'auto' or 'cpu' or 'cuda'"),
        ("folders", "a list of path, separated by commas"),
        ("scale", "number"),
    ],
)
def test_what_is_allowed_is_told_in_words(name: str, words: str) -> None:
    assert allowed(EngineSection.model_fields[name]) == words


def test_an_unknown_key_offers_the_nearest_names(file: Path) -> None:
    file.write_text("[engine]\nthread = 2\n")
    with pytest.raises(UnknownName) as caught:
        load(file)
    assert "engine.threads" in caught.value.nearest
    assert str(file) in caught.value.hint


def test_an_unknown_section_on_the_command_line_is_an_error(file: Path) -> None:
    with pytest.raises(UnknownName, match=r"engin\.threads"):
        load(file, engin__threads="2")


def test_the_section_of_an_absent_plugin_is_left_alone(file: Path) -> None:
    text = "[gone]\nkey = 1 # mine\n"
    file.write_text(text)
    settings = load(file)
    assert list(settings.unused_keys()) == ["gone.key"]
    settings.write("engine.threads", "2")
    assert file.read_text().startswith(text)


def test_a_broken_file_is_told_with_its_line(file: Path) -> None:
    file.write_text("[engine]\nthreads =\n")
    with pytest.raises(BadInput, match="not valid TOML") as caught:
        load(file)
    assert "line 2" in caught.value.why


def test_a_value_where_a_section_belongs_is_told(file: Path) -> None:
    file.write_text("engine = 3\n")
    with pytest.raises(BadInput, match="is a section"):
        load(file)


def test_the_lenient_mode_lets_the_lower_layer_hold(file: Path) -> None:
    file.write_text("[engine]\nthreads = 2\n")
    settings = load(file, {"SFUMATO_ENGINE__THREADS": "many"}, lenient=True)
    assert settings.engine.threads == 2
    assert settings.where("engine.threads").source == "file"
    assert len(settings.problems) == 1


def test_writing_keeps_comments_and_order(file: Path) -> None:
    file.write_text("# Mine\n[engine] # here\nthreads = 2 # few\n\n[general]\ndefault_model = 'x'\n")
    settings = load(file).write("engine.threads", "8")
    assert settings.engine.threads == 8
    assert (
        file.read_text() == "# Mine\n[engine] # here\nthreads = 8 # few\n\n[general]\ndefault_model = 'x'\n"
    )


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("engine.threads", "none", None),
        ("engine.folders", "a,b", (Path("a"), Path("b"))),
        ("engine.scale", "1e3", 1000.0),
        ("general.default_model", 'émoji "x"', 'émoji "x"'),
    ],
)
def test_what_is_written_is_read_again(file: Path, key: str, text: str, value: object) -> None:
    load(file).write(key, text)
    assert load(file).get(key) == value


def test_a_wrong_value_is_not_written(file: Path) -> None:
    with pytest.raises(BadInput):
        load(file).write("engine.device", "gpu")
    assert not file.exists()


def test_settings_do_not_change_once_loaded(file: Path) -> None:
    settings = load(file)
    settings.write("engine.threads", "8")
    assert settings.engine.threads is None
    with pytest.raises(ValueError, match="frozen"):
        settings.general.output_folder = Path("elsewhere")


def test_values_that_only_fit_together_are_taken_together(file: Path) -> None:
    file.write_text("[range]\nlow = 7\nhigh = 9\n")
    settings = load(file)
    assert (settings.range.low, settings.range.high) == (7, 9)
    assert (settings.in_file("range.low"), settings.in_file("range.high")) == (7, 9)
    assert load(file, {"SFUMATO_RANGE__LOW": "20"}, range__high="30").range.low == 20


@pytest.mark.parametrize(
    ("text", "environ", "blamed", "source"),
    [
        ("low = 2\nhigh = 4\n", {"SFUMATO_RANGE__LOW": "6"}, "range.low", "SFUMATO_RANGE__LOW"),
        ("high = 4\nlow = 2\n", {"SFUMATO_RANGE__HIGH": "1"}, "range.high", "SFUMATO_RANGE__HIGH"),
        ("low = 7\n", {}, "range.low", "file"),
        ("low = 7\nhigh = 9\n", {"SFUMATO_RANGE__HIGH": "3"}, "range.high", "SFUMATO_RANGE__HIGH"),
    ],
)
def test_of_values_that_do_not_fit_the_latest_that_breaks_them_is_blamed(
    file: Path, text: str, environ: dict[str, str], blamed: str, source: str
) -> None:
    file.write_text(f"[range]\n{text}")
    with pytest.raises(BadInput, match="low must be below high") as caught:
        load(file, environ)
    assert blamed in caught.value.what
    assert source in caught.value.why


def test_the_lenient_mode_keeps_the_values_that_fit(file: Path) -> None:
    file.write_text("[range]\nlow = 7\nhigh = 9\n")
    settings = load(file, {"SFUMATO_RANGE__HIGH": "3"}, lenient=True)
    assert (settings.range.low, settings.range.high) == (7, 9)
    assert [problem.what for problem in settings.problems] == ["Setting range.high cannot be '3'."]


def test_a_value_is_written_when_it_fits_those_in_the_file(file: Path) -> None:
    settings = load(file).write("range.high", "9").write("range.low", "7")
    assert (settings.range.low, settings.range.high) == (7, 9)
    with pytest.raises(BadInput, match=r"range\.high"):
        settings.write("range.high", "6")


def test_two_wrong_values_can_be_mended_one_after_the_other(file: Path) -> None:
    file.write_text("[engine]\nthreads = 99\nscale = 'big'\n")
    settings = load(file, lenient=True).write("engine.threads", "2")
    assert settings.engine.threads == 2
    assert settings.write("engine.scale", "2").problems == ()


def test_keys_are_written_in_any_case(file: Path) -> None:
    settings = load(file).write("General.Default_Model", "dot")
    assert settings.get("GENERAL.default_model") == "dot"
    assert settings.unset("General.Default_Model").general.default_model is None


def test_unset_finds_keys_of_the_file_as_they_are_spelt_there(file: Path) -> None:
    file.write_text("[Engine]\nThreads = 2\n")
    assert list(load(file).unset("Engine.Threads").unused_keys()) == []


def test_a_settings_file_stays_as_private_as_it_was(file: Path) -> None:
    file.write_text("[engine]\nthreads = 2\n")
    file.chmod(0o600)
    mode = file.stat().st_mode
    load(file).write("engine.threads", "8")
    assert file.stat().st_mode == mode


def test_unset_lets_the_default_hold_again_and_takes_unknown_keys_too(file: Path) -> None:
    file.write_text("[engine]\nthreads = 2\nthread = 3\n")
    settings = load(file, lenient=True).unset("engine.thread").unset("engine.threads")
    assert settings.engine.threads is None
    assert settings.problems == ()
    with pytest.raises(UnknownName):
        settings.unset("engine.threads")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SfumatoError, match=r"settings file .* cannot be"):
        load(tmp_path / "file" / "settings.toml").write("engine.threads", "2")

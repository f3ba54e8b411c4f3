"""Forms follow schemas: what a plugin adds shows up without code for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from flask import Flask, render_template_string
from flask.testing import FlaskClient
from pydantic import Field

from sfumato.request import GenerationRequest, GridRequest, UpscaleRequest
from sfumato.request.schema import Schema, group, shown
from sfumato.sampling import Option
from sfumato.studio import Studio
from sfumato_ui_web.forms import at, form_of, option_fields
from sfumato_ui_web.pages.generate_form import MODES, SCRIPTS, generate_form, grid_form


class Grain(Schema):
    """A section that a plugin adds."""

    strength: float = Field(default=0.25, ge=0, le=2, title="Strength", json_schema_extra=shown(step=0.05))
    shape: Literal["round", "square"] = Field(default="round", title="Shape")
    paper: Path | None = Field(default=None, title="Paper", json_schema_extra=shown(picture=True))


class GrainyRequest(GenerationRequest):
    """A request as a plugin may widen it."""

    mood: str | None = Field(
        default=None,
        title="Mood",
        description="How it feels.",
        json_schema_extra=group("Look", choices="moods"),
    )
    grain: Grain | None = Field(default=None, title="Grain", json_schema_extra=group("Grain"))


def test_each_field_of_a_request_has_one_control_of_a_known_kind() -> None:
    for schema in (GenerationRequest, GridRequest, UpscaleRequest):
        fields = [member for section in form_of(schema) for member in section.fields]
        assert sorted(member.path for member in fields) == sorted(schema.model_fields)
        assert all(member.title for member in fields)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("steps", "integer"),
        ("cfg_scale", "number"),
        ("tiling", "switch"),
        ("emphasis", "choice"),
        ("sampler", "lookup"),
        ("prompt", "text"),
        ("styles", "list"),
        ("regions", "pictures"),
        ("parts", "pairs"),
        ("hires", "section"),
        ("hires.upscaler", "lookup"),
        ("img2img.image", "picture"),
        ("img2img.background", "colour"),
        ("inpaint.soft", "section"),
        ("inpaint.soft.mask_influence", "number"),
    ],
)
def test_the_annotation_decides_the_control(path: str, kind: str) -> None:
    assert at(form_of(GenerationRequest), path).kind == kind


def test_a_switch_that_may_be_left_open_has_three_answers() -> None:
    assert at(form_of(GridRequest), "sheets").kind == "maybe"


def test_bounds_step_unit_and_default_are_those_of_the_schema() -> None:
    field = at(form_of(GenerationRequest), "hires.scale")
    assert (field.minimum, field.maximum, field.step, field.default) == (1, 8, 0.05, 2.0)
    width = at(form_of(GenerationRequest), "width")
    assert (width.minimum, width.unit, width.step, width.optional) == (16, "pixels", 8, True)
    assert at(form_of(UpscaleRequest), "scale").above == 0


def test_choices_are_the_words_of_the_literal_also_in_lists() -> None:
    assert at(form_of(GenerationRequest), "inpaint.area").choices == ("whole_picture", "only_masked")
    assert "cfg_scale" in at(form_of(GridRequest), "pictures.take").choices


def test_a_path_that_is_in_no_form_is_told() -> None:
    with pytest.raises(KeyError, match="nothing"):
        at(form_of(GenerationRequest), "nothing")


def test_options_of_samplers_become_controls() -> None:
    options = (
        Option(name="eta", default=1.0, description="Noise.", minimum=0, maximum=2),
        Option(name="solver", default="midpoint", description="Which.", choices=("midpoint", "heun")),
        Option(name="order", default=3, description="How high.", minimum=1, maximum=4),
        Option(name="fast", default=False, description="Sooner."),
    )
    fields = option_fields(options, "sampler_options")
    assert [(member.path, member.kind) for member in fields] == [
        ("sampler_options.eta", "number"),
        ("sampler_options.solver", "choice"),
        ("sampler_options.order", "integer"),
        ("sampler_options.fast", "switch"),
    ]


def test_a_field_and_a_section_of_a_plugin_show_up_on_the_page(studio: Studio) -> None:
    form = generate_form(studio.registries, GrainyRequest)
    assert "Look" in [group.name for group in form.groups]
    grain = next(section for section in form.sections if section.path == "grain")
    assert [member.path for member in grain.fields] == ["grain.strength", "grain.shape", "grain.paper"]


def test_a_section_of_a_plugin_is_drawn_with_labels_hints_and_bounds(app: Flask, studio: Studio) -> None:
    form = generate_form(studio.registries, GrainyRequest)
    with app.test_request_context("/"):
        html = render_template_string(
            "{% import 'forms/fields.html' as forms %}"
            "{% for group in form.groups %}{{ forms.group(group) }}{% endfor %}"
            "{% for section in form.sections %}{{ forms.section(section) }}{% endfor %}",
            form=form,
        )
    assert 'data-path="mood"' in html
    assert '<sf-choice source="moods" optional>' in html
    assert "How it feels." in html
    assert 'data-section="grain"' in html
    assert 'id="form-grain-strength"' in html
    assert 'max="2.0"' in html
    assert "<sf-picture" in html


def test_every_field_but_those_with_editors_of_their_own_is_on_the_page(client: FlaskClient) -> None:
    html = client.get("/generate/").get_data(as_text=True)
    special = {"sampler_options", "model_options", "stages", *MODES}
    for name, field in GenerationRequest.model_fields.items():
        if name in special:
            continue
        is_section = "Pass" in str(field.annotation) or "Refiner" in str(field.annotation)
        assert f'data-{"section" if is_section else "path"}="{name}"' in html, name


def test_each_part_of_a_grid_belongs_to_one_script_or_to_all() -> None:
    form = grid_form()
    told: list[Any] = [member.path for member in form.settings]
    told += [path for paths in SCRIPTS.values() for path in paths]
    assert sorted(told) == sorted(set(GridRequest.model_fields) - {"base"})

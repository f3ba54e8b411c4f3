"""The Generate page as the server draws it."""

from __future__ import annotations

import gzip
import re

from flask.testing import FlaskClient


def page(client: FlaskClient) -> str:
    answer = client.get("/generate/")
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_every_label_is_for_a_control_that_is_there_and_no_id_is_twice(client: FlaskClient) -> None:
    html = page(client)
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    labels = re.findall(r'<label for="([^"]+)"', html)
    assert len(labels) > 50
    assert set(labels) <= set(ids)


def test_what_describes_a_control_is_there(client: FlaskClient) -> None:
    html = page(client)
    ids = set(re.findall(r'\sid="([^"]+)"', html))
    told = {name for names in re.findall(r'aria-describedby="([^"]+)"', html) for name in names.split()}
    assert told
    assert told <= ids


def test_nothing_in_it_needs_inline_script_or_style(client: FlaskClient) -> None:
    html = page(client)
    assert not re.search(r"<[^>]+\sstyle=", html)
    assert not re.search(r"<[^>]+\son\w+=", html)
    assert not re.search(r"<script(?![^>]*\ssrc=)", html)


def test_it_is_sent_compressed_to_who_takes_that(client: FlaskClient) -> None:
    answer = client.get("/generate/", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert b"<sf-prompt" in gzip.decompress(answer.data)
    assert len(answer.data) < 30_000


def test_options_of_the_chosen_sampler_and_scheduler_are_drawn_once(client: FlaskClient) -> None:
    html = client.get("/generate/options/sampler?sampler=euler_a&scheduler=karras").get_data(as_text=True)
    paths = re.findall(r'data-path="([^"]+)"', html)
    assert "sampler_options.eta" in paths
    assert len(paths) == len(set(paths))


def test_a_sampler_that_nobody_has_has_no_options(client: FlaskClient) -> None:
    answer = client.get("/generate/options/sampler?sampler=no_such&scheduler=")
    assert answer.status_code == 200
    assert "data-path" not in answer.get_data(as_text=True)


def test_the_knobs_of_a_models_family_are_drawn_with_what_the_model_prefers(client: FlaskClient) -> None:
    html = client.get("/generate/options/model?model=emoji").get_data(as_text=True)
    assert 'data-path="model_options.shift"' in html


def test_what_a_model_recommends_is_told(client: FlaskClient) -> None:
    told = client.get("/generate/recommended?model=emoji").get_json()
    assert told["defaults"]["width"] == 64
    assert told["defaults"]["sampler"] == "euler"
    assert "clip_skip" in told["ignores"]


def test_of_a_model_that_is_not_here_nothing_is_recommended(client: FlaskClient) -> None:
    told = client.get("/generate/recommended?model=no_such").get_json()
    assert told["defaults"] == {}
    assert "no_such" in told["problem"]

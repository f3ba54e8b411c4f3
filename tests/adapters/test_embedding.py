"""Learned words by their names in prompts, on a tiny Flux; what fits which model, on widths alone."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch

from sfumato.errors import CheckpointError
from sfumato.models import PromptText, TextEmbedding
from sfumato_adapters.embedding import EmbeddingKind, occurs
from sfumato_adapters.learned_words import fitted, read_vectors, text_encoder_widths
from sfumato_adapters.settings import AdapterSettings
from sfumato_networks.clip_prompts import ClipPrompts, ClipStates

from .conftest import Workbench
from .simple_changes import normal

WIDTH = 64
SDXL = {"clip_text": 768, "clip_g_text": 1280}
READ_PICKLES = AdapterSettings(read_pickles=True)


def words_in(bench: Workbench, text: str) -> list[TextEmbedding]:
    return list(EmbeddingKind().embeddings(bench.model, text, bench.context))


def encoded(bench: Workbench, text: str) -> ClipStates:
    """What CLIP makes of a text with the learned words in it."""
    prompts = ClipPrompts(bench.model.networks["clip_text"], bench.model.prompts.clip_tokenizer, "clip_text")
    text_with_words = PromptText(chunks=(((text, 1.0),),), embeddings=tuple(words_in(bench, text)))
    return prompts.encode(text_with_words, normed=True, layer_from_end=1)


def save_pickle(bench: Workbench, name: str, content: Any) -> Path:
    path = bench.folder / "embeddings" / name
    path.parent.mkdir(exist_ok=True)
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("smile", "a big Smile, please", True),
        ("smile", "(smile:1.2)", True),
        ("smile", "smiles", False),
        ("smile", "xsmile", False),
        ("bad-hands-5", "ugly, bad-hands-5", True),
        ("<cat-toy>", "a <cat-toy> here", True),
        ("v1.0 (new)", "in v1.0 (new) style", True),
        ("v1.0", "v100", False),
    ],
)
def test_a_name_counts_where_it_stands_by_itself(name: str, text: str, found: bool) -> None:
    assert occurs(name, text) is found


def test_a_word_comes_with_its_vectors_and_the_hash_of_its_file(workbench: Workbench) -> None:
    vectors = normal(3, WIDTH)
    path = workbench.save("smile", {"emb_params": vectors}, folder="embeddings/faces")
    workbench.save("frown", {"emb_params": vectors}, folder="embeddings")
    (found,) = words_in(workbench, "a big SMILE")
    assert (found.name, found.path) == ("smile", path)
    assert found.identity == hashlib.sha256(path.read_bytes()).hexdigest()
    assert list(found.vectors) == ["clip_text"]
    assert found.vectors["clip_text"].equal(vectors)
    assert words_in(workbench, "nothing of it") == []


def test_a_word_stands_for_its_vectors_when_a_prompt_is_encoded(workbench: Workbench) -> None:
    clip = workbench.model.networks["clip_text"]
    table = clip.get_submodule("text_model.embeddings.token_embedding").weight
    ids = workbench.model.prompts.clip_tokenizer.encode("apple")
    workbench.save("smile", {"emb_params": table[ids].clone()}, folder="embeddings")
    smile, apple = (encoded(workbench, text) for text in ("a red smile", "a red apple"))
    assert not apple.states.equal(encoded(workbench, "a red thing").states)
    torch.testing.assert_close(smile.states, apple.states)


@pytest.mark.parametrize(
    "content",
    [
        {"emb_params": normal(2, 768)},
        {"string_to_param": {"*": normal(2, 768)}, "name": "smile", "step": 3},
        {"string_to_param": torch.nn.ParameterDict({"*": torch.nn.Parameter(normal(2, 768))})},
        {"<smile>": normal(2, 768)},
        {"clip_l": normal(2, 768)},
    ],
    ids=["safetensors", "A1111", "A1111 of old", "diffusers", "named encoder"],
)
def test_every_layout_of_one_encoder_gives_its_vectors(content: dict[str, Any]) -> None:
    assert fitted(read_vectors(content), {"clip_text": 768})["clip_text"].equal(normal(2, 768))


def test_a_single_vector_may_have_one_dimension() -> None:
    assert read_vectors({"<smile>": normal(768)})[""].shape == (1, 768)


def test_sdxl_takes_both_encoders_and_the_refiner_its_own() -> None:
    vectors = read_vectors({"clip_l": normal(2, 768), "clip_g": normal(2, 1280)})
    assert {kind: tuple(v.shape) for kind, v in fitted(vectors, SDXL).items()} == {
        "clip_text": (2, 768),
        "clip_g_text": (2, 1280),
    }
    assert list(fitted(vectors, {"clip_g_text": 1280})) == ["clip_g_text"]


def test_a_word_for_some_of_the_encoders_fits_none_as_places_would_not_agree() -> None:
    assert fitted(read_vectors({"emb_params": normal(2, 768)}), SDXL) == {}
    assert fitted(read_vectors({"emb_params": normal(2, 1024)}), {"clip_text": 768}) == {}
    assert list(fitted(read_vectors({"emb_params": normal(2, 1024)}), {"open_clip_text": 1024})) == [
        "open_clip_text"
    ]


def test_widths_are_those_of_the_tokens_vectors(workbench: Workbench) -> None:
    assert text_encoder_widths(workbench.model.networks) == {"clip_text": WIDTH}


def test_a_word_that_does_not_fit_is_told_by_the_model_and_read_as_text(workbench: Workbench) -> None:
    workbench.save("smile", {"emb_params": normal(2, 1024)}, folder="embeddings")
    found = encoded(workbench, "a smile")
    assert any("'smile'" in note and "read as text" in note for note in found.notes)
    (workbench.folder / "embeddings" / "smile.safetensors").unlink()
    plain = encoded(workbench, "a smile")
    assert plain.notes == ()
    assert found.states.equal(plain.states)


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        ({"emb_params": torch.full((2, WIDTH), float("nan"))}, "not finite"),
        ({"emb_params": torch.zeros(2, 3, WIDTH)}, r"shape \[2, 3, 64\]"),
        ({"emb_params": torch.zeros(0, WIDTH)}, r"shape \[0, 64\]"),
        ({"emb_params": torch.zeros(2, WIDTH, dtype=torch.int64)}, "int64"),
        ({"a": torch.zeros(1, WIDTH), "b": torch.zeros(1, WIDTH)}, "holds 2 tensors"),
    ],
)
def test_a_damaged_file_is_told_when_a_prompt_uses_it_and_not_before(
    workbench: Workbench, tensors: dict[str, torch.Tensor], told: str
) -> None:
    workbench.save("smile", tensors, folder="embeddings")
    assert words_in(workbench, "a frown") == []
    with pytest.raises(CheckpointError, match=rf"smile\.safetensors.*{told}"):
        words_in(workbench, "a smile")


def test_a_file_cut_short_is_told(workbench: Workbench) -> None:
    path = workbench.save("smile", {"emb_params": normal(2, WIDTH)}, folder="embeddings")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CheckpointError, match="smile"):
        words_in(workbench, "a smile")


def test_pickles_are_read_only_when_the_settings_say_so(workbench: Workbench) -> None:
    vectors = normal(2, WIDTH)
    content = {"string_to_param": torch.nn.ParameterDict({"*": torch.nn.Parameter(vectors)}), "name": "x"}
    save_pickle(workbench, "smile.pt", content)
    with pytest.raises(CheckpointError, match=r"smile\.pt.*sfumato settings set adapters\.read_pickles true"):
        words_in(workbench, "a smile")
    workbench.settings = READ_PICKLES
    assert words_in(workbench, "a smile")[0].vectors["clip_text"].equal(vectors)


class Program:
    """What a pickle could run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("ran"),)


def test_a_pickle_that_holds_more_than_tensors_is_refused_unrun(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workbench.folder)
    workbench.settings = READ_PICKLES
    save_pickle(workbench, "smile.pt", {"string_to_param": {"*": normal(1, WIDTH)}, "x": Program()})
    with pytest.raises(CheckpointError, match=r"smile\.pt"):
        words_in(workbench, "a smile")
    assert not Path("ran").exists()


def test_a_file_that_is_no_pickle_at_all_is_told(workbench: Workbench) -> None:
    workbench.settings = READ_PICKLES
    save_pickle(workbench, "smile.bin", {}).write_bytes(b"<html>not found</html>")
    with pytest.raises(CheckpointError, match=r"smile\.bin"):
        words_in(workbench, "a smile")


def test_a_lora_brings_its_words_while_it_is_in_force(workbench: Workbench) -> None:
    from safetensors.torch import load_file

    vectors = normal(2, WIDTH)
    path = workbench.write("style", parts=["transformer"])
    words = {"bundle_emb.smile.clip_l": vectors, "bundle_emb.frown.string_to_param.*": vectors + 1}
    workbench.save("style", load_file(path) | words)

    def found(text: str) -> dict[str, torch.Tensor]:
        words = workbench.kind.embeddings(workbench.model, text, workbench.context)
        return {word.name: word.vectors["clip_text"] for word in words}

    assert found("a smile") == {}
    applied = workbench.apply("style")
    assert applied.notes == []
    assert applied.reports[0].is_full
    assert found("a smile")["smile"].equal(vectors)
    assert found("a frown")["frown"].equal(vectors + 1)
    workbench.apply()
    assert found("a smile") == {}


def test_flux_reads_learned_words_in_clips_part_of_the_prompt(workbench: Workbench) -> None:
    clip = workbench.model.networks["clip_text"]
    table = clip.get_submodule("text_model.embeddings.token_embedding").weight
    ids = workbench.model.prompts.clip_tokenizer.encode("apple")
    workbench.save("smile", {"emb_params": table[ids].clone()}, folder="embeddings")

    def vector(text: str) -> torch.Tensor:
        words = tuple(words_in(workbench, text))
        return workbench.model.condition(PromptText((((text, 1.0),),), embeddings=words), {}).vector

    assert not vector("a red apple").allclose(vector("a red thing"))
    torch.testing.assert_close(vector("a red smile"), vector("a red apple"))

"""Prompts through a CLIP text encoder, beside transformers' encoder fed row by row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sfumato.errors import BadInput
from sfumato.models import PromptText, TextEmbedding, WeightedText
from sfumato_networks.clip_prompts import ClipPrompts, ClipStates
from sfumato_networks.clip_text import ClipText, ClipTextConfig
from sfumato_networks.clip_vocabulary import FOLDER, SIZE
from sfumato_networks.parts import CLIP_G_TEXT, CLIP_TEXT
from sfumato_networks.tokenizer import Tokenizer

from ..tiny_models.flux import random_tensors

transformers = pytest.importorskip("transformers")
TOKENIZER = Tokenizer.from_folder(FOLDER)
WIDTH, LAYERS = 16, 3
START, END, A, CAT, DOG = 49406, 49407, 320, 2368, 1929
CONFIG = ClipTextConfig(SIZE, WIDTH, 32, LAYERS, 77, head_size=8, projection_size=12)


def weights() -> dict[str, Tensor]:
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in ClipText(CONFIG).state_dict().items()}
    return random_tensors(shapes, seed=5)


@pytest.fixture(scope="module")
def clip() -> ClipText:
    network = ClipText(CONFIG)
    network.load_state_dict(weights())
    return network.eval()


@pytest.fixture(scope="module")
def reference() -> torch.nn.Module:
    config = transformers.CLIPTextConfig(
        vocab_size=SIZE,
        hidden_size=WIDTH,
        intermediate_size=32,
        projection_dim=12,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        eos_token_id=END,
    )
    model = transformers.CLIPTextModelWithProjection(config).eval()
    missing, _ = model.load_state_dict(weights(), strict=False)
    assert not [name for name in missing if not name.endswith("position_ids")]
    return model


def prompt(*chunks: str | WeightedText, **fields: object) -> PromptText:
    pieces = tuple(((chunk, 1.0),) if isinstance(chunk, str) else chunk for chunk in chunks)
    return PromptText(pieces, **fields)


def row(*ids: int, pad: int = END) -> Tensor:
    return torch.tensor([[START, *ids, END] + [pad] * (75 - len(ids))])


def encoded(clip: ClipText, text: PromptText, kind: str = CLIP_TEXT, **options: int) -> ClipStates:
    options = {"normed": False, "layer_from_end": 1} | options
    return ClipPrompts(clip, TOKENIZER, kind).encode(text, **options)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_states_and_pooled_state_equal_those_of_transformers(clip: ClipText, reference) -> None:
    expected = reference(row(A, CAT), output_hidden_states=True)
    found = encoded(clip, prompt("a cat"), normed=True)
    close(found.states, expected.last_hidden_state)
    close(found.pooled, expected.text_embeds)
    assert (found.states.shape, found.pooled.shape, found.notes) == ((1, 77, WIDTH), (1, 12), ())


@pytest.mark.parametrize("skip", [1, 2, 3])
@torch.no_grad()
def test_the_layer_is_counted_from_the_end_and_normed_where_asked(
    clip: ClipText, reference, skip: int
) -> None:
    expected = reference(row(A, CAT), output_hidden_states=True).hidden_states[-skip]
    close(encoded(clip, prompt("a cat"), layer_from_end=skip).states, expected)
    normed = getattr(reference, "text_model", reference).final_layer_norm(expected)
    close(encoded(clip, prompt("a cat"), layer_from_end=skip, normed=True).states, normed)


@torch.no_grad()
def test_layers_that_the_file_lacks_are_counted(clip: ClipText) -> None:
    cut = ClipText(replace(CONFIG, dropped_layers=1))
    cut.load_state_dict(weights())
    for asked, taken in ((1, 1), (2, 1), (3, 2)):
        found = encoded(cut, prompt("a cat"), layer_from_end=asked).states
        assert torch.equal(found, encoded(clip, prompt("a cat"), layer_from_end=taken).states)


@pytest.mark.parametrize("skip", [0, 4])
def test_a_layer_that_the_encoder_has_not_is_a_clear_error(clip: ClipText, skip: int) -> None:
    with pytest.raises(BadInput, match=f"Clip skip {skip}"):
        encoded(clip, prompt("a cat"), layer_from_end=skip)


@torch.no_grad()
def test_open_clip_fills_rows_up_with_zeros(clip: ClipText, reference) -> None:
    expected = reference(row(A, CAT, pad=0), output_hidden_states=True)
    found = encoded(clip, prompt("a cat"), CLIP_G_TEXT)
    close(found.states, expected.hidden_states[-1])
    close(found.pooled, expected.text_embeds)


@torch.no_grad()
def test_nothing_follows_an_end_token_that_a_prompt_spells_out_where_rows_end_in_zeros(
    clip: ClipText, reference
) -> None:
    expected = reference(row(A, pad=0), output_hidden_states=True).hidden_states[-1]
    close(encoded(clip, prompt("a <|endoftext|> cat"), CLIP_G_TEXT).states, expected)


@torch.no_grad()
def test_windows_follow_each_other_and_the_first_one_is_pooled(clip: ClipText, reference) -> None:
    found = encoded(clip, prompt("a cat", "cat " * 80))
    rows = [row(A, CAT), row(*[CAT] * 75), row(*[CAT] * 5)]
    expected = [reference(ids, output_hidden_states=True) for ids in rows]
    close(found.states, torch.cat([output.hidden_states[-1] for output in expected], dim=1))
    close(found.pooled, expected[0].text_embeds)


def test_a_window_has_the_same_bits_whatever_stands_beside_it(clip: ClipText) -> None:
    alone = encoded(clip, prompt((("a ", 1.0), ("cat", 1.3)))).states
    beside = encoded(clip, prompt("a dog", (("a ", 1.0), ("cat", 1.3)))).states
    assert torch.equal(beside[:, 77:], alone)


def test_empty_windows_are_added_where_more_are_asked_for(clip: ClipText) -> None:
    found = encoded(clip, prompt("a cat"), windows=3).states
    empty = encoded(clip, prompt("")).states
    assert torch.equal(found, torch.cat([encoded(clip, prompt("a cat")).states, empty, empty], dim=1))
    assert ClipPrompts(clip, TOKENIZER, CLIP_TEXT).count_windows(prompt("a cat", "cat " * 80)) == 3


def test_weights_multiply_the_states_of_their_tokens_alone(clip: ClipText) -> None:
    plain = encoded(clip, prompt("a cat")).states
    text = prompt((("a", 1.0), (" cat", 1.5)), emphasis="no_norm")
    factors = torch.ones(77)
    factors[2] = 1.5
    close(encoded(clip, text).states, plain * factors[None, :, None])


def test_original_emphasis_restores_the_mean_of_each_window(clip: ClipText) -> None:
    text = (("a", 1.0), (" cat", 1.5)), (("dog", 0.2),)
    plain = encoded(clip, prompt("a cat", "dog")).states.double()
    found = encoded(clip, prompt(*text)).states.double()
    free = encoded(clip, prompt(*text, emphasis="no_norm")).states.double()
    for window in (slice(0, 77), slice(77, 154)):
        factor = plain[:, window].mean() / free[:, window].mean()
        assert abs(factor - 1) > 1e-4
        close(found[:, window], free[:, window] * factor)


def test_weights_of_one_change_no_bit(clip: ClipText) -> None:
    first = encoded(clip, prompt("a cat")).states
    second = encoded(clip, prompt((("a", 1.0), (" cat", 1.0)))).states
    assert torch.equal(first, second)


def test_the_pooled_state_ignores_weights(clip: ClipText) -> None:
    assert torch.equal(encoded(clip, prompt((("a cat", 1.7),))).pooled, encoded(clip, prompt("a cat")).pooled)


def learned(vectors: Tensor, name: str = "sks", kind: str = CLIP_TEXT) -> TextEmbedding:
    return TextEmbedding(name, name, Path(f"{name}.safetensors"), {kind: vectors})


def vectors_of(clip: ClipText, *ids: int) -> Tensor:
    return clip.text_model.embeddings.token_embedding.weight[list(ids)].detach().clone()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_learned_word_with_the_vectors_of_other_words_reads_as_these(clip: ClipText, dtype) -> None:
    vectors = vectors_of(clip, CAT, DOG)
    with_word = prompt((("a ", 1.0), ("SKS", 1.4), (" cat", 1.0)), embeddings=(learned(vectors.to(dtype)),))
    spelled = prompt((("a ", 1.0), ("cat dog", 1.4), (" cat", 1.0)))
    tolerance = 1e-6 if dtype == torch.float32 else 0.1
    found, expected = encoded(clip, with_word), encoded(clip, spelled)
    torch.testing.assert_close(found.states, expected.states, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(found.pooled, expected.pooled, atol=tolerance, rtol=tolerance)
    assert found.notes == ()


def test_a_learned_word_in_the_second_window_acts_there_alone(clip: ClipText) -> None:
    text = prompt("a cat", "a sks", embeddings=(learned(vectors_of(clip, DOG)),))
    assert torch.equal(encoded(clip, text).states, encoded(clip, prompt("a cat", "a dog")).states)


def test_each_encoder_takes_its_own_vectors(clip: ClipText) -> None:
    own, other = vectors_of(clip, DOG), torch.zeros(3, 99)
    word = TextEmbedding("sks", "sks", Path("sks.pt"), {CLIP_G_TEXT: own, CLIP_TEXT: other})
    text = prompt("a sks", embeddings=(word,))
    expected = encoded(clip, prompt("a dog"), CLIP_G_TEXT).states
    assert torch.equal(encoded(clip, text, CLIP_G_TEXT).states, expected)


@pytest.mark.parametrize(
    ("word", "words"),
    [
        (learned(torch.zeros(2, 99)), "vectors of 99 features, this model's text encoder wants 16"),
        (learned(torch.zeros(2, WIDTH), kind="clip_g_text"), "no vectors for this model's text encoder"),
        (learned(torch.zeros(WIDTH)), "no vectors for this model's text encoder"),
        (learned(torch.zeros(0, WIDTH)), "no vectors for this model's text encoder"),
        (learned(torch.zeros(76, WIDTH)), "76 vectors, more than the 75 tokens"),
    ],
)
def test_a_learned_word_for_another_encoder_is_read_as_text_and_told(
    clip: ClipText, word: TextEmbedding, words: str
) -> None:
    found = encoded(clip, prompt("a sks", embeddings=(word,)))
    assert torch.equal(found.states, encoded(clip, prompt("a sks")).states)
    (note,) = found.notes
    assert note.startswith("The embedding 'sks' has ")
    assert words in note
    assert encoded(clip, prompt("a cat", embeddings=(word,))).notes == ()


def test_tokens_are_counted_with_the_vectors_of_learned_words(clip: ClipText) -> None:
    prompts = ClipPrompts(clip, TOKENIZER, CLIP_TEXT)
    word = learned(torch.zeros(70, WIDTH))
    assert prompts.count_tokens(prompt("a cat")) == (2, 75)
    assert prompts.count_tokens(prompt("a cat, a cat, sks", embeddings=(word,))) == (145, 150)

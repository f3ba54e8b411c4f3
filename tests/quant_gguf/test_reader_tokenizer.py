"""The tokenizer in a T5's GGUF file: beside SentencePiece's own, and where it is found."""

from __future__ import annotations

import io
import random
from pathlib import Path

import gguf
import pytest
import sentencepiece
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentencepiece import sentencepiece_model_pb2

from sfumato.errors import BadInput, CheckpointError, MissingPart
from sfumato_networks.part_finder import T5_TOKENIZER, PartFinder
from sfumato_networks.part_loader import load_tokenizer
from sfumato_networks.parts import recognise
from sfumato_networks.tokenizer import CARRIED, Tokenizer
from sfumato_quant_gguf.charsmap import is_sound

from ..tiny_models.files import save, write_parts, write_transformer
from ..tiny_models.flux import TinyFlux, random_tensors
from ..tiny_models.tokenizers import write_t5_tokenizer
from .files import write_gguf
from .models import drawn, library, loaded, plain_numbers

PROSE = Path(__file__).parents[2] / "LICENSE"
"""What the pieces are learned from."""
FILLING = 3
"""Rows of the table behind the last piece, as T5's is padded to a round number."""


def trained(**options: object) -> bytes:
    """A small SentencePiece model of T5's kind."""
    written = io.BytesIO()
    lines = PROSE.read_text(encoding="utf-8").splitlines()
    ids = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
    chosen = {"vocab_size": 300, "num_threads": 1, "minloglevel": 2, **ids, **options}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=written, **chosen)
    return written.getvalue()


def add_tokenizer(writer: gguf.GGUFWriter, model: bytes, filling: int = FILLING) -> None:
    """As llama.cpp's converter adds it."""
    proto = sentencepiece_model_pb2.ModelProto.FromString(model)
    pieces = [(piece.piece, piece.score, piece.type) for piece in proto.pieces]
    pieces += [(f"[PAD{number}]", -1000.0, int(gguf.TokenType.UNUSED)) for number in range(1, filling + 1)]
    writer.add_tokenizer_model("t5")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([piece.encode() for piece, _, _ in pieces])
    writer.add_token_scores([score for _, score, _ in pieces])
    writer.add_token_types([kind for _, _, kind in pieces])
    writer.add_add_space_prefix(proto.normalizer_spec.add_dummy_prefix)
    writer.add_remove_extra_whitespaces(proto.normalizer_spec.remove_extra_whitespaces)
    if proto.normalizer_spec.precompiled_charsmap:
        writer.add_precompiled_charsmap(proto.normalizer_spec.precompiled_charsmap)
    writer.add_eos_token_id(1)
    writer.add_unk_token_id(2)
    writer.add_pad_token_id(0)


def write_t5(path: Path, model: bytes, tiny: TinyFlux = TinyFlux()) -> Path:  # noqa: B008
    """A T5 of llama.cpp's names that carries the tokenizer, with a row for each of its pieces."""
    rows = len(sentencepiece_model_pb2.ModelProto.FromString(model).pieces) + FILLING
    shapes = {name: tuple(tensor.shape) for name, tensor in tiny.t5().items()}
    shapes["shared.weight"] = (rows, tiny.context_size)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.T5ENCODER, 2)
    tensors = {
        str(names.get_name(name, (".weight",))): tensor for name, tensor in random_tensors(shapes, 0).items()
    }
    return write_gguf(
        path, tensors, architecture="t5encoder", finish=lambda writer: add_tokenizer(writer, model)
    )


@pytest.fixture(scope="module")
def model() -> bytes:
    return trained()


@pytest.fixture(scope="module")
def ours(model: bytes, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    file = write_t5(tmp_path_factory.mktemp("t5") / "t5.gguf", model)
    return Tokenizer.read(library(file.parent).header(file))


TEXTS = (
    "",
    " ",
    "A red apple, the blue one!",
    "  two  spaces\tand\nlines  ",
    "\ufb01ne ½ \uff21pple é e\u0301 \ufdfa",
    "snow ☃☃ man ☃",
    "▁ the ▁▁ apple▁",
    "[PAD1] [PAD2]",
    "no\u00a0break\u3000wide\u200bnone",
    "\ufeff\u2028\x85\x0b\x1fa",
    "日本語のテキスト 🙂🙃",
    "(red:1.2) <lora:x>",
)


@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_those_of_sentencepiece(ours: Tokenizer, model: bytes, text: str) -> None:
    assert ours.encode(text) == sentencepiece.SentencePieceProcessor(model_proto=model).encode(text)


_SIGNS = st.one_of(st.sampled_from("abcdehilmnoprst ABT.,!  "), st.characters(exclude_categories=("Cs",)))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(_SIGNS, max_size=60))
def test_ids_of_any_text_are_those_of_sentencepiece(ours: Tokenizer, model: bytes, text: str) -> None:
    assert ours.encode(text) == sentencepiece.SentencePieceProcessor(model_proto=model).encode(text)


@pytest.mark.parametrize(
    "options",
    [
        {"add_dummy_prefix": False},
        {"remove_extra_whitespaces": False},
        {"normalization_rule_name": "identity"},
        {"normalization_rule_name": "nmt_nfkc_cf"},
    ],
    ids=str,
)
def test_ids_follow_the_normalisation_that_the_file_tells(tmp_path: Path, options: dict[str, object]) -> None:
    model = trained(**options)
    ours = Tokenizer.read(library(tmp_path).header(write_t5(tmp_path / "t5.gguf", model)))
    theirs = sentencepiece.SentencePieceProcessor(model_proto=model)
    for text in (*TEXTS[2:5], "The  Red apple", " The", "\uff21 \ufb01"):
        assert ours.encode(text) == theirs.encode(text), text


def test_ids_are_those_of_transformers(ours: Tokenizer, model: bytes, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    proto = sentencepiece_model_pb2.ModelProto.FromString(model)
    theirs = transformers.T5Tokenizer(
        vocab=[(piece.piece, piece.score) for piece in proto.pieces], extra_ids=0, unk_token="<unk>"
    )
    for text in ("A red apple, the blue one!", "Two  spaces", "horse</s> and <unk> dog", "very very"):
        assert [*ours.encode(text), ours.end] == theirs(text).input_ids, text


def test_special_tokens_and_the_size_are_told(ours: Tokenizer, model: bytes) -> None:
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model).vocab_size()
    assert (ours.start, ours.end, ours.pad) == (None, 1, 0)
    assert ours.vocabulary_size == pieces + FILLING


def test_tokens_tell_where_they_end_in_the_text(ours: Tokenizer) -> None:
    text = "A red \ufb01 apple"
    assert ours.encode_with_ends(text)[-1][1] == len(text)
    assert [end for _, end in ours.encode_with_ends(text)] == sorted(
        end for _, end in ours.encode_with_ends(text)
    )


def without_tokenizer(root: Path) -> TinyFlux:
    """A Flux with all its parts but the text encoder T5 and its tokenizer."""
    tiny = TinyFlux()
    write_parts(tiny, root)
    (root / "text_encoders" / "t5xxl_fp16.safetensors").unlink()
    (root / "tokenizers" / "t5xxl" / "tokenizer.json").unlink()
    write_transformer(tiny, root / "flux.safetensors")
    return tiny


def test_a_model_draws_with_the_tokenizer_that_its_text_encoder_carries(tmp_path: Path, model: bytes) -> None:
    without_tokenizer(tmp_path)
    file = write_t5(tmp_path / "text_encoders" / "t5xxl-Q8_0.gguf", model)
    loaded_model = loaded(tmp_path / "flux.safetensors", tmp_path)
    assert loaded_model.files[T5_TOKENIZER] == (file,)
    assert drawn(loaded_model).std() > 0


def test_a_tokenizer_in_a_folder_comes_first(tmp_path: Path, model: bytes) -> None:
    without_tokenizer(tmp_path)
    write_t5(tmp_path / "text_encoders" / "t5xxl-Q8_0.gguf", model)
    write_t5_tokenizer(tmp_path / "tokenizers" / "t5xxl")
    shelf = library(tmp_path)
    finder = PartFinder(shelf.header(tmp_path / "flux.safetensors"), shelf)
    assert finder.find_tokenizer(T5_TOKENIZER) == tmp_path / "tokenizers" / "t5xxl"


def test_a_plain_t5_may_use_the_tokenizer_of_a_quantised_one(tmp_path: Path, model: bytes) -> None:
    without_tokenizer(tmp_path)
    file = write_t5(tmp_path / "text_encoders" / "t5xxl-Q8_0.gguf", model)
    shelf = library(tmp_path)
    plain = {name: plain_numbers(tensor) for name, tensor in shelf.open_tensors(file).items()}
    save(tmp_path / "text_encoders" / "t5xxl_fp16.safetensors", plain)
    found = loaded(tmp_path / "flux.safetensors", tmp_path).files
    assert found["t5_encoder"] == (tmp_path / "text_encoders" / "t5xxl_fp16.safetensors",)
    assert found[T5_TOKENIZER] == (file,)


def test_a_file_may_be_wished_for_as_the_tokenizer(tmp_path: Path, model: bytes) -> None:
    without_tokenizer(tmp_path)
    elsewhere = write_t5(tmp_path / "elsewhere" / "some.gguf", model)
    shelf = library(tmp_path)
    header = shelf.header(tmp_path / "flux.safetensors")
    found = PartFinder(header, shelf, wished={T5_TOKENIZER: elsewhere}).find_tokenizer(T5_TOKENIZER)
    assert found == shelf.header(elsewhere)
    bare = write_gguf(tmp_path / "elsewhere" / "bare.gguf", TinyFlux().t5())
    with pytest.raises(BadInput, match="T5 tokenizer"):
        PartFinder(header, shelf, wished={T5_TOKENIZER: bare}).find_tokenizer(T5_TOKENIZER)


def test_without_any_tokenizer_it_is_named_as_missing(tmp_path: Path) -> None:
    tiny = without_tokenizer(tmp_path)
    save(tmp_path / "text_encoders" / "t5xxl_fp16.safetensors", tiny.t5())
    with pytest.raises(MissingPart, match="T5 tokenizer"):
        loaded(tmp_path / "flux.safetensors", tmp_path)


def test_a_tokenizer_of_more_tokens_than_the_encoder_has_rows_is_refused(
    tmp_path: Path, model: bytes
) -> None:
    header = library(tmp_path).header(write_t5(tmp_path / "t5.gguf", model))
    (part,) = recognise(header)
    with pytest.raises(CheckpointError, match="another text encoder"):
        load_tokenizer(header, part, rows=100)


def test_a_tokenizer_that_was_read_stays_until_its_file_changes(tmp_path: Path, model: bytes) -> None:
    file = write_t5(tmp_path / "t5.gguf", model)
    first = Tokenizer.read(library(tmp_path).header(file))
    assert Tokenizer.read(library(tmp_path).header(file)) is first
    write_t5(file, trained(vocab_size=290))
    assert Tokenizer.read(library(tmp_path).header(file)).vocabulary_size == 290 + FILLING


SPOILT = {  # what is said of it, and what a writer has put in
    "scores": lambda writer: writer.add_token_scores([0.0]),
    "no number": lambda writer: writer.add_token_scores([float("nan")] * 4),
    "eos token": lambda writer: writer.add_eos_token_id(99),
    "unknown token": lambda writer: writer.add_unk_token_id(99),
    "map of characters": lambda writer: writer.add_precompiled_charsmap(b"\x10\0\0\0 nonsense"),
}


@pytest.mark.parametrize("words", SPOILT)
def test_a_damaged_tokenizer_ends_in_words(tmp_path: Path, words: str) -> None:
    def finish(writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model("t5")
        writer.add_token_list(["<pad>", "</s>", "<unk>", "a"])
        writer.add_token_types([3, 3, 2, 1])
        if words not in ("scores", "no number"):
            writer.add_token_scores([0.0, 0.0, 0.0, -1.0])
        SPOILT[words](writer)

    header = library(tmp_path).header(write_gguf(tmp_path / "t5.gguf", {}, finish=finish))
    assert CARRIED in header.configs
    with pytest.raises(CheckpointError) as caught:
        Tokenizer.read(header)
    assert words in str(caught.value.why)


def test_a_vocabulary_of_another_kind_is_no_tokenizer_for_a_t5(tmp_path: Path) -> None:
    def finish(writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model("gpt2")
        writer.add_token_list(["a", "b"])
        writer.add_token_scores([0.0, 0.0])

    assert CARRIED not in library(tmp_path).header(write_gguf(tmp_path / "a.gguf", {}, finish=finish)).configs


@pytest.mark.parametrize("seed", range(30))
def test_a_damaged_map_of_characters_is_known_as_such_before_the_library_panics(
    model: bytes, seed: int
) -> None:
    """What passes for sound must not stop the library, whatever the text."""
    from tokenizers import normalizers

    chance = random.Random(seed)
    spoilt = bytearray(
        sentencepiece_model_pb2.ModelProto.FromString(model).normalizer_spec.precompiled_charsmap
    )
    assert is_sound(bytes(spoilt))
    for _ in range(2):
        spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
    if is_sound(bytes(spoilt)):
        text = "".join(chr(chance.randrange(32, 0x3000)) for _ in range(200))
        normalizers.Precompiled(bytes(spoilt)).normalize_str(text)

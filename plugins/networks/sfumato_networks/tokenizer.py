"""Text to token ids as the text encoders were trained on it, by the library `tokenizers` (imported late)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import CheckpointError, MissingPart
from sfumato.models import CheckpointHeader
from sfumato_networks import clip_vocabulary
from sfumato_networks.checkpoint_folder import read_json
from sfumato_networks.clip_vocabulary import END as CLIP_END
from sfumato_networks.clip_vocabulary import START as CLIP_START
from sfumato_networks.safetensors_header import unreadable

if TYPE_CHECKING:
    import tokenizers

CARRIED, WHOLE = "tokenizer", "tokenizer.json"
"""Among a header's `configs`: the tokenizer that a file of weights carries, as texts by names of files."""

KEPT = 8
"""Tokenizers that stay in memory when the models they were read for are gone; CLIP's takes 10 MB."""

Stamps = tuple[tuple[str, int, int], ...]
"""Name, time of change in nanoseconds and bytes of each file in a folder."""

# Before it merges letters, CLIP splits text into words, contractions, single digits and runs of other signs.
CLIP_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


TokenizerPlace = Path | CheckpointHeader
"""Where a tokenizer is: in a folder, or in the file of weights that has this header."""


def holds_tokenizer(folder: Path) -> bool:
    """Whether a folder has a tokenizer: tokenizer.json, vocab.json with merges.txt, or OpenAI's merges."""
    names = (WHOLE,), ("vocab.json", "merges.txt"), (clip_vocabulary.MERGES_FILE,)
    return any(all((folder / name).is_file() for name in together) for together in names)


def holds_clip_tokenizer(folder: Path) -> bool:
    """Whether a folder has a tokenizer, and one of CLIP's kind: it marks the ends of words."""
    if not holds_tokenizer(folder):
        return False
    whole = folder / WHOLE
    if not whole.is_file():
        return True
    try:
        model = read_json(whole).get("model")
    except CheckpointError:
        return False
    return isinstance(model, dict) and model.get("end_of_word_suffix") == clip_vocabulary.WORD_END


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer and the ids around a text: ``start`` + text + ``end``, filled up with ``pad``.

    ``start`` is None where texts have no start token (T5). ``max_length`` counts start and end; it is None
    where the tokenizer's files name none.
    """

    _tokenizer: tokenizers.Tokenizer
    start: int | None
    end: int
    pad: int
    max_length: int | None

    @classmethod
    def read(cls, place: TokenizerPlace) -> Tokenizer:
        """From a folder, or out of a file of weights that carries it; raises what `from_folder` does."""
        if isinstance(place, Path):
            return cls.from_folder(place)
        try:
            stat = place.path.stat()
        except OSError as error:
            raise unreadable(place.path, error) from error
        return _read_carried(
            _Carried(place.path.resolve(), (stat.st_mtime_ns, stat.st_size), place.configs[CARRIED])
        )

    @classmethod
    def from_folder(cls, folder: Path) -> Tokenizer:
        """From a folder as transformers writes it: tokenizer.json, or CLIP's vocab.json with merges.txt.

        CLIP's merges as OpenAI published them are enough, too. What was read last is kept for as long as the
        files stay as they are: it takes longer than all else about a model whose weights are mapped.

        Raises:
            MissingPart: it has neither.
            CheckpointError: a file in it is damaged or cannot be read.
        """
        if not holds_tokenizer(folder):
            raise MissingPart(
                f"'{folder}' holds no tokenizer.",
                why="It has no tokenizer.json, no vocab.json with merges.txt, "
                f"no {clip_vocabulary.MERGES_FILE}.",
                hint="Get tokenizer.json from where the model came from; a spiece.model alone is not enough.",
            )
        try:
            return _read_folder(folder.resolve(), _stamps(folder))
        except OSError as error:
            raise unreadable(folder, error) from error

    @classmethod
    def from_file(cls, file: Path, settings: dict[str, Any] | None = None) -> Tokenizer:
        """From a tokenizer.json; ``settings`` is the content of the tokenizer_config.json beside it."""
        try:
            return cls.from_json(file.read_text(encoding="utf-8"), settings, where=file)
        except (OSError, UnicodeDecodeError) as error:
            raise unreadable(file, error) from error

    @classmethod
    def from_json(cls, text: str, settings: dict[str, Any] | None = None, *, where: Path | str) -> Tokenizer:
        """From the text of a tokenizer.json, which ``where`` names in messages."""
        import tokenizers

        try:
            tokenizer = tokenizers.Tokenizer.from_str(text)
        except Exception as error:  # the library raises bare Exception
            raise _damaged(where, error) from error
        return cls._from_library(tokenizer, settings or {}, where)

    @classmethod
    def _from_library(
        cls, tokenizer: tokenizers.Tokenizer, settings: dict[str, Any], where: Path | str
    ) -> Tokenizer:
        padding, truncation = tokenizer.padding, tokenizer.truncation
        tokenizer.no_padding()
        tokenizer.no_truncation()
        around = tokenizer.encode("").ids  # what it puts around any text
        if len(around) not in (1, 2):
            raise CheckpointError(
                f"The tokenizer in '{where}' has no end token.", hint="Get the model's own one."
            )
        lengths = (settings.get("model_max_length"), (truncation or {}).get("max_length"))
        return cls(
            tokenizer,
            start=around[0] if len(around) == 2 else None,
            end=around[-1],
            pad=_pad_id(tokenizer, settings, padding or {}, default=around[-1]),
            max_length=_max_length(lengths, at_least=len(around) + 1),
        )

    def encode(self, text: str) -> list[int]:
        """The ids of a text or a fragment of one, however long, without start, end and padding."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def encode_with_ends(self, text: str) -> list[tuple[int, int]]:
        """The same ids, each with the number of the text's characters up to where its token ends."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        return [(token, end) for token, (_, end) in zip(encoding.ids, encoding.offsets, strict=True)]

    @property
    def vocabulary_size(self) -> int:
        """How many ids there are: the text encoder needs as many rows at least."""
        return int(self._tokenizer.get_vocab_size())


@lru_cache(maxsize=KEPT)
def _read_folder(folder: Path, stamps: Stamps) -> Tokenizer:
    """The tokenizer in a folder; ``stamps`` tell its files from others of the same names."""
    settings_file, whole = folder / "tokenizer_config.json", folder / WHOLE
    settings = read_json(settings_file) if settings_file.exists() else {}
    if whole.exists():
        return Tokenizer.from_file(whole, settings)
    return Tokenizer._from_library(_clip_tokenizer(folder), settings, folder)


@dataclass(frozen=True)
class _Carried:
    """The texts of a tokenizer in a file of weights; ``stamp`` tells it from another one of the same name."""

    file: Path
    stamp: tuple[int, int]
    texts: Mapping[str, Any] = field(compare=False)


@lru_cache(maxsize=KEPT)
def _read_carried(carried: _Carried) -> Tokenizer:
    return Tokenizer.from_json(carried.texts[WHOLE], where=carried.file)


def _stamps(folder: Path) -> Stamps:
    stats = ((file.name, file.stat()) for file in sorted(folder.iterdir()))
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)


def _max_length(stated: Iterable[Any], at_least: int) -> int | None:
    """The first that can be one: files hold texts, lists and negative numbers too."""
    for length in stated:
        if isinstance(length, int | float) and not isinstance(length, bool) and length >= at_least:
            return int(length) if length < 1e9 else None  # 1e30 stands for no limit
    return None


def _pad_id(
    tokenizer: tokenizers.Tokenizer, settings: dict[str, Any], padding: dict[str, Any], default: int
) -> int:
    named = settings.get("pad_token")
    token = named.get("content") if isinstance(named, dict) else named
    for candidate in (token, padding.get("pad_token"), "<pad>"):
        if isinstance(candidate, str) and (found := tokenizer.token_to_id(candidate)) is not None:
            return int(found)
    return default


def _clip_tokenizer(folder: Path) -> tokenizers.Tokenizer:
    """CLIP's byte-pair encoding: lower case, words of `CLIP_WORDS`, ends of words marked </w>."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    ends = {"end_of_word_suffix": clip_vocabulary.WORD_END, "unk_token": CLIP_END}
    listed = folder / "vocab.json", folder / "merges.txt"
    try:
        if all(file.is_file() for file in listed):
            bpe = models.BPE.from_file(*map(str, listed), **ends)
        else:
            merges = clip_vocabulary.read_merges(folder / clip_vocabulary.MERGES_FILE)
            bpe = models.BPE(clip_vocabulary.vocabulary(merges), merges, **ends)
    except Exception as error:  # the library raises bare Exception
        raise _damaged(folder, error) from error
    tokenizer = Tokenizer(bpe)
    start, end = tokenizer.token_to_id(CLIP_START), tokenizer.token_to_id(CLIP_END)
    if start is None or end is None:
        raise _damaged(folder, f"Its vocabulary lacks {CLIP_START} or {CLIP_END}")
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = pre_tokenizers.Split(Regex(CLIP_WORDS), behavior="removed", invert=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [words, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in (CLIP_START, CLIP_END)])
    tokenizer.post_processor = processors.RobertaProcessing((CLIP_END, end), (CLIP_START, start))
    return tokenizer


def _damaged(where: Path | str, error: Exception | str) -> CheckpointError:
    return CheckpointError(
        f"The tokenizer in '{where}' is damaged.", why=f"{error}.", hint="Get the tokenizer's files again."
    )

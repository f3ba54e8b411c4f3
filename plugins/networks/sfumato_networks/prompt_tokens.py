"""Prompts of any length as the rows of tokens that CLIP reads. Imports no torch.

AUTOMATIC1111's way: a chunk of a prompt is cut into windows of 75 tokens, behind a comma where one is near
the end of a window. Learned words (Gal et al. 2022, arXiv:2208.01618) take as many places as they have
vectors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sfumato.models import PromptText, TextEmbedding, WeightedText
from sfumato_networks.tokenizer import Tokenizer

WINDOW = 75
"""Tokens of a window, without start and end."""
COMMA_REACH = 20
"""A window ends behind its last comma if no more tokens than this follow."""


@dataclass(frozen=True)
class LearnedWord:
    """A learned word as it occurs among tokens.

    ``places`` is its number of vectors; ``unfit`` says why they cannot be taken, and is empty where they can.
    """

    embedding: TextEmbedding
    token_ids: tuple[int, ...]
    places: int
    unfit: str = ""


@dataclass
class TokenWindow:
    """What is encoded at once: tokens with their weights, and the places at which learned words begin."""

    token_ids: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    words: list[tuple[int, LearnedWord]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.token_ids)

    def add(self, token_id: int, weight: float) -> None:
        self.token_ids.append(token_id)
        self.weights.append(weight)

    def add_word(self, word: LearnedWord, weight: float) -> None:
        self.words.append((len(self), word))
        for _ in range(word.places):
            self.add(0, weight)

    def split(self, place: int) -> TokenWindow:
        """Cut it at a place; what follows is returned."""
        rest = TokenWindow(self.token_ids[place:], self.weights[place:])
        rest.words = [(start - place, word) for start, word in self.words if start >= place]
        self.words = [(start, word) for start, word in self.words if start < place]
        del self.token_ids[place:], self.weights[place:]
        return rest


@dataclass(frozen=True)
class PromptTokens:
    """A whole prompt: at least one window, and for each learned word in it that cannot be used, why."""

    windows: tuple[TokenWindow, ...]
    unfit: tuple[str, ...] = ()

    def count(self, window: int = WINDOW) -> tuple[int, int]:
        """How many tokens it takes up, and how many it could without one more window of this size.

        All windows but the last count as full.
        """
        return window * (len(self.windows) - 1) + len(self.windows[-1]), window * len(self.windows)


class PromptSplitter:
    """Splits prompts for one tokenizer.

    Args:
        tokenizer: CLIP's.
        window: Tokens of a window, without start and end.
        words: The learned words that may occur, in any order; where several begin at a token, the one with
            the longest name is read.
    """

    def __init__(self, tokenizer: Tokenizer, window: int = WINDOW, words: Iterable[LearnedWord] = ()) -> None:
        self._tokenizer = tokenizer
        self._window = window
        self._comma = tokenizer.encode(",")
        self._words: dict[int, list[LearnedWord]] = {}
        for word in sorted(words, key=lambda word: len(word.token_ids), reverse=True):
            if word.token_ids:
                self._words.setdefault(word.token_ids[0], []).append(word)

    def split(self, text: PromptText) -> PromptTokens:
        """The windows of all chunks, one after another; a chunk has one at least."""
        unfit: dict[str, None] = {}
        windows = [window for chunk in text.chunks for window in self._windows(chunk, unfit)]
        return PromptTokens(tuple(windows), tuple(unfit))

    def _windows(self, chunk: WeightedText, unfit: dict[str, None]) -> list[TokenWindow]:
        cutter = _Cutter(self._window)
        for piece, weight in chunk:
            tokens, place = self._tokenizer.encode(piece), 0
            while place < len(tokens):
                word = self._word_at(tokens, place, unfit)
                cutter.make_room(is_comma=word is None and [tokens[place]] == self._comma)
                if word is None:
                    cutter.add(tokens[place], weight)
                    place += 1
                else:
                    cutter.add_word(word, weight)
                    place += len(word.token_ids)
        return cutter.windows

    def _word_at(self, tokens: Sequence[int], place: int, unfit: dict[str, None]) -> LearnedWord | None:
        for word in self._words.get(tokens[place], ()):
            if tuple(tokens[place : place + len(word.token_ids)]) == word.token_ids:
                if not word.unfit:
                    return word
                unfit[word.unfit] = None
        return None


class _Cutter:
    """Fills one window after the other."""

    def __init__(self, size: int) -> None:
        self.windows = [TokenWindow()]
        self._size = size
        self._last_comma: int | None = None

    def make_room(self, *, is_comma: bool) -> None:
        """Begin a new window if the last one is full; a comma stays where the tokens before it are."""
        window = self.windows[-1]
        if len(window) < self._size:
            if is_comma:
                self._last_comma = len(window)
            return
        place = len(window)
        if not is_comma and self._last_comma is not None and place - self._last_comma <= COMMA_REACH:
            place = self._last_comma + 1
        self._begin(window.split(place))

    def add(self, token_id: int, weight: float) -> None:
        self.windows[-1].add(token_id, weight)

    def add_word(self, word: LearnedWord, weight: float) -> None:
        """A learned word is not spread over two windows."""
        if len(self.windows[-1]) + word.places > self._size:
            self._begin(TokenWindow())
        self.windows[-1].add_word(word, weight)

    def _begin(self, window: TokenWindow) -> None:
        self.windows.append(window)
        self._last_comma = None

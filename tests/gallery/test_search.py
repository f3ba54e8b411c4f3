from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.database import Database
from sfumato.errors import BadInput
from sfumato_gallery import index as index_module
from sfumato_gallery.filters import Filters
from sfumato_gallery.index import PictureIndex, cursor_of
from sfumato_gallery.query import parse
from sfumato_gallery.tables import PICTURES

from ..postgresql import emptied
from .conftest import facts


@pytest.fixture(scope="module", params=["full text", "LIKE", "PostgreSQL"])
def index(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PictureIndex]:
    """For every way in which words are found."""
    if request.param == "PostgreSQL":
        database = emptied(request.getfixturevalue("postgresql"))
    else:
        database = Database.in_folder(tmp_path_factory.mktemp("data"))
    index = PictureIndex(database)
    assert index.full_text == (request.param != "PostgreSQL")
    index.__dict__["full_text"] = request.param == "full text"
    yield index
    database.close()


def filled(index: PictureIndex, pictures: list[dict[str, Any]]) -> PictureIndex:
    """The index of nothing but these pictures, named 0.png, 1.png ..."""
    with index.database.writing() as connection:
        connection.execute(PICTURES.delete())
    index.put([facts(f"{n}.png", **{"modified": float(n), **told}) for n, told in enumerate(pictures)])
    return index


def found(index: PictureIndex, q: str = "", **filters: Any) -> list[int]:
    rows = index.find(Filters(q=q, **filters), limit=1000)
    assert index.count(Filters(q=q, **filters)) == len(rows)
    return sorted(int(Path(row.path).stem) for row in rows)


WORDS = ("red", "redwood", "fox", "snow", "Käfer", "apple")
prompts = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
queries = st.lists(
    st.tuples(
        st.sampled_from(("", "-")),
        st.lists(st.sampled_from((*WORDS, "re", "kafer", "ap")), min_size=1, max_size=3),
    ),
    max_size=3,
)


def holds(query: list[tuple[str, list[str]]], texts: list[str]) -> bool:
    """The same search by hand: phrases as regular expressions over each text."""
    texts = [text.lower().replace("ä", "a") for text in texts]
    for sign, words in query:
        pattern = r"(?<!\w)" + " ".join(word.lower().replace("ä", "a") for word in words)
        if any(re.search(pattern, text) for text in texts) == (sign == "-"):
            return False
    return True


@given(
    pictures=st.lists(st.tuples(prompts, prompts, st.sampled_from(("", "snow fox"))), max_size=6),
    query=queries,
)
@settings(max_examples=25)
def test_words_and_phrases_find_what_a_search_by_hand_finds(
    index: PictureIndex,
    pictures: list[tuple[str, str, str]],
    query: list[tuple[str, list[str]]],
) -> None:
    told = [dict(zip(("prompt", "negative_prompt", "model"), texts, strict=True)) for texts in pictures]
    q = " ".join(f'{sign}"{" ".join(words)}"' for sign, words in query)
    filled(index, told)
    assert found(index, q) == [n for n, texts in enumerate(pictures) if holds(query, list(texts))]


TOLD: list[dict[str, Any]] = [
    {"prompt": "red fox, snow", "model": "flux1-dev-Q8_0", "seed": 7, "steps": 20, "cfg": 4.5,
     "width": 832, "height": 1216},
    {"prompt": "old sailor", "negative_prompt": "red", "model": "North Light XL", "seed": 8,
     "loras": ("inkWash",)},
    {"prompt": "猫咪 in a garden: quiet", "sampler": "DPM++ 2M", "loras": ("inkWash", "paper-grain")},
]  # fmt: skip


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("", [0, 1, 2]),
        ("RED", [0, 1]),
        ("red -sailor", [0]),
        ("edwood", []),
        ('"fox snow"', [0]),
        ('"snow fox"', []),
        ('"snow flux1"', []),
        ("-", [0, 1, 2]),
        ('"', [0, 1, 2]),
        ("-red", [2]),
        ("model:flux", [0]),
        ('model:"light xl"', [1]),
        ("-model:flux", [1, 2]),
        ("lora:ink", [1, 2]),
        ("-lora:paper", [0, 1]),
        ("seed:7", [0]),
        ("seed:>=7", [0, 1]),
        ("seed:8..9", [1]),
        ("-seed:7", [1, 2]),
        ("steps:<21", [0]),
        ("cfg:4.5", [0]),
        ("size:832x1216", [0]),
        ("width:>64", [0]),
        ("sampler:dpm++", [2]),
        ("name:1.png", [1]),
        ("猫", [2]),
        ("咪", [2]),
        ("猫咪", [2]),
        ("咪猫", []),
        ("garden:quiet", [2]),
        ("score:>5", []),
        ("%", [0, 1, 2]),
        ("model:%", []),
        ("inkw", [1, 2]),
        ("OR fox", []),
    ],
)
def test_what_people_type_means_what_the_help_says(index: PictureIndex, q: str, expected: list[int]) -> None:
    filled(index, TOLD)
    assert found(index, q) == expected


@pytest.mark.parametrize(
    "q", ["score:high", "size:big", "before:yesteryear", "is:nice", "date:2025-13", "x" * 3000]
)
def test_a_property_that_cannot_be_is_told_with_how_to_write_it(q: str) -> None:
    with pytest.raises(BadInput) as error:
        parse(q)
    assert error.value.hint


def test_days_begin_and_end_at_midnight_of_this_place(index: PictureIndex) -> None:
    def at(*moment: int) -> dict[str, Any]:
        return {"modified": datetime(*moment).timestamp()}  # type: ignore[arg-type]

    filled(index, [at(2025, 3, 30, 23, 59), at(2025, 3, 31), at(2025, 3, 31, 23, 59), at(2025, 4, 1)])
    assert found(index, "date:2025-03-31") == [1, 2]
    assert found(index, "date:2025-03") == [0, 1, 2]
    assert found(index, "after:2025-03-31") == [1, 2, 3]
    assert found(index, "before:2025-03-31") == [0]
    assert found(index, after="2025-03-31", before="2025-03-31") == [1, 2]


def test_favourites_and_scores_are_found_and_survive_reading_the_file_again(index: PictureIndex) -> None:
    filled(index, [{"prompt": "a"}, {"prompt": "b"}, {"prompt": "c"}])
    ids = {row.name: row.id for row in index.find(Filters())}
    index.change([ids["1.png"]], favourite=True, score=7.5)
    index.put([facts("1.png", prompt="new words", modified=9.0, size=2)])
    assert found(index, "is:favourite") == found(index, "score:>7") == found(index, "new") == [1]
    assert found(index, "b") == []
    assert found(index, favourite=False) == [0, 2]
    assert next(row.name for row in index.find(Filters(), sort="score")) == "1.png"


@pytest.mark.parametrize("sort", ["newest", "oldest", "score", "name"])
@given(
    scores=st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=1, max_size=9),
    portion=st.integers(1, 4),
)
@settings(max_examples=8)
def test_pages_of_a_list_hold_every_picture_once_although_others_come_meanwhile(
    index: PictureIndex, sort: Any, scores: list[int | None], portion: int
) -> None:
    filled(index, [{"modified": float(n % 3)} for n in range(len(scores))])
    for n, score in enumerate(scores):
        index.change([row.id for row in index.find(Filters(q=f"name:{n}.png"))], score=score)
    whole = [row.name for row in index.find(Filters(), sort=sort, limit=100)]
    assert sorted(whole) == sorted(f"{n}.png" for n in range(len(scores)))
    seen: list[str] = []
    cursor = None
    while rows := index.find(Filters(), sort=sort, cursor=cursor, limit=portion):
        cursor = cursor_of(rows[-1], sort)
        seen += [row.name for row in rows]
        if len(seen) < 2 * len(scores):  # at the end of the list, they would go on for ever
            index.put([facts(f"new-{len(seen)}.png", modified=99.0)])
    assert [name for name in seen if not name.startswith("new")] == whole


def test_a_cursor_of_another_order_is_refused(index: PictureIndex) -> None:
    filled(index, TOLD)
    cursor = cursor_of(index.find(Filters())[0], "newest")
    for wrong, sort in ((cursor, "name"), ("nonsense", "newest"), ("", "newest")):
        if wrong:
            with pytest.raises(BadInput, match="cursor"):
                index.find(Filters(), sort=sort, cursor=wrong)  # type: ignore[arg-type]


def test_suggestions_name_the_most_frequent_first(index: PictureIndex) -> None:
    filled(index, [{"model": "b"}, {"model": "a", "loras": ("x",)}, {"model": "b", "loras": ("x", "y")}])
    assert index.suggestions().models == ["b", "a"]
    assert index.suggestions().loras == ["x", "y"]


def test_the_newest_of_many_that_hold_a_word_come_first(
    index: PictureIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "_MANY", 3)
    filled(index, [{"prompt": "lake morning" if n % 2 else "lake"} for n in range(12)])
    for sort, expected in (("newest", ["11.png", "9.png"]), ("oldest", ["1.png", "3.png"])):
        rows = index.find(Filters(q="lake mor"), sort=sort, limit=2)  # type: ignore[arg-type]
        assert [row.name for row in rows] == expected
    assert index.shapes(Filters(q="lake -morning")) == [100] * 6

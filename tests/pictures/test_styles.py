"""Styles: A1111's files read and written, prompts put together and taken apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.cli import main
from sfumato.errors import BadInput, UnknownName
from sfumato.request import GenerationRequest, HiresPass
from sfumato_pictures.settings import SavingSettings
from sfumato_pictures.styles import Style, StyleBook, merged, with_styles, without

A1111 = (
    "\ufeffname,prompt,negative_prompt\r\n"
    'ink,"ink drawing of {prompt}, black and white","photo, colour"\r\n'
    "snow,in deep snow,\r\n"
    "# winter,,\r\n"
    'frost,"hoar frost, {prompt}",\r\n'
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "styles.csv"
    path.write_bytes(A1111.encode())
    return path


@pytest.fixture
def program(file: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command, with the file in its settings; gives its exit code."""
    monkeypatch.setenv("SFUMATO_SAVING__STYLES_FILES", json.dumps([str(file)]))
    return lambda *words: main(["styles", *words])


def names(*patterns: Path) -> list[str]:
    return [style.name for style in StyleBook(patterns)]


def test_a_file_of_a1111_is_read(file: Path) -> None:
    book = StyleBook([file])
    assert list(book) == [
        Style("ink", "ink drawing of {prompt}, black and white", "photo, colour", file=file),
        Style("snow", "in deep snow", file=file),
        Style("frost", "hoar frost, {prompt}", file=file),
    ]


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("name,text\nink,drawing\n", Style("ink", "drawing")),
        ("name, prompt\nink, drawing\n", Style("ink", "drawing")),
        ("prompt,name,description\ndrawing,ink,mine\n", Style("ink", "drawing", description="mine")),
        ('name,prompt,negative_prompt\nink,"two\nlines, ""q""",x\n', Style("ink", 'two\nlines, "q"', "x")),
        ("name,prompt,negative_prompt\nink\n", Style("ink")),
        ("\n\nname", None),
        ("name,prompt,negative_prompt\n,nameless,x\n\n", None),
        ("", None),
    ],
)
def test_other_headers_are_read(tmp_path: Path, text: str, style: Style | None) -> None:
    path = tmp_path / "styles.csv"
    path.write_text(text.lstrip("\n"))
    found = [Style(s.name, s.prompt, s.negative_prompt, s.description) for s in StyleBook([path])]
    assert found == ([style] if style else [])


@pytest.mark.parametrize("content", [b"title,prompt\na,b\n", b"name\n\xff", b"name\n" + b"a" * 200_000])
def test_what_is_no_file_of_styles_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "styles.csv"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"styles\.csv"):
        StyleBook([path])


def test_several_files_are_one_book_and_the_later_one_holds(file: Path, tmp_path: Path) -> None:
    (tmp_path / "more_a.csv").write_text("name,prompt\nsnow,thin snow\nrain,in the rain\n")
    (tmp_path / "more_b.csv").write_text("name,prompt\nfog,in the fog\n")
    patterns = [file, tmp_path / "more_*.csv", tmp_path / "none.csv", file]
    assert names(*patterns) == ["ink", "snow", "frost", "rain", "fog"]
    assert StyleBook(patterns).get("snow").prompt == "thin snow"


def test_a_style_is_added_to_the_first_file_and_changed_in_its_own(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("name,text,colour\nrain,in the rain,grey\n")
    book = StyleBook([file, other])
    book.put(Style("oil", "oil, {prompt}", "photo", "a note"))
    book.put(Style("rain", "in heavy rain", "sun"))
    assert StyleBook([file]).get("oil") == Style("oil", "oil, {prompt}", "photo", "a note", file)
    assert other.read_text("utf-8-sig").splitlines() == [
        "name,text,colour,negative_prompt",
        "rain,in heavy rain,grey,sun",
    ]
    assert book.get("rain").prompt == "in heavy rain"


def test_what_is_not_understood_stays_as_it_was(file: Path) -> None:
    file.write_bytes(A1111.encode() + b"\r\nodd,a,b,c,d\r\n")
    book = StyleBook([file])
    book.put(Style("snow", "in snow"))
    book.remove("frost")
    assert file.read_bytes().decode("utf-8-sig").split("\r\n") == [
        "name,prompt,negative_prompt",
        'ink,"ink drawing of {prompt}, black and white","photo, colour"',
        "snow,in snow,",
        "# winter,,",
        "",
        "odd,a,b,c,d",
        "",
    ]
    assert names(file) == ["ink", "snow", "odd"]


def test_a_file_that_is_not_there_yet_is_made(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "styles.csv"
    StyleBook([path]).put(Style("ink", "drawing"))
    assert path.read_bytes().startswith(b"\xef\xbb\xbfname,prompt,negative_prompt\r\n")
    assert names(path) == ["ink"]


@pytest.mark.parametrize("name", ["", "  ", "#ink"])
def test_a_style_that_would_be_a_comment_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="needs a name"):
        StyleBook([tmp_path / "styles.csv"]).put(Style(name, "x"))


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="could not be written"):
        StyleBook([tmp_path / "file" / "styles.csv"]).put(Style("ink", "x"))


@given(st.lists(st.tuples(st.text(min_size=1), st.text(), st.text()), max_size=4))
def test_any_style_comes_back(tmp_path_factory: pytest.TempPathFactory, styles: list) -> None:
    path = tmp_path_factory.mktemp("styles") / "styles.csv"
    book = StyleBook([path])
    kept = {}
    for name, prompt, negative in styles:
        if name.strip() and not name.startswith("#") and name == name.strip():
            try:
                "".join((name, prompt, negative)).encode()
            except UnicodeEncodeError:
                continue
            book.put(Style(name, prompt, negative))
            kept[name] = (prompt.lstrip(" "), negative.lstrip(" "))
    # Blanks at the beginning say nothing: as in A1111, they stay only where a field is quoted.
    found = {s.name: (s.prompt.lstrip(" "), s.negative_prompt.lstrip(" ")) for s in StyleBook([path])}
    assert found == kept


@pytest.mark.parametrize(
    ("style", "prompt", "together"),
    [
        ("in snow", "a fox", "a fox, in snow"),
        ("in snow", "", "in snow"),
        ("", "a fox", "a fox"),
        ("ink of {prompt}, grey", "a fox", "ink of a fox, grey"),
        ("{prompt} {prompt}", "fox", "fox fox"),
    ],
)
def test_a_style_goes_around_or_behind_a_prompt(style: str, prompt: str, together: str) -> None:
    assert merged(style, prompt) == together


def test_part_of_a_word_is_no_style() -> None:
    assert without("cat", "a tom, cat") == "a tom"
    assert without("cat", "a tomcat") is None
    assert without("a {prompt} b", "a b") is None


def test_styles_are_put_around_in_order_and_found_again(file: Path) -> None:
    book = StyleBook([file])
    both = book.apply(["snow", "ink"], "a fox", "blurry")
    assert both == ("ink drawing of a fox, in deep snow, black and white", "blurry, photo, colour")
    assert book.extract(*both) == (("snow", "ink"), "a fox", "blurry")
    assert book.extract("a fox") == ((), "a fox", "")


def test_an_unknown_style_is_told_with_the_nearest_one(file: Path) -> None:
    with pytest.raises(UnknownName, match=r"no style named 'snw'\. Did you mean snow"):
        StyleBook([file]).apply(["snw"], "a fox")


def test_a_request_has_its_styles_in_all_its_prompts(file: Path) -> None:
    settings = SavingSettings(styles_files=(file,))
    request = GenerationRequest(prompt="a fox", styles=("snow",), hires=HiresPass(prompt="a red fox"))
    styled = with_styles(request, settings)
    assert (styled.prompt, styled.styles) == ("a fox, in deep snow", ())
    assert styled.hires == HiresPass(prompt="a red fox, in deep snow")
    assert with_styles(styled, settings) is styled


def test_the_command_lists_adds_and_removes(
    file: Path, program: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert program("add", "rain", "--prompt", "{prompt} in the rain") == 0
    assert program("remove", "frost") == 0
    capsys.readouterr()
    assert program("--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in listed] == ["ink", "snow", "rain"] == names(file)
    assert listed[2]["prompt"] == "{prompt} in the rain"
    assert program() == 0
    assert "in deep snow" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["remove", "snw"], "Did you mean snow"),
        (["remove"], "Which style?"),
        (["add", "empty"], "would be empty"),
    ],
)
def test_what_the_command_cannot_do_is_told(
    program: Callable[..., int], capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert program(*words) == 2
    assert message in capsys.readouterr().err

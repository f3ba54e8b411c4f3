"""What pictures say of themselves: A1111's infotext, ComfyUI's graph, our own story.

PNG has text chunks (tEXt, zTXt, iTXt). JPEG, WebP and AVIF carry EXIF: A1111 writes its text into
UserComment, ComfyUI's WebP its JSON into the tags of camera make and model, and our story lies in MakerNote,
the tag for whatever a writer likes to keep. GIF has a comment.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sfumato.text import writable

if TYPE_CHECKING:
    from PIL.Image import Image

PARAMETERS = "parameters"
"""Text of the A1111 infotext."""
STORY = "sfumato"
"""Text of the JSON with the full resolved request and versions."""
GRAPH = "prompt"
"""Text of the graph that ComfyUI ran, in JSON."""
WORKFLOW = "workflow"
"""Text of the graph as ComfyUI's page shows it, in JSON."""

LONGEST_TEXT = 2**20
"""Characters of one text. A prompt has some hundreds, a large graph some hundred thousands."""

Source = Literal["sfumato", "a1111", "comfyui", "other", ""]

_EXIF_FOLDER = 0x8769
_USER_COMMENT = 0x9286
_MAKER_NOTE = 0x927C
_CAMERA_MAKE, _CAMERA_MODEL = 0x010F, 0x0110
_CHARSET_LENGTH = 8
_UNICODE = b"UNICODE\0"
_STORY_MARK = b"sfumato\0"
_UNDEFINED, _LONG = 7, 4
_EXIF_MARK = b"Exif\0\0"
_EXIF_START = b"MM\0*" + struct.pack(">IHHHIII", 8, 1, _EXIF_FOLDER, _LONG, 1, 26, 0)
"""A TIFF header, and a first folder with one entry: where the EXIF folder lies."""


@dataclass(frozen=True)
class Metadata:
    """The texts in a picture, each empty where it has none.

    Attributes:
        parameters: The A1111 infotext, or what other programs keep in its place.
        story: Our JSON.
        graph: The graph that ComfyUI ran, in its JSON for its server.
        workflow: The same as its page keeps it.
        texts: All texts of a PNG by keyword, those above among them.
    """

    parameters: str = ""
    story: str = ""
    graph: str = ""
    workflow: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def source(self) -> Source:
        """Whose text tells most: the picture can be drawn again from it. "other" is somebody's JSON."""
        if self.story:
            return "sfumato"
        if self.parameters:
            return "other" if is_json_object(self.parameters) else "a1111"
        return "comfyui" if self.graph or self.workflow else ""


def is_json_object(text: str) -> bool:
    """Whether a text is JSON, which Fooocus and SwarmUI keep where A1111 has its infotext."""
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def metadata_of(image: Image) -> Metadata:
    """The texts of a picture that is open: of a PNG that is not loaded, those before its pixels.

    Broken EXIF blocks and texts longer than `LONGEST_TEXT` are none.
    """
    texts = png_texts(image)
    found = texts if tells(texts) else {**_exif_texts(image), **texts}
    comment = image.info.get("comment", b"") if image.format == "GIF" else b""
    return Metadata(
        parameters=_short(found.get(PARAMETERS) or _decoded(comment)),
        story=found.get(STORY, ""),
        graph=found.get(GRAPH, ""),
        workflow=found.get(WORKFLOW, ""),
        texts=texts,
    )


def png_texts(image: Image) -> dict[str, str]:
    """The text chunks of a PNG as far as it has been read, by keyword."""
    if image.format != "PNG":
        return {}
    texts = {str(key): str(text) for key, text in image.info.items() if isinstance(text, str)}
    return {key: text for key, text in texts.items() if len(text) <= LONGEST_TEXT}


def tells(texts: Mapping[str, str]) -> bool:
    """Whether texts tell how the picture was made."""
    return any(texts.get(key) for key in (PARAMETERS, STORY, GRAPH))


def _exif_texts(image: Image) -> dict[str, str]:
    try:
        exif = image.getexif()
        folder: dict[int, Any] = exif.get_ifd(_EXIF_FOLDER)
        tags = [str(exif.get(tag, "")) for tag in (_CAMERA_MODEL, _CAMERA_MAKE)]
    except Exception:  # a broken EXIF block leaves a picture without texts
        return {}
    comment, note = folder.get(_USER_COMMENT, b""), folder.get(_MAKER_NOTE, b"")
    texts = {PARAMETERS: comment if isinstance(comment, str) else decoded_comment(bytes(comment or b""))}
    if isinstance(note, bytes) and note.startswith(_STORY_MARK):
        texts[STORY] = _decoded(note.removeprefix(_STORY_MARK))
    for tag in tags:
        keyword, colon, text = tag.partition(":")
        if colon and keyword in (GRAPH, WORKFLOW):
            texts[keyword] = text
    return {keyword: _short(text) for keyword, text in texts.items()}


def _decoded(text: bytes | str) -> str:
    return text if isinstance(text, str) else text.decode("utf-8", "replace").rstrip("\0")


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else ""


def decoded_comment(comment: bytes) -> str:
    """An EXIF UserComment: eight bytes name the character set, then comes the text.

    "UNICODE" is UTF-16 in either byte order, as writers please; whichever has more ASCII is right.
    """
    charset, text = comment[:_CHARSET_LENGTH].rstrip(b"\0 "), comment[_CHARSET_LENGTH:]
    if charset == b"UNICODE":
        big, little = (text.decode(f"utf-16-{order}", "replace") for order in ("be", "le"))
        found = big if _ascii_letters(big) >= _ascii_letters(little) else little
        return found.lstrip("\ufeff").rstrip("\0")
    if charset in (b"", b"ASCII"):
        return text.decode("utf-8", "replace").rstrip("\0")
    return comment.decode("utf-8", "replace")


def _ascii_letters(text: str) -> int:
    return len(text.encode("ascii", "ignore"))


def exif_with(texts: Mapping[str, str]) -> bytes:
    """An EXIF block with the infotext, as piexif writes it for A1111 (UTF-16, big-endian), and our story.

    Both tags are of the type UNDEFINED, without which piexif does not read a comment; Pillow would write
    them as BYTE.
    """
    tags: dict[int, bytes] = {}
    if texts.get(STORY):
        tags[_MAKER_NOTE] = _STORY_MARK + writable(texts[STORY]).encode()
    if texts.get(PARAMETERS):
        tags[_USER_COMMENT] = _UNICODE + writable(texts[PARAMETERS]).encode("utf-16-be")
    if not tags:
        return b""
    return _EXIF_MARK + _EXIF_START + _exif_folder(tags, offset=len(_EXIF_START))


def _exif_folder(tags: Mapping[int, bytes], offset: int) -> bytes:
    """A folder of a TIFF file (TIFF 6.0, section 2) that begins at `offset`, and its values behind it."""
    entries, values = [], b""
    values_at = offset + 2 + 12 * len(tags) + 4
    for tag in sorted(tags):
        value = tags[tag]
        entries.append(struct.pack(">HHII", tag, _UNDEFINED, len(value), values_at + len(values)))
        values += value + b"\0" * (len(value) % 2)
    return struct.pack(">H", len(entries)) + b"".join(entries) + struct.pack(">I", 0) + values

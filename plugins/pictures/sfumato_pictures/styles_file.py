"""One styles.csv, read and written so that nothing in it is lost."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from sfumato.atomic import write_atomically
from sfumato.errors import BadInput

Row = dict[str, str]

COMMENT = "#"
_COLUMNS = ("name", "prompt", "negative_prompt")
_OLD_PROMPT = "text"
_LARGEST = 50 * 2**20
"""Bytes; collections of thousands of styles have a few MB."""


class StylesFile:
    """A file as it is on disk now; one that does not exist is empty.

    Raises:
        BadInput: it is no styles.csv.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns = list(_COLUMNS)
        self._rows: list[list[str]] = []
        """As they stand there: comments, blank lines and cells without a column among them."""
        if path.exists():
            self._read()

    def styles(self) -> list[Row]:
        """The rows that are styles, the prompt under "prompt" whatever its column is called."""
        rows = (dict(zip(self._columns, cells, strict=False)) for cells in self._rows)
        return [
            {**row, "prompt": row.get("prompt", row.get(_OLD_PROMPT, ""))}
            for row in rows
            if row.get("name") and not row["name"].startswith(COMMENT)
        ]

    def put(self, values: Row) -> None:
        """Write a style in the place of the one of its name, or at the end; its other columns stay."""
        values = dict(values)
        if "prompt" not in self._columns and _OLD_PROMPT in self._columns:
            values[_OLD_PROMPT] = values.pop("prompt")
        self._columns += [column for column in values if column not in self._columns]
        same = [cells for cells in self._rows if self._name(cells) == values["name"]]
        cells = same[-1] if same else []
        if not same:
            self._rows.append(cells)
        cells += [""] * (len(self._columns) - len(cells))
        for column, value in values.items():
            cells[self._columns.index(column)] = value
        self._write()

    def remove(self, name: str) -> None:
        """Take out the style of that name, if there is one."""
        kept = [cells for cells in self._rows if self._name(cells) != name]
        if len(kept) < len(self._rows):
            self._rows = kept
            self._write()

    def _name(self, cells: list[str]) -> str:
        return dict(zip(self._columns, cells, strict=False)).get("name", "")

    def _read(self) -> None:
        try:
            if self.path.stat().st_size > _LARGEST:
                raise ValueError("it is too large")
            text = self.path.read_bytes().decode("utf-8-sig")
            rows = list(csv.reader(io.StringIO(text, newline=""), skipinitialspace=True))
        except (OSError, ValueError, csv.Error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise BadInput(f"The styles in '{self.path}' cannot be read.", why=f"{reason}.") from error
        if not rows:
            return
        self._columns, self._rows = [column.strip() for column in rows[0]], rows[1:]
        if "name" not in self._columns:
            raise BadInput(
                f"'{self.path}' is no file of styles.",
                why=f"Its first line has no column 'name' but {', '.join(map(repr, self._columns[:5]))}.",
                hint="The first line of a styles.csv is: name,prompt,negative_prompt",
            )

    def _write(self) -> None:
        """As A1111 writes it: with a byte order mark, by which spreadsheets know the encoding."""
        content = io.StringIO(newline="")
        csv.writer(content).writerows([self._columns, *self._rows])
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, content.getvalue().encode("utf-8-sig", "replace"))
        except OSError as error:
            raise BadInput(
                f"The styles could not be written to '{self.path}'.",
                why=f"{error.strerror or error}.",
                hint="Name another file: sfumato settings set saving.styles_files FILE",
            ) from error

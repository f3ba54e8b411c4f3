"""A1111's options: what clients have set is kept in the studio's database, all else has its default.

The keys are those of A1111 1.10 and Forge. Most of them mean something for their own pages alone; they are
kept and given back, because clients send all that they were given when they change one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any

from sfumato_api_a1111.checkpoints import current_checkpoint, find_checkpoint
from sfumato_api_a1111.errors import failure

if TYPE_CHECKING:
    from sqlalchemy import Table

    from sfumato.studio import Studio

log = logging.getLogger(__name__)

CHECKPOINT = "sd_model_checkpoint"
CHECKPOINT_HASH = "sd_checkpoint_hash"
_READ_ONLY = "api_"
"""What such keys begin with: A1111 lets no client of its API change them."""


class OptionStore:
    """The options of one studio."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._read: dict[str, Any] | None = None

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """Every known key; what our settings decide is told from them."""
        text = resources.files(__package__).joinpath("option_defaults.json").read_text("utf-8")
        return {**json.loads(text), **_from_settings(self._studio)}

    def value(self, key: str) -> Any:
        """One option."""
        kept = self._kept()
        return kept[key] if key in kept else self.defaults[key]

    def values(self) -> dict[str, Any]:
        """All options, as a request that overrides none gets them."""
        return {**self.defaults, **self._kept()}

    def shown(self) -> dict[str, Any]:
        """All options as clients are told them, with the title and hash of the model in use."""
        values = self.values()
        found = current_checkpoint(values[CHECKPOINT], self._studio.library, self._studio.registries)
        if found is not None:
            values |= {CHECKPOINT: found.title, CHECKPOINT_HASH: found.sha256}
        return values

    def with_overrides(self, overrides: Mapping[str, Any] | None) -> dict[str, Any]:
        """All options with those of a request; an unknown model changes nothing, as in A1111.

        Raises:
            Refusal: there is no such key.
        """
        overrides = dict(overrides or {})
        self._check_keys(overrides)
        name = overrides.get(CHECKPOINT) or overrides.get(CHECKPOINT_HASH)
        overrides.pop(CHECKPOINT_HASH, None)
        if name and self._find(name):
            overrides[CHECKPOINT] = name
        elif overrides.pop(CHECKPOINT, None) or name:
            log.warning("There is no checkpoint '%s': the current one is used", name)
        return {**self.values(), **overrides}

    def put(self, changes: Mapping[str, Any]) -> None:
        """Keep these values for all requests to come, all or none.

        Raises:
            Refusal: there is no such key, or no such checkpoint.
        """
        self._check_keys(changes)
        kept = {key: value for key, value in changes.items() if not key.startswith(_READ_ONLY)}
        kept.pop(CHECKPOINT_HASH, None)
        name = kept.get(CHECKPOINT)
        if name:
            found = self._find(name)
            if found is None:
                raise failure(f"Unknown checkpoint: {name}", error="RuntimeError")
            kept[CHECKPOINT] = found.request_name
        else:
            kept.pop(CHECKPOINT, None)
        if kept:
            self._write(kept)

    def _find(self, name: Any) -> Any:
        return find_checkpoint(str(name), self._studio.library, self._studio.registries)

    def _check_keys(self, values: Mapping[str, Any]) -> None:
        unknown = next((key for key in values if key not in self.defaults), None)
        if unknown is not None:
            raise failure(f"Unknown option: {unknown}", error="RuntimeError")

    @cached_property
    def _table(self) -> Table:
        from sqlalchemy import Column, MetaData, Table, Text

        tables = MetaData()
        table = Table(
            "a1111_options",
            tables,
            Column("key", Text, primary_key=True),
            Column("value", Text, nullable=False),
        )
        self._studio.database.create(tables)
        return table

    def _kept(self) -> dict[str, Any]:
        """What clients have set; read once, for progress asks for it again and again."""
        if self._read is None:
            self._read = self._from_database()
        return self._read

    def _from_database(self) -> dict[str, Any]:
        from sqlalchemy import select

        query = select(self._table.c.key, self._table.c.value)
        with self._studio.database.reading() as connection:
            rows = connection.execute(query).all()
        return {key: json.loads(value) for key, value in rows if key in self.defaults}

    def _write(self, values: Mapping[str, Any]) -> None:
        """Defaults are not kept: who sends all back would hold our settings to what they were then."""
        from sqlalchemy import delete, insert

        changed = {key: value for key, value in values.items() if value != self.defaults[key]}
        rows = [{"key": key, "value": json.dumps(value)} for key, value in changed.items()]
        table = self._table
        with self._studio.database.writing() as connection:
            connection.execute(delete(table).where(table.c.key.in_(list(values))))
            if rows:
                connection.execute(insert(table), rows)
        self._read = None


def _from_settings(studio: Studio) -> dict[str, Any]:
    """Options that our settings decide until a client says otherwise."""
    settings = studio.settings
    output = str(settings.general.output_folder)
    outputs = ("samples", "txt2img_samples", "img2img_samples", "extras_samples", "grids", "txt2img_grids")
    return {
        "samples_format": "jpg" if settings.saving.format == "jpeg" else settings.saving.format,
        "grid_format": "jpg" if settings.saving.grid_format == "jpeg" else settings.saving.grid_format,
        "jpeg_quality": settings.saving.quality,
        "webp_lossless": settings.saving.webp_lossless,
        "save_images_add_number": settings.saving.number_files,
        "live_previews_enable": settings.engine.preview_every > 0,
        "show_progress_every_n_steps": settings.engine.preview_every,
        "sd_checkpoints_limit": max(settings.engine.keep_models, 1),
        "api_enable_requests": settings.api_a1111.fetch_addresses,
        "api_forbid_local_requests": not settings.api_a1111.fetch_local_addresses,
        **{f"outdir_{name}": output for name in (*outputs, "img2img_grids", "save", "init_images")},
    }

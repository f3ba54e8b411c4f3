"""Pictures saved as the settings say: which format, which folder, which name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato_pictures.file_names import render, render_folder
from sfumato_pictures.formats import PictureFormat, encode_picture
from sfumato_pictures.saving import PictureFolder
from sfumato_pictures.settings import SavingSettings

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class SavedPicture:
    """A picture on disk.

    Attributes:
        warnings: What could not be kept, in words.
    """

    path: Path
    warnings: tuple[str, ...] = ()


class PictureWriter:
    """Saves pictures into a folder and the folders in it that the settings name.

    Args:
        folder: Made when it does not exist.

    Raises:
        SfumatoError: the folder cannot be made or written to.
    """

    def __init__(self, folder: Path, settings: SavingSettings) -> None:
        self._settings = settings
        self._root = PictureFolder(folder, numbered=settings.number_files)
        self._folders: dict[Path, PictureFolder] = {folder: self._root}

    def save(
        self,
        pixels: ArrayLike,
        texts: Mapping[str, str],
        known: Mapping[str, object],
        *,
        format: PictureFormat | None = None,
        announce: Callable[[Path], None] = lambda path: None,
    ) -> SavedPicture:
        """Write a picture.

        Args:
            pixels: uint8 [h, w, 3], or 4 with alpha; an array, or a tensor on the CPU.
            texts: By `metadata.PARAMETERS` and `STORY`.
            known: Of the picture, for its name, see `placeholders.Known`; its size is known from the pixels.
            format: Another one than the settings say.
            announce: Told of the path right before the picture appears there.

        Raises:
            SfumatoError: the disk is full or the folder not writable; nothing is left behind then.
        """
        import numpy as np

        array, settings = np.asarray(pixels), self._settings
        encoded = encode_picture(
            array,
            texts,
            format=format or settings.format,
            quality=settings.quality,
            lossless=settings.webp_lossless,
        )
        height, width = array.shape[:2]
        values = {"width": width, "height": height, "image": np.ascontiguousarray(array), **known}
        folder = self._folder(settings.folder_name, values)
        name = render(settings.file_name, values)
        path = folder.save(encoded.content, name, encoded.suffix, announce=announce)
        return SavedPicture(path, encoded.warnings)

    def _folder(self, pattern: str, values: Mapping[str, object]) -> PictureFolder:
        path = self._root.path / render_folder(pattern, values)
        if path not in self._folders:
            self._folders[path] = PictureFolder(path, numbered=self._settings.number_files)
        return self._folders[path]

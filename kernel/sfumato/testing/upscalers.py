"""The contracts of upscalers and face restorers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from sfumato.registry import Entry
from sfumato.testing.analytic import normal
from sfumato.testing.entries import EntryContract
from sfumato.upscaling import FaceRestorerInfo, UpscaleContext, UpscalerInfo

if TYPE_CHECKING:
    from torch import Tensor

SIZES = ((32, 24), (17, 31), (8, 6), (16, 12))
"""Of a picture of 16 x 12: larger, of other proportions, smaller, the same."""


class UpscalerContract(EntryContract):
    """What a registered upscaler promises: exactly the size asked for, and nothing that is no picture."""

    registry: ClassVar[str] = "upscalers"

    def write_file(self, folder: Path) -> Path:
        """A tiny file for an upscaler that reads files; others need none."""
        raise NotImplementedError(f"{type(self).__name__} has to write a file for the upscaler")

    @pytest.fixture
    def context(self, entry: Entry[UpscalerInfo], tmp_path: Path) -> UpscaleContext:
        return UpscaleContext(path=self.write_file(tmp_path) if entry.info.files else None)

    @pytest.fixture
    def given(self, entry: Entry[UpscalerInfo]) -> Tensor:
        """Two pictures of 16 x 12, or latents of that size."""
        if entry.info.works_on == "latents":
            return normal((2, 4, 12, 16)).float()
        return normal((2, 3, 12, 16)).float().mul(0.2).add(0.5).clamp(0, 1)

    @pytest.mark.parametrize("size", SIZES, ids=str)
    def test_it_comes_to_the_size_asked_for(
        self, entry: Entry[UpscalerInfo], context: UpscaleContext, given: Tensor, size: tuple[int, int]
    ) -> None:
        width, height = size
        found = entry.load()(given, width, height, context)
        assert found.shape == (*given.shape[:2], height, width)
        assert found.dtype == given.dtype
        assert found.isfinite().all()
        if entry.info.works_on == "pixels":
            assert found.min() >= 0, "pixels are in 0..1: clamp what overshoots"
            assert found.max() <= 1, "pixels are in 0..1: clamp what overshoots"

    def test_a_batch_equals_its_single_pictures(
        self, entry: Entry[UpscalerInfo], context: UpscaleContext, given: Tensor
    ) -> None:
        import torch

        together = entry.load()(given, 24, 18, context)
        for i in range(2):
            alone = entry.load()(given[i : i + 1], 24, 18, context)
            torch.testing.assert_close(alone, together[i : i + 1])

    def test_what_was_given_is_left_unchanged(
        self, entry: Entry[UpscalerInfo], context: UpscaleContext, given: Tensor
    ) -> None:
        before = given.clone()
        for width, height in SIZES:
            entry.load()(given, width, height, context)
        assert given.equal(before)


class FaceRestorerContract(EntryContract):
    """What a registered face restorer promises, whether or not it finds a face."""

    registry: ClassVar[str] = "face_restorers"

    def pictures(self) -> list[Tensor]:
        """Uint8 [h, w, 3] each: noise, black, one pixel; add one with a face that yours finds."""
        import torch

        generator = torch.Generator().manual_seed(5)
        noise = torch.randint(0, 256, (24, 32, 3), generator=generator, dtype=torch.uint8)
        return [noise, torch.zeros_like(noise), noise[:1, :1]]

    def test_a_picture_keeps_its_shape_and_is_left_unchanged_itself(
        self, entry: Entry[FaceRestorerInfo]
    ) -> None:
        import torch

        for picture in self.pictures():
            before = picture.clone()
            found = entry.load()(picture, {}, UpscaleContext())
            assert (found.dtype, found.shape) == (torch.uint8, picture.shape)
            assert picture.equal(before)

    def test_the_same_picture_is_mended_in_the_same_way(self, entry: Entry[FaceRestorerInfo]) -> None:
        import torch

        for picture in self.pictures():
            first = entry.load()(picture, {}, UpscaleContext())
            torch.rand(3)  # the program's own random numbers go on meanwhile
            assert entry.load()(picture, {}, UpscaleContext()).equal(first)

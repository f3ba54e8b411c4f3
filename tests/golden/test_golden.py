"""Every request of the matrix gives the latents that are kept, alone and in a batch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from .kept import kept_arrays, kept_hashes, kind_of_machine, sha256
from .matrix import MATRIX, Gallery
from .models import write_models, write_pictures

KEPT = kept_arrays()
HASHES = kept_hashes()
each_case = pytest.mark.parametrize("case", MATRIX)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    folder = tmp_path_factory.mktemp("golden")
    write_models(folder)
    write_pictures(folder)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums are split up by threads, and round otherwise
    yield Gallery(folder)
    torch.set_num_threads(threads)


def test_the_whole_matrix_is_kept() -> None:
    assert list(KEPT) == list(HASHES["sha256"]) == list(MATRIX)


@each_case
def test_latents_are_those_that_are_kept(gallery: Gallery, case: str) -> None:
    found = gallery.latents(case)
    torch.testing.assert_close(found, KEPT[case], rtol=1e-3, atol=1e-3)
    if kind_of_machine() == HASHES["machine"]:
        assert sha256(found) == HASHES["sha256"][case]


@each_case
def test_a_picture_is_the_same_in_a_batch(gallery: Gallery, case: str) -> None:
    found = gallery.latents(case, seed=1233, batch_size=2)
    torch.testing.assert_close(found[1:], KEPT[case], rtol=1e-3, atol=1e-3)


def test_no_two_requests_of_the_matrix_give_the_same() -> None:
    by_hash = {digest: case for case, digest in HASHES["sha256"].items()}
    assert len(by_hash) == len(MATRIX)

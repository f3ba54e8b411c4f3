"""A short run of the mutated headers; the long one is a script."""

from __future__ import annotations

from .fuzz_reader import mutated, originals, read_all, run


def test_the_files_that_are_mutated_are_sound() -> None:
    assert {read_all(original) for original in originals()} == {"read"}


def test_a_case_is_the_same_wherever_it_runs() -> None:
    assert mutated(7) == mutated(7)
    assert len({mutated(number) for number in range(100)}) > 90


def test_mutated_headers_end_in_a_header_or_in_words_soon_and_in_little_memory() -> None:
    endings = run(0, 2_000)
    assert endings.keys() == {"read", "refused"}
    assert endings.total() == 2_000

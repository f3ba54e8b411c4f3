"""Which type a part computes in."""

from __future__ import annotations

import pytest
import torch

from sfumato.errors import BadInput
from sfumato_networks.compute_types import LARGE, compute_type, cpu_computes_bfloat16


@pytest.mark.parametrize("stored", ["F16", "F32", "F8_E4M3", "Q4_K", "BF16"])
def test_nothing_computes_in_float16_on_a_cpu(stored: str) -> None:
    for parameters in (1, 20 * LARGE):
        assert compute_type("auto", stored=stored, parameters=parameters, device="cpu") != torch.float16


def test_bfloat16_stays_on_a_cpu_that_knows_it() -> None:
    expected = torch.bfloat16 if cpu_computes_bfloat16() else torch.float32
    assert compute_type("auto", stored="BF16", parameters=1, device="cpu") == expected


@pytest.mark.parametrize("stored", ["Q4_K", "Q8_0", "NF4", "F8_E4M3"])
def test_quantised_weights_compute_in_bfloat16_where_a_processor_does(stored: str) -> None:
    expected = torch.bfloat16 if cpu_computes_bfloat16() else torch.float32
    assert compute_type("auto", stored=stored, parameters=1, device="cpu") == expected
    assert compute_type("auto", stored="F16", parameters=1, device="cpu") == torch.float32
    assert compute_type("auto", stored=stored, parameters=1, device="cuda") == torch.bfloat16
    assert (
        compute_type("auto", stored=stored, parameters=1, device="cuda", fits_float16=True) == torch.float16
    )


def test_large_weights_are_not_doubled_unasked() -> None:
    assert compute_type("auto", stored="F16", parameters=2 * LARGE, device="cpu") == torch.bfloat16
    assert compute_type("float32", stored="F16", parameters=2 * LARGE, device="cpu") == torch.float32


@pytest.mark.parametrize(
    ("stored", "expected"),
    [("F32", torch.float32), ("BF16", torch.bfloat16), ("F16", torch.bfloat16), ("F8_E4M3", torch.bfloat16)],
)
def test_a_gpu_computes_in_types_that_do_not_overflow(stored: str, expected: torch.dtype) -> None:
    assert compute_type("auto", stored=stored, parameters=1, device="cuda") == expected


@pytest.mark.parametrize(
    ("stored", "expected"),
    [("F32", torch.float16), ("BF16", torch.bfloat16), ("F16", torch.float16), ("F8_E4M3", torch.float16)],
)
def test_what_fits_float16_computes_in_it_on_a_gpu_alone(stored: str, expected: torch.dtype) -> None:
    def chosen(device: str) -> torch.dtype:
        return compute_type("auto", stored=stored, parameters=1, device=device, fits_float16=True)

    assert chosen("cuda") == expected
    assert chosen("cpu") != torch.float16


@pytest.mark.parametrize("wanted", ["float16", "int4", ""])
def test_impossible_wishes_are_refused(wanted: str) -> None:
    with pytest.raises(BadInput):
        compute_type(wanted, stored="F32", parameters=1, device="cpu")

"""Activations beside torch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from sfumato_networks.activations import GeluTanh, gelu_tanh


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gelu_is_torchs_own(grad: bool, dtype: torch.dtype) -> None:
    x = torch.cat((torch.linspace(-12, 12, 2001), torch.tensor([-1e4, 1e4, 0.0]))).to(dtype)
    with torch.set_grad_enabled(grad):
        torch.testing.assert_close(gelu_tanh(x), F.gelu(x, approximate="tanh"), atol=1e-6, rtol=1e-5)


def test_gelu_leaves_its_input_alone_and_can_be_trained() -> None:
    x = torch.randn(5, requires_grad=True)
    GeluTanh()(x).sum().backward()
    assert x.grad is not None
    with torch.no_grad():
        before = x.clone()
        gelu_tanh(x)
        assert torch.equal(x, before)

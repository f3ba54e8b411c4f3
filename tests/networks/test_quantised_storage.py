"""Quantised weights told by the names of the tensors that lie beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfumato.errors import CheckpointError
from sfumato_networks.part_loading import load_clip_text, load_t5_encoder
from sfumato_networks.parts import recognise
from sfumato_networks.quantised_storage import quantisation_of, refuse_quantised
from sfumato_networks.safetensors_file import MappedTensors

from ..tiny_models import TinyFlux
from ..tiny_models.files import save

LAYER = "encoder.block.0.layer.0.SelfAttention.q"
FORMS = [
    ([f"{LAYER}.weight.absmax", f"{LAYER}.weight.quant_state.bitsandbytes__nf4"], "bitsandbytes NF4"),
    ([f"{LAYER}.weight.absmax", f"{LAYER}.weight.quant_state.bitsandbytes__fp4"], "bitsandbytes FP4"),
    ([f"{LAYER}.weight.absmax", f"{LAYER}.weight.quant_map"], "bitsandbytes"),
    ([f"{LAYER}.SCB"], "bitsandbytes int8"),
    ([f"{LAYER}.qweight", f"{LAYER}.wscales"], "Nunchaku SVDQuant"),
    ([f"{LAYER}.qweight", f"{LAYER}.qzeros"], "GPTQ or AWQ"),
    ([f"{LAYER}.comfy_quant", f"{LAYER}.weight_scale", f"{LAYER}.weight_scale_2"], "NVFP4"),
    ([f"{LAYER}.comfy_quant", f"{LAYER}.weight_scale"], "ComfyUI"),  # one of its formats that is not read
    ([f"{LAYER}.scale_weight"], "scaled float8"),
    ([f"{LAYER}.weight_scale"], "scaled float8"),
    (["scaled_fp8"], "scaled float8"),
    ([f"{LAYER}.weight_scale_inv"], "each block"),
]


@pytest.mark.parametrize(("beside", "form"), FORMS)
def test_each_form_is_told_by_what_lies_beside_the_weights(beside: list[str], form: str) -> None:
    found = quantisation_of([f"{LAYER}.weight", *beside])
    assert found is not None
    assert form in found.label


def test_plain_weights_are_not_taken_for_quantised_ones() -> None:
    names = ["norm.query_norm.scale", "logit_scale", "layer.weight", "layer.bias", "scale_shift_table"]
    assert quantisation_of(names) is None


def test_a_quantised_t5_is_refused_by_the_name_of_its_form(tmp_path: Path) -> None:
    packed = {f"{LAYER}.weight": torch.zeros(512, 1, dtype=torch.uint8)}
    marks = {f"{LAYER}.weight.quant_state.bitsandbytes__nf4": torch.zeros(9, dtype=torch.uint8)}
    path = save(tmp_path / "t5xxl_nf4.safetensors", {**TinyFlux().t5(), **packed, **marks})
    opened = MappedTensors(path)
    (part,) = recognise(opened.header)
    told = r"t5xxl_nf4\.safetensors.*NF4.*plugin sfumato-quant-bnb.*pip install.*bf16"
    with pytest.raises(CheckpointError, match=told):
        load_t5_encoder(part, opened, torch.float32, "cpu")


def test_a_quantised_clip_is_refused_by_the_name_of_its_form(tmp_path: Path) -> None:
    path = save(tmp_path / "clip_l.safetensors", {**TinyFlux().clip(), "scaled_fp8": torch.zeros(0)})
    opened = MappedTensors(path)
    (part,) = recognise(opened.header)
    with pytest.raises(CheckpointError, match="scaled float8"):
        load_clip_text(part, opened, torch.float32, "cpu")


def test_what_no_plugin_reads_is_refused_with_what_to_get_instead() -> None:
    with pytest.raises(CheckpointError, match=r"SVDQuant weights, which no plugin reads.*as GGUF, NF4"):
        refuse_quantised([f"{LAYER}.qweight", f"{LAYER}.wscales"], "svdq.safetensors")

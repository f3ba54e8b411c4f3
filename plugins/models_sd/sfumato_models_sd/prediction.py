"""What a UNet predicts, noise (eps) or velocity (v), as far as anything says so. Imports no torch.

Weights have the same names and shapes either way. Trainers leave marks: tensors called ``v_pred`` and
``ztsnr`` (NoobAI and models made from it; ComfyUI and Forge go by them), metadata (modelspec, kohya's), a
diffusers scheduler, or a .yaml of the checkpoint's name beside it (AUTOMATIC1111 goes by that).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sfumato.errors import CheckpointError
from sfumato.models import CheckpointHeader

UNetPrediction = Literal["eps", "v"]

_YAML_LIMIT = 100_000
_PARAMETERIZATION = re.compile(r"""^\s*parameterization:\s*["']?(\w+)""", re.MULTILINE)
_WORDS: dict[str, UNetPrediction] = {
    "eps": "eps",
    "epsilon": "eps",
    "v": "v",
    "v_prediction": "v",
    "velocity": "v",
}


@dataclass(frozen=True)
class Trained:
    """How a model was trained: what it predicts, and whether up to pure noise (zero terminal SNR)."""

    prediction: UNetPrediction
    zero_snr: bool = False


def stated(header: CheckpointHeader) -> Trained | None:
    """What the checkpoint, or a file beside it, says; None where nothing does.

    Raises:
        CheckpointError: a scheduler says something else.
    """
    sources: tuple[Callable[[CheckpointHeader], Trained | None], ...] = (
        _by_tensors,
        _by_scheduler,
        _by_metadata,
        _by_yaml,
    )
    return next((found for source in sources if (found := source(header))), None)


def _by_tensors(header: CheckpointHeader) -> Trained | None:
    if any(_is_mark(name, "v_pred") for name in header.tensors):
        return Trained("v", any(_is_mark(name, "ztsnr") for name in header.tensors))
    return None


def _is_mark(name: str, mark: str) -> bool:
    return name in (mark, f"model.diffusion_model.{mark}")


def _by_scheduler(header: CheckpointHeader) -> Trained | None:
    config = header.configs.get("scheduler", {})
    if "prediction_type" not in config:
        return None
    prediction = _WORDS.get(str(config["prediction_type"]))
    if prediction is None:
        raise CheckpointError(
            f"'{header.path.name}' predicts neither noise nor velocity.",
            why=f"Its scheduler_config.json speaks of '{config['prediction_type']}'.",
            hint="Choose another model; these two are what can be drawn with.",
        )
    return Trained(prediction, config.get("rescale_betas_zero_snr") is True)


def _by_metadata(header: CheckpointHeader) -> Trained | None:
    metadata = header.metadata
    zero_snr = metadata.get("ss_zero_terminal_snr", "").lower() == "true"
    if metadata.get("ss_v_parameterization", "").lower() == "true":
        return Trained("v", zero_snr)
    prediction = _WORDS.get(metadata.get("modelspec.prediction_type", "").lower())
    return Trained(prediction, zero_snr) if prediction else None


def _by_yaml(header: CheckpointHeader) -> Trained | None:
    file = header.path.with_suffix(".yaml")
    if header.layout != "single_file" or not file.is_file() or file.stat().st_size > _YAML_LIMIT:
        return None
    match = _PARAMETERIZATION.search(file.read_text(encoding="utf-8", errors="replace"))
    # LDM's default is eps: a file that does not say anything means that.
    prediction = _WORDS.get(match[1].lower()) if match else "eps"
    return Trained(prediction) if prediction else None

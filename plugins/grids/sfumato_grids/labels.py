"""What AUTOMATIC1111 and Forge call the axes of their X/Y/Z plot, and what stands for it in a request."""

from __future__ import annotations

from collections.abc import Mapping

FORGE_LABELS: Mapping[str, str] = {
    "Nothing": "nothing",
    "Seed": "seed",
    "Var. seed": "variation_seed",
    "Var. strength": "variation_strength",
    "Steps": "steps",
    "Hires steps": "hires.steps",
    "CFG Scale": "cfg_scale",
    "Distilled CFG Scale": "model_options.guidance",
    "Prompt S/R": "prompt_replace",
    "Prompt order": "prompt_order",
    "Sampler": "sampler",
    "Hires sampler": "hires.sampler",
    "Checkpoint name": "model",
    "Negative Guidance minimum sigma": "negative_minimum_sigma",
    "Sigma Churn": "sampler_options.s_churn",
    "Sigma min": "sampler_options.s_tmin",
    "Sigma max": "sampler_options.s_tmax",
    "Sigma noise": "sampler_options.s_noise",
    "Schedule type": "scheduler",
    "Schedule min sigma": "sampler_options.sigma_min",
    "Schedule max sigma": "sampler_options.sigma_max",
    "Schedule rho": "sampler_options.rho",
    "Beta schedule alpha": "sampler_options.alpha",
    "Beta schedule beta": "sampler_options.beta",
    "Eta": "sampler_options.eta",
    "Clip skip": "clip_skip",
    "Initial noise multiplier": "img2img.noise_multiplier",
    "Hires upscaler": "hires.upscaler",
    "Cond. Image Mask Weight": "inpaint.conditioning_mask_weight",
    "VAE": "parts.autoencoder",
    "Styles": "styles",
    "UniPC Order": "sampler_options.order",
    "Face restore": "face_restorer",
    "Refiner checkpoint": "refiner.model",
    "Refiner switch at": "refiner.switch_at",
    "RNG source": "noise_source",
    "Size": "size",
}
"""Without those that ask for what Sfumato does not have (FP8 mode, token merging ...)."""

DENOISING_LABELS = ("Denoising", "Denoising strength")
DENOISING = ("hires.denoising_strength", "img2img.denoising_strength")
"""Of the hires pass where there is one, else of img2img."""


def label_of(path: str) -> str:
    """What A1111 calls the axis; nothing where it has no such axis."""
    if path in DENOISING:
        return DENOISING_LABELS[0]
    return next((label for label, field in FORGE_LABELS.items() if field == path), "")

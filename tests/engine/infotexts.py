"""Infotexts of A1111 and Forge that more than one module reads."""

from __future__ import annotations

SAILOR = (
    "old sailor, (detailed skin:1.2), [blurry]\nNegative prompt: lowres, (watermark:1.4)\n"
    "Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 5.5, Seed: 42, Size: 832x1216, "
    "Model hash: 9e77c0a1b3, Model: northlight, VAE hash: 235745af8d, VAE: sdxl_vae.safetensors, "
    "Clip skip: 2, Version: v1.10.1"
)
STREET = (
    'city street\nat night, neon: pink, "OPEN" sign\nNegative prompt: people\ncars\n'
    "Steps: 24, Sampler: UniPC, CFG scale: 7.0, Seed: 77, Size: 640x448, Model: harbor_v3, Version: v1.8.0"
)
ROBOT = (
    "brass robot\nSteps: 20, Sampler: Euler, Schedule type: Simple, CFG scale: 1.0, "
    "Distilled CFG Scale: 3.5, Seed: 314, Size: 896x1152, Model: flux1-dev-Q8_0, "
    "Version: f2.0.1v1.10.1-previous-1-gdeadbee, "
    "Diffusion in Low Bits: Automatic (fp16 LoRA), Module 1: ae, Module 2: clip_l, Module 3: t5xxl_fp8_e4m3fn"
)
OLD = (
    "old form\n"
    "Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 9, Size: 512x704, Model hash: 7460a6fa"
)

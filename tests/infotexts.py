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

LINE = "Steps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7.0, Seed: 5, Size: 512x512"

LIGHTHOUSE = f"lighthouse\n{LINE}, Model hash: 4fa1b20c9d, Model: harbor_v3, Version: v1.10.1"
FOX = (
    "fox in snow, <lora:inkWash:0.8>\nNegative prompt: photo\n"
    "Steps: 30, Sampler: DPM++ SDE, Schedule type: Karras, CFG scale: 6, Seed: 3319, Size: 768x512, "
    'Model: meadow, Lora hashes: "inkWash: a1b2c3d4e5f6, paper-grain: 0f9e8d7c6b5a", Version: v1.9.4'
)
PLUMS = (
    "bowl of plums\nSteps: 15, Sampler: DDIM, CFG scale: 4.0, Seed: 8, Size: 512x512, "
    "Denoising strength: 0.4, Hires resize: 1024x0, Hires upscaler: Latent, Version: v1.10.1"
)
DOOR = (
    "red door\nSteps: 20, Sampler: Euler a, Seed: 11, Size: 512x512, Mask mode: Inpaint not masked, "
    "Mask blur: 4, Inpaint area: Only masked, Masked area padding: 32, Masked content: fill, Version: v1.8.0"
)
BEETLE = (
    "ein Käfer - „grün“\nNegative prompt: 低品質\nSteps: 12, Sampler: LCM, CFG scale: 1.5, Seed: 4294967293, "
    'Size: 512x512, ControlNet 0: "Module: canny, Model: cn_canny [d14c016b], Weight: 1.0", Version: v1.10.1'
)
ONLY_NEGATIVE = (
    "Negative prompt: only a negative\nSteps: 4, Sampler: Euler, CFG scale: 1.0, Seed: 1, Size: 64x64"
)

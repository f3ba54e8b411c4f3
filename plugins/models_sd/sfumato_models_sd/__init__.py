"""Stable Diffusion for Sfumato: 1.5, 2.1, SDXL with refiner, inpainting variants, SD3 and 3.5."""

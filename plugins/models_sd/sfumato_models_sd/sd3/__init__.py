"""Stable Diffusion 3 and 3.5: multimodal diffusion transformers with three text encoders."""

"""How much memory a UNet needs beyond its weights, from sizes alone."""

from __future__ import annotations

from sfumato_models_sd.config import LayerSizes, UNetConfig


def peak_values(config: UNetConfig, latents: int) -> int:
    """Numbers held at the peak for one picture of so many latents (h·w): kept maps and one layer's own."""
    pixels, kept, peak = latents, 0, 0
    for block in config.input_blocks:
        for layer in block:
            peak = max(peak, kept + pixels * _values_a_pixel(layer))
            if layer.kind == "downsample":
                pixels //= 4
        kept += pixels * block[-1].out_channels
    for block in (config.middle_block, *config.output_blocks):
        for layer in block:
            if layer.kind == "upsample":
                pixels *= 4
            peak = max(peak, kept + pixels * _values_a_pixel(layer))
    return peak


def _values_a_pixel(layer: LayerSizes) -> int:
    """Measured on a CPU in float32; what an allocator keeps for itself is in it."""
    if layer.kind == "transformer":
        return 32 * layer.in_channels  # around the MLP, whose gated layer is eight times as wide
    return 5 * layer.in_channels + 5 * layer.out_channels

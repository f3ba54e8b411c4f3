"""The sizes of a Chroma transformer and what tensors such a one has. Imports no torch: detection uses it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sfumato_models_flux.config import FluxConfig, block_shapes, linear, read_sizes
from sfumato_networks.made_tensors import Shape
from sfumato_networks.shapes import count_blocks

APPROXIMATOR = "distilled_guidance_layer"
_MODULATIONS = ("img_mod.", "txt_mod.", "modulation.")


@dataclass(frozen=True)
class ChromaConfig(FluxConfig):
    """Sizes of a Chroma transformer; the defaults are those of Chroma1.

    ``approximator_features`` describe to the approximator which modulation it is to make, and when;
    ``approximator_size`` and ``approximator_layers`` are its own width and depth. There is no pooled text and
    no distilled guidance.
    """

    vector_size: int = 0
    guidance: bool = False
    approximator_features: int = 64
    approximator_size: int = 5120
    approximator_layers: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.approximator_features % 8:
            raise ValueError(f"its modulations are described by {self.approximator_features} features")

    @property
    def modulations(self) -> int:
        """Shifts, scales and gates of all blocks, then shift and scale of the final layer."""
        return 3 * self.single_blocks + 12 * self.double_blocks + 2

    @classmethod
    def from_shapes(cls, shapes: Mapping[str, Shape], *, axes: tuple[int, ...] | None = None) -> ChromaConfig:
        """The sizes that tensors with these names and shapes have: see `read_sizes`."""
        approximator_size, approximator_features = shapes[f"{APPROXIMATOR}.in_proj.weight"]
        return cls(
            **read_sizes(shapes, axes),
            approximator_features=approximator_features,
            approximator_size=approximator_size,
            approximator_layers=count_blocks(shapes, f"{APPROXIMATOR}.layers."),
        )


def expected_shapes(config: ChromaConfig) -> dict[str, Shape]:
    """The tensors of a transformer of these sizes: names in the original layout, and shapes."""
    blocks = block_shapes(config)
    return dict(_outer_shapes(config)) | {
        name: shape for name, shape in blocks.items() if not any(part in name for part in _MODULATIONS)
    }


def _outer_shapes(config: ChromaConfig) -> Iterator[tuple[str, Shape]]:
    D, width = config.hidden_size, config.approximator_size
    yield from linear("img_in", config.in_channels, D)
    yield from linear("txt_in", config.context_size, D)
    yield from linear(f"{APPROXIMATOR}.in_proj", config.approximator_features, width)
    for number in range(config.approximator_layers):
        yield from linear(f"{APPROXIMATOR}.layers.{number}.in_layer", width, width)
        yield from linear(f"{APPROXIMATOR}.layers.{number}.out_layer", width, width)
        yield f"{APPROXIMATOR}.norms.{number}.scale", (width,)
    yield from linear(f"{APPROXIMATOR}.out_proj", width, D)
    yield from linear("final_layer.linear", D, config.out_channels)

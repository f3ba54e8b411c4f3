"""Whether an adapter may fit a model, as far as headers tell. Imports no torch.

Only loading both tells for sure (`sfumato_adapters.reading`); in lists a "no" is worth a warning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import islice

from sfumato.models import CheckpointHeader, ModelInfo
from sfumato_adapters import families
from sfumato_adapters.families import input_width
from sfumato_adapters.kinds.delta import Shape
from sfumato_adapters.layouts import Section, layer_shapes, read_names

_BY_MODEL: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("flux", ""): (families.FLUX,),
    ("chroma", ""): (families.CHROMA, families.FLUX),  # made from Flux: most of its layers are the same
    ("sd", "sd1"): (families.SD1,),
    ("sd", "sd2"): (families.SD2,),
    ("sd", "sdxl"): (families.SDXL,),
    ("sd", "sdxl_refiner"): (families.REFINER,),
    ("sd3", ""): (families.SD3,),
    ("diffusers", "flux2_klein"): (families.FLUX2,),
    ("diffusers", "lumina2"): (families.LUMINA,),
    ("diffusers", "qwen_image"): (families.QWEN,),
    ("diffusers", "z_image"): (families.Z_IMAGE,),
}
"""The families of adapters that act on a model, by its family and variant."""

_WORDS = {768: families.SD1, 1024: families.SD2, 1280: families.REFINER, 2048: families.SDXL}
"""Who reads learned words of that many features, of all text encoders together."""


_SAMPLE = 240
"""Tensors that tell a width: layers repeat."""


def families_for(model: ModelInfo) -> tuple[str, ...]:
    """The families of adapters that act on a model; empty where that is not known."""
    variant = model.variant.removesuffix("_inpaint")
    return _BY_MODEL.get((model.family, variant)) or _BY_MODEL.get((model.family, ""), ())


def width_of(header: CheckpointHeader) -> int:
    """What most of a LoRA's layers in the network that draws read: its width; 0 where nothing tells."""
    some = dict(islice(header.tensors.items(), _SAMPLE))
    named = read_names(some)
    shapes: Mapping[str, Mapping[str, Shape]] = layer_shapes(
        named, {name: info.shape for name, info in some.items()}
    )
    drawing = [layer.stem for layer in named.layers if layer.name.section is Section.DIFFUSION]
    widths = Counter(width for stem in drawing if (width := input_width(shapes[stem])))
    return widths.most_common(1)[0][0] if widths else 0


def words_width(header: CheckpointHeader) -> int:
    """Features of a learned word, of all text encoders that it names together; 0 where it is none."""
    tensors = {name: info.shape for name, info in header.tensors.items() if info.shape}
    named = [shape[-1] for name, shape in tensors.items() if name in ("clip_l", "clip_g")]
    if named:
        return sum(named)
    shape = tensors.get("emb_params") or (next(iter(tensors.values())) if len(tensors) == 1 else ())
    return shape[-1] if shape else 0


def family_of_words(width: int) -> str:
    """Whose text encoders read learned words of so many features; empty where none does."""
    return _WORDS.get(width, "")


def lora_matches(family: str, width: int, model: ModelInfo) -> bool | None:
    """Whether a LoRA may fit; None where that is not known."""
    wanted = families_for(model)
    if not family or not wanted:
        return None
    if family not in wanted:
        return False
    own = model.sizes.get("hidden_size")
    return width == own if width and own else True


def words_match(width: int, model: ModelInfo) -> bool | None:
    """Whether a learned word may fit; None where that is not known."""
    own = model.sizes.get({"flux": "vector_size", "sd": "context_size"}.get(model.family, ""))
    return width == own if width and own else None

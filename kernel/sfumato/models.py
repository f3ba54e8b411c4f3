"""Models as the kernel knows them: what a file holds, what a family makes of it, what a loaded model can do.

No tensor library is imported here: a checkpoint is known by its header (tensor names, shapes, types), and the
loaded model is a protocol that the engine drives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from sfumato.noise_schedule import NoiseSchedule
from sfumato.request import RequestDefaults
from sfumato.sampling import Prediction

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.library import ModelLibrary

Layout = Literal["single_file", "diffusers_folder"]


@dataclass(frozen=True)
class TensorInfo:
    """A stored tensor: its type as the format spells it ("BF16", "Q4_K"), shape, and bytes in the file.

    `file` names the shard or part that holds it when a model is a folder; None means the header's own path.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int
    file: Path | None = None

    @property
    def size_bytes(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class CheckpointHeader:
    """All that is known of a checkpoint without reading a weight.

    For a diffusers folder the names are prefixed by the part ("transformer/…", "vae/…") and `configs` holds
    each part's config.json.
    """

    path: Path
    layout: Layout
    format: str
    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str] = field(default_factory=dict)
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: info.shape for name, info in self.tensors.items()}


@runtime_checkable
class WeightFormat(Protocol):
    """A file format for weights. Reading a header must not import a tensor library."""

    def read_header(self, path: Path) -> CheckpointHeader:
        """Raises `CheckpointError` when the file is damaged or unsafe."""
        ...

    def open_tensors(self, path: Path) -> Mapping[str, Tensor]:
        """The file's tensors by name, memory-mapped: nothing is read or copied until used."""
        ...


class WeightFormatInfo(BaseModel):
    """Which files a weight format claims."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    label: str
    suffixes: tuple[str, ...] = Field(default=(), description="File endings with the dot, lower case.")
    folder_marker: str = Field(default="", description="A file name whose presence makes a folder one model.")
    aliases: tuple[str, ...] = ()


class PartInfo(BaseModel):
    """A part of a model (transformer, autoencoder, text encoder ...) as detected in its header."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    kind: str = Field(description="'transformer', 'autoencoder', 'clip_text', 't5_encoder' ...")
    prefix: str = Field(default="", description="What its tensor names start with in the file.")
    dtype: str = Field(default="", description="The stored type of most of its weights.")
    parameters: int = Field(default=0, ge=0)
    size_bytes: int = Field(default=0, ge=0)


class ModelInfo(BaseModel):
    """A model as detection found it; `sfumato models show` prints it whole."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str = Field(description="File or folder name without suffix, or the registered name.")
    family: str
    variant: str = Field(default="", description="'dev', 'schnell' ...")
    label: str = ""
    path: Path
    layout: Layout = "single_file"
    format: str = "safetensors"
    prediction: Prediction = "flow"
    sizes: dict[str, Any] = Field(default_factory=dict, description="Widths, depths, channels as detected.")
    parts: tuple[PartInfo, ...] = Field(default=(), description="Parts found in this file or folder.")
    missing_parts: tuple[str, ...] = Field(default=(), description="Parts that must be found beside it.")
    defaults: RequestDefaults = RequestDefaults()
    options: dict[str, Any] = Field(default_factory=dict, description="Family options this model prefers.")
    ignores: tuple[str, ...] = Field(default=(), description="Request fields that have no effect on it.")
    metadata: dict[str, str] = Field(default_factory=dict)
    sees_picture: bool = Field(
        default=False,
        description="Whether it needs a picture and mask beside the prompt (inpainting models).",
    )

    @property
    def size_bytes(self) -> int:
        return sum(part.size_bytes for part in self.parts)


@dataclass(frozen=True)
class Placement:
    """Where a model is put: a torch device name, and a compute type by part kind ("float32", "bfloat16" ...).

    A part not named computes in `dtype`; "auto" leaves the choice to the family (never float16 on a CPU).
    `part_files` are taken for those kinds of parts, whatever the checkpoint holds or lies beside it. With
    `deferred`, weights stay where they are read from, and whoever loads the model places them, part by part.
    `quantisation` names what plain weights of large layers are packed into.
    """

    device: str = "cpu"
    dtype: str = "auto"
    part_dtypes: Mapping[str, str] = field(default_factory=dict)
    part_files: Mapping[str, Path] = field(default_factory=dict)
    deferred: bool = False
    quantisation: str = ""


@dataclass(frozen=True)
class LatentFormat:
    """How latents relate to pixels.

    Attributes:
        channels: Latent channels.
        name: Latents of the same name mean the same: "sd" (1.x and 2.x), "sdxl", "sd3", "flux" ...; empty for
            those of one model alone.
        pixels_per_latent: Pixels along each side behind one latent (8 for all current autoencoders).
        size_multiple: Width and height must be multiples of this many pixels.
        rgb_factors: Linear projection to colours for previews: one (r, g, b) row a channel, in -1..1; may be
        empty. rgb_bias: Added after the projection.
    """

    channels: int
    pixels_per_latent: int = 8
    size_multiple: int = 8
    rgb_factors: tuple[tuple[float, float, float], ...] = ()
    rgb_bias: tuple[float, float, float] = (0.0, 0.0, 0.0)
    name: str = ""


WeightedText = Sequence[tuple[str, float]]
"""Pieces of text in order, each with its attention weight (1.0 = as written)."""

Emphasis = Literal["original", "no_norm"]


@dataclass(frozen=True)
class TextEmbedding:
    """A learned word (textual inversion, https://arxiv.org/abs/2208.01618).

    Attributes:
        name: As it is written in prompts.
        identity: Of its content; two with the same are the same.
        path: Its file.
        vectors: What stands for the word, by kind of text encoder: [n, width] each.
    """

    name: str
    identity: str
    path: Path
    vectors: Mapping[str, Tensor] = field(compare=False)


@dataclass(frozen=True)
class PromptText:
    """One prompt as text encoders read it: no brackets are left, and nothing in it changes over the steps.

    Attributes:
        chunks: Encoded apart and put one after another; BREAK begins a new one. There is at least one.
        emphasis: How weights act on encoded tokens: "original" restores their mean afterwards, "no_norm" does
            not.
        clip_skip: Which layer of CLIP is taken, from the end: 1 is the last one.
        is_negative: Whether it is to be steered away from.
        embeddings: The learned words that may occur in it.
    """

    chunks: tuple[WeightedText, ...]
    emphasis: Emphasis = "original"
    clip_skip: int = 1
    is_negative: bool = False
    embeddings: tuple[TextEmbedding, ...] = ()


@dataclass(frozen=True)
class LayerTarget:
    """Where in a network a layer lies that adapters have a name for.

    Attributes:
        layer: The path of the module: "double_blocks.0.img_attn.qkv".
        rows: First and one past the last of its output features, where adapters see a fused layer as several.
        halves_swapped: The two halves of its output features are stored the other way round than adapters
            know them.
    """

    layer: str
    rows: tuple[int, int] | None = None
    halves_swapped: bool = False


@runtime_checkable
class LoadedModel(Protocol):
    """A model ready to draw; the engine knows nothing else of it. All tensors live on `device`.

    `Conditioning` is whatever the family needs from a prompt (a dataclass of tensors); the engine only
    caches it and hands it back, one a picture. Sentences in its attribute `notes`, if it has one, are told to
    the user: that the prompt was too long, for example.
    """

    info: ModelInfo
    latent_format: LatentFormat
    device: str
    files: Mapping[str, Sequence[Path]]
    """The files each part was read from, by kind of part, the checkpoint's own among them: a change of any
    makes this model out of date."""
    networks: Mapping[str, Any]
    """The torch modules by kind of part, text encoders in the order that adapters number them."""

    def layer_names(self, part: str) -> Mapping[str, LayerTarget]:
        """The layers of a part by every name that adapters may call them: the network's own, diffusers'.

        Names are dotted, without ".weight"; only layers with weights are named.
        """
        ...

    def noise_schedule(self, width: int, height: int, options: Mapping[str, Any]) -> NoiseSchedule:
        """The noise levels for pictures of this size in pixels."""
        ...

    def condition(self, text: PromptText, options: Mapping[str, Any]) -> Any:
        """Run the text encoders on one prompt."""
        ...

    def see(self, pixels: Tensor, mask: Tensor) -> Any:
        """What a model that `info.sees_picture` needs to know of the picture that it paints into.

        Args:
            pixels: [1, 3, H, W] in 0..1, the masked part already blanked out as far as it is to be.
            mask: [1, 1, H, W] in 0..1: 1 is painted anew.

        Raises:
            BadInput: the model sees no picture.
        """
        ...

    def denoise(
        self,
        x: Tensor,
        sigma: float,
        conditioning: Sequence[Any],
        options: Mapping[str, Any],
        *,
        picture: Any = None,
    ) -> Tensor:
        """The clean estimate of latents x [b, c, h, w] at noise level `sigma`, one conditioning a picture.

        Those of one batch may come from prompts of more or fewer chunks. `picture` is what `see` gave, the
        same for all of the batch.
        """
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Latents [b, c, h, w] to pixels [b, 3, H, W] in 0..1, float32."""
        ...

    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels [b, 3, H, W] in 0..1 to latents [b, c, h, w]."""
        ...

    def sampling_memory(self, width: int, height: int, batch_size: int, options: Mapping[str, Any]) -> int:
        """Bytes `denoise` needs beyond the weights for that many latents, estimated from sizes alone."""
        ...

    def decoding_memory(self, width: int, height: int, batch_size: int) -> int:
        """Bytes `decode` needs beyond the weights for so many latents at once, estimated from sizes alone."""
        ...


class ModelFamily(Protocol):
    """Models of one architecture. The module that holds it must import without a tensor library."""

    options: type[BaseModel]
    """The family's knobs; each field's title, description and bounds drive CLI, docs and forms."""

    def detect(self, header: CheckpointHeader) -> ModelInfo | None:
        """What this checkpoint is, from tensor names and shapes alone; None when it is not of this family.

        Raises `CheckpointError` when it is of this family but cannot be right (a wrong shape or type).
        """
        ...

    def load(self, info: ModelInfo, library: ModelLibrary, placement: Placement) -> LoadedModel:
        """Build the model, looking in `library` for parts the checkpoint does not hold.

        Raises `MissingPart` naming what to get and where to put it, `CheckpointError` for bad weights.
        """
        ...


class ModelFamilyInfo(BaseModel):
    """A model family as registered."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    label: str
    aliases: tuple[str, ...] = ()
    summary: str = ""


class RegisteredModelInfo(BaseModel):
    """A model brought by a plugin, not found in the model folders; the entry's target is its path."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    label: str
    aliases: tuple[str, ...] = ()
    summary: str = ""
    licence: str = ""
    defaults: RequestDefaults | None = None
    options: dict[str, Any] = Field(default_factory=dict)

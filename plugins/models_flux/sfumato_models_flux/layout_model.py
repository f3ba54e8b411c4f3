"""What loaded models of Flux's layout have in common, whatever they know of a prompt."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from sfumato.errors import BadInput
from sfumato.models import LatentFormat, LayerTarget, ModelInfo
from sfumato.noise_schedule import NoiseSchedule, dynamic_shift, flow_schedule
from sfumato_models_flux.latent_space import PATCH, LatentScaling
from sfumato_models_flux.layer_names import transformer_layers
from sfumato_models_flux.options import LayoutOptions
from sfumato_models_flux.stored_transformer import TRANSFORMER
from sfumato_models_flux.transformer import image_positions, pack, unpack
from sfumato_networks.autoencoder import Autoencoder
from sfumato_networks.clip_text import own_layers
from sfumato_networks.parts import AUTOENCODER, CLIP_TEXT, T5_ENCODER
from sfumato_networks.prompt_batches import each_alike
from sfumato_networks.tokenizer import Tokenizer

KEPT_SIZES = 8
"""Picture sizes whose rotary tables are kept (0.5 MB each at 1024x1024)."""
LEVELS = 10_000
"""Noise levels that schedulers pick from: as in ComfyUI and Forge, so that 'simple' means the same."""
T5_LENGTH = 512


class Conditioning(Protocol):
    """One encoded prompt: T5's states [1, m, context_size], and whatever else a model needs."""

    @property
    def context(self) -> Tensor: ...


class Transformer(Protocol):
    """What is asked of a network besides its velocity."""

    config: Any
    img_in: nn.Linear

    def rotary(self, image_ids: Tensor, text_ids: Tensor) -> Tensor: ...


Prompt = TypeVar("Prompt", bound=Conditioning)
Options = TypeVar("Options", bound=LayoutOptions)


class LayoutModel(ABC, Generic[Prompt, Options]):
    """A model of Flux's layout; with what is abstract it fulfils `sfumato.models.LoadedModel`.

    Wherever options are taken, either a mapping is given, which is completed by the model's own preferences
    and checked once, or an object of `options_type`, which is taken as it is.
    """

    options_type: ClassVar[type[LayoutOptions]]

    def __init__(
        self,
        info: ModelInfo,
        transformer: Any,
        autoencoder: Autoencoder,
        text_encoders: Mapping[str, nn.Module],
        latent_format: LatentFormat,
        scaling: LatentScaling,
        files: Mapping[str, Sequence[Path]],
    ) -> None:
        self.info = info
        self.transformer = transformer
        self.autoencoder = autoencoder
        self.latent_format = latent_format
        self.scaling = scaling
        self.files = files
        self.networks: Mapping[str, nn.Module] = {
            TRANSFORMER: transformer,
            **text_encoders,
            AUTOENCODER: autoencoder,
        }
        self.device = str(transformer.img_in.weight.device)
        self._rotary: OrderedDict[tuple[int, int, int], Tensor] = OrderedDict()
        self._checked: tuple[Mapping[str, Any], Options] | None = None

    @property
    @abstractmethod
    def t5_tokenizer(self) -> Tokenizer:
        """Of the encoder that makes the context."""

    @abstractmethod
    def _velocity(
        self, tokens: Tensor, sigma: float, conditioning: Sequence[Prompt], rotary: Tensor, options: Options
    ) -> Tensor:
        """The transformer's answer [b, n, out_channels] for tokens [b, n, in_channels]."""

    def layer_names(self, part: str) -> Mapping[str, LayerTarget]:
        """By the names of the original layout, of diffusers' transformer, of transformers' text encoders."""
        if part not in self.networks:
            return {}
        network: Any = self.networks[part]
        if part == TRANSFORMER:
            return transformer_layers(network, network.config)
        names: Mapping[str, LayerTarget] = network.layer_names() if part == CLIP_TEXT else own_layers(network)
        return names

    def noise_schedule(self, width: int, height: int, options: Mapping[str, Any] | Options) -> NoiseSchedule:
        """Flow levels under the shift that the options ask for, or that suits the size."""
        return flow_schedule(self._shift(width, height, self._options(options)), LEVELS)

    def _shift(self, width: int, height: int, options: Options) -> float:
        if options.shift is not None:
            return options.shift
        tokens = self._tokens(width, height)
        return dynamic_shift(tokens, base_shift=options.base_shift, max_shift=options.max_shift)

    def see(self, pixels: Tensor, mask: Tensor) -> Tensor:
        """Raises `BadInput`: the model draws from a prompt alone."""
        raise BadInput(
            f"'{self.info.name}' draws from a prompt alone: it sees no picture.",
            hint="Choose an inpainting model such as Flux.1 Fill.",
        )

    @torch.no_grad()
    def denoise(
        self,
        x: Tensor,
        sigma: float,
        conditioning: Sequence[Prompt],
        options: Mapping[str, Any] | Options,
        *,
        picture: Tensor | None = None,
    ) -> Tensor:
        """``x0 = x - sigma * v`` for latents x [b, c, h, w] at sigma in 0..1, one conditioning a picture."""
        checked = self._options(options)
        h, w = x.shape[-2:]

        def evaluate(x: Tensor, prompts: Sequence[Prompt]) -> Tensor:
            context = prompts[0].context
            tokens = self._tokens_of(x, picture).to(context.dtype)
            rotary = self._rotary_table(h, w, context.shape[1])
            return unpack(self._velocity(tokens, sigma, prompts, rotary, checked), h, w).to(x.dtype)

        return x - sigma * each_alike(x, conditioning, lambda prompt: prompt.context.shape[1], evaluate)

    def _tokens_of(self, x: Tensor, picture: Tensor | None) -> Tensor:
        """What the transformer takes for latents, [b, n, in_channels]."""
        return pack(x)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents [b, c, h, w] to pixels [b, 3, H, W] in 0..1, float32."""
        return self.autoencoder.decode_pixels(self.scaling.to_autoencoder(latents.float()))

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels [b, 3, H, W] in 0..1 to latents [b, c, h, w], float32."""
        return self.scaling.to_model(self.autoencoder.encode_pixels(pixels))

    def sampling_memory(
        self, width: int, height: int, batch_size: int, options: Mapping[str, Any] | Options
    ) -> int:
        """Bytes at the peak of the transformer: one block's intermediates."""
        config = self.transformer.config
        dtype = self.transformer.img_in.weight.dtype
        tokens = self._tokens(width, height) + self._t5_length(self._options(options))
        # At its peak a single block holds the stream, its projections and two copies for the MLP; queries and
        # keys are rotated in float32.
        a_token = dtype.itemsize * (8 * config.hidden_size + 3 * config.mlp_size) + 16 * config.hidden_size
        return batch_size * tokens * a_token

    def decoding_memory(self, width: int, height: int, batch_size: int) -> int:
        """Bytes at the peak of the decoder: its last level."""
        return self.autoencoder.decoding_memory(width, height, batch_size)

    def _options(self, options: Mapping[str, Any] | Options) -> Options:
        if not isinstance(options, Mapping):
            return options
        if self._checked is None or self._checked[0] is not options:
            checked: Any = self.options_type.model_validate({**self.info.options, **options})
            self._checked = (options, checked)
        return self._checked[1]

    def encoding_memory(self, options: Mapping[str, Any] | Options) -> int:
        """Bytes that T5 needs beyond its weights for one prompt."""
        t5: Any = self.networks[T5_ENCODER]
        needed: int = t5.working_memory(self._t5_length(self._options(options)))
        return needed

    def _t5_length(self, options: Options) -> int:
        if options.t5_length is not None:
            return options.t5_length
        return min(self._trained_t5_length, self.t5_tokenizer.max_length or self._trained_t5_length)

    @property
    def _trained_t5_length(self) -> int:
        return T5_LENGTH

    def _tokens(self, width: int, height: int) -> int:
        side = self.latent_format.pixels_per_latent * PATCH
        return (width // side) * (height // side)

    def _rotary_table(self, h: int, w: int, m: int) -> Tensor:
        table = self._rotary.get((h, w, m))
        if table is None:
            text_ids = torch.zeros(m, 3, dtype=torch.int64, device=self.device)
            table = self.transformer.rotary(image_positions(h, w, self.device), text_ids)
            self._rotary[h, w, m] = table
            while len(self._rotary) > KEPT_SIZES:
                self._rotary.popitem(last=False)
        return table

"""A loaded Flux model: what the engine drives."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from sfumato.errors import BadInput
from sfumato.models import LatentFormat, LayerTarget, ModelInfo, PromptText
from sfumato.noise_schedule import NoiseSchedule, dynamic_shift, flow_schedule
from sfumato_models_flux.latent_space import PATCH, LatentScaling
from sfumato_models_flux.layer_names import clip_layers, own_layers, transformer_layers
from sfumato_models_flux.masked_picture import masked_picture_tokens
from sfumato_models_flux.options import FluxOptions
from sfumato_models_flux.prompts import FluxConditioning, PromptEncoder
from sfumato_models_flux.stored_transformer import TRANSFORMER
from sfumato_models_flux.transformer import FluxTransformer, image_positions, pack, unpack
from sfumato_networks.autoencoder import Autoencoder
from sfumato_networks.parts import AUTOENCODER, CLIP_TEXT, T5_ENCODER

KEPT_SIZES = 8
"""Picture sizes whose rotary tables are kept (0.5 MB each at 1024x1024)."""
LEVELS = 10_000
"""Noise levels that schedulers pick from: as in ComfyUI and Forge, so that 'simple' means the same."""
T5_LENGTHS = {"schnell": 256}
T5_LENGTH = 512


class FluxModel:
    """Flux.1 and its likes; fulfils `sfumato.models.LoadedModel`.

    Wherever options are taken, either a mapping is given, which is completed by the model's own preferences
    and checked once, or a `FluxOptions`, which is taken as it is.
    """

    def __init__(
        self,
        info: ModelInfo,
        transformer: FluxTransformer,
        autoencoder: Autoencoder,
        prompts: PromptEncoder,
        latent_format: LatentFormat,
        scaling: LatentScaling,
        files: Mapping[str, Sequence[Path]] = MappingProxyType({}),
    ) -> None:
        self.info = info
        self.transformer = transformer
        self.autoencoder = autoencoder
        self.prompts = prompts
        self.latent_format = latent_format
        self.scaling = scaling
        self.files = files
        self.networks: Mapping[str, nn.Module] = {
            TRANSFORMER: transformer,
            CLIP_TEXT: prompts.clip,
            T5_ENCODER: prompts.t5,
            AUTOENCODER: autoencoder,
        }
        self.device = str(transformer.img_in.weight.device)
        self._rotary: OrderedDict[tuple[int, int, int], Tensor] = OrderedDict()
        self._checked: tuple[Mapping[str, Any], FluxOptions] | None = None
        self._stacked: tuple[list[FluxConditioning], tuple[Tensor, Tensor]] | None = None

    def layer_names(self, part: str) -> Mapping[str, LayerTarget]:
        """By the names of the original layout, of diffusers' transformer, of transformers' text encoders."""
        if part == TRANSFORMER:
            return transformer_layers(self.transformer, self.transformer.config)
        if part not in self.networks:
            return {}
        return clip_layers(self.prompts.clip) if part == CLIP_TEXT else own_layers(self.networks[part])

    def noise_schedule(
        self, width: int, height: int, options: Mapping[str, Any] | FluxOptions
    ) -> NoiseSchedule:
        """Flow levels under the shift that the options ask for, or that the variant was trained with."""
        return flow_schedule(self._shift(width, height, self._options(options)), LEVELS)

    def _shift(self, width: int, height: int, options: FluxOptions) -> float:
        if options.shift is not None:
            return options.shift
        if self.info.variant == "schnell":
            return 1.0
        tokens = self._tokens(width, height)
        return dynamic_shift(tokens, base_shift=options.base_shift, max_shift=options.max_shift)

    @torch.no_grad()
    def condition(self, text: PromptText, options: Mapping[str, Any] | FluxOptions) -> FluxConditioning:
        """Encode one prompt; see `PromptEncoder` for what attention weights do."""
        encoded = self.prompts.encode(text, self._t5_length(self._options(options)))
        dtype = self.transformer.img_in.weight.dtype
        return FluxConditioning(encoded.context.to(dtype), encoded.vector.to(dtype), encoded.notes)

    @torch.no_grad()
    def see(self, pixels: Tensor, mask: Tensor) -> Tensor:
        """What Flux.1 Fill knows of a picture [1, 3, H, W]: features of its tokens, [1, n, picture_channels].

        Raises:
            BadInput: the model draws from a prompt alone.
        """
        if not self.info.sees_picture:
            raise BadInput(
                f"'{self.info.name}' draws from a prompt alone: it sees no picture.",
                hint="Choose an inpainting model such as Flux.1 Fill.",
            )
        return masked_picture_tokens(self.encode(pixels), mask)

    @torch.no_grad()
    def denoise(
        self,
        x: Tensor,
        sigma: float,
        conditioning: Sequence[FluxConditioning],
        options: Mapping[str, Any] | FluxOptions,
        *,
        picture: Tensor | None = None,
    ) -> Tensor:
        """``x0 = x - sigma * v`` for latents x [b, c, h, w] at sigma in 0..1, one conditioning a picture."""
        lengths = {c.context.shape[1] for c in conditioning}
        if len(lengths) > 1:
            return self._denoise_by_length(x, sigma, conditioning, options, picture)
        b, _, h, w = x.shape
        context, vector = self._stack(conditioning)
        dtype, device = context.dtype, x.device
        guidance = None
        if self.transformer.guidance_in is not None:
            guidance = torch.full((b,), self._options(options).guidance, device=device)
        velocity = self.transformer(
            self._tokens_of(x, picture).to(dtype),
            torch.full((b,), sigma, device=device),
            context,
            vector,
            self._rotary_table(h, w, context.shape[1]),
            guidance,
        )
        return x - sigma * unpack(velocity, h, w).to(x.dtype)

    def _tokens_of(self, x: Tensor, picture: Tensor | None) -> Tensor:
        """Latents as tokens, beside what the model sees of a picture: [b, n, in_channels]."""
        if not self.info.sees_picture:
            return pack(x)
        if picture is None:
            raise BadInput(
                f"'{self.info.name}' paints into a picture, and there is none.",
                hint="Give it a picture and a mask, or choose another model.",
            )
        return torch.cat((pack(x), picture.to(x.dtype).expand(len(x), -1, -1)), dim=-1)

    def _denoise_by_length(
        self,
        x: Tensor,
        sigma: float,
        conditioning: Sequence[FluxConditioning],
        options: Mapping[str, Any] | FluxOptions,
        picture: Tensor | None,
    ) -> Tensor:
        """Prompts of more or fewer chunks do not fit into one batch: one evaluation for each length."""
        positions: dict[int, list[int]] = {}
        for position, prompt in enumerate(conditioning):
            positions.setdefault(prompt.context.shape[1], []).append(position)
        denoised = torch.empty_like(x)
        for chosen in positions.values():
            prompts = [conditioning[position] for position in chosen]
            denoised[chosen] = self.denoise(x[chosen], sigma, prompts, options, picture=picture)
        return denoised

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents [b, c, h, w] to pixels [b, 3, H, W] in 0..1, float32."""
        raw = self.scaling.to_autoencoder(latents.float()).to(self._autoencoder_dtype)
        return self.autoencoder.decode(raw).float().mul(0.5).add(0.5).clamp(0, 1)

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels [b, 3, H, W] in 0..1 to latents [b, c, h, w], float32."""
        raw = self.autoencoder.encode((pixels * 2 - 1).to(self._autoencoder_dtype))
        return self.scaling.to_model(raw.float())

    def sampling_memory(
        self, width: int, height: int, batch_size: int, options: Mapping[str, Any] | FluxOptions
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
        # At full size the decoder holds, with what convolutions need, five maps of the next level's width.
        sizes = self.autoencoder.config
        channels = sizes.base_channels * sizes.channel_multipliers[min(1, len(sizes.channel_multipliers) - 1)]
        a_pixel = 5 * channels * self._autoencoder_dtype.itemsize
        return batch_size * width * height * a_pixel

    def _options(self, options: Mapping[str, Any] | FluxOptions) -> FluxOptions:
        if isinstance(options, FluxOptions):
            return options
        if self._checked is None or self._checked[0] is not options:
            self._checked = (options, FluxOptions.model_validate({**self.info.options, **options}))
        return self._checked[1]

    def _t5_length(self, options: FluxOptions) -> int:
        if options.t5_length is not None:
            return options.t5_length
        trained = T5_LENGTHS.get(self.info.variant, T5_LENGTH)
        return min(trained, self.prompts.t5_tokenizer.max_length or trained)

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

    def _stack(self, conditioning: Sequence[FluxConditioning]) -> tuple[Tensor, Tensor]:
        """Contexts and vectors of a batch, each as one tensor; kept for the next step of the same batch."""
        if len(conditioning) == 1:
            return conditioning[0].context, conditioning[0].vector
        if self._stacked is not None and _same(self._stacked[0], conditioning):
            return self._stacked[1]
        tensors = torch.cat([c.context for c in conditioning]), torch.cat([c.vector for c in conditioning])
        self._stacked = (list(conditioning), tensors)
        return tensors

    @property
    def _autoencoder_dtype(self) -> torch.dtype:
        return self.autoencoder.decoder.conv_in.weight.dtype


def _same(kept: Sequence[object], given: Sequence[object]) -> bool:
    return len(kept) == len(given) and all(a is b for a, b in zip(kept, given, strict=True))

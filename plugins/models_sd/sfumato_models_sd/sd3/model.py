"""A loaded SD3 model: what the engine drives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from sfumato.errors import BadInput
from sfumato.models import LatentFormat, LayerTarget, ModelInfo, PromptText
from sfumato.noise_schedule import NoiseSchedule, flow_schedule
from sfumato_models_sd.sd3.latent_space import LatentScaling
from sfumato_models_sd.sd3.layer_names import own_layers, transformer_layers
from sfumato_models_sd.sd3.mmdit import MMDiT
from sfumato_models_sd.sd3.options import Sd3Options
from sfumato_models_sd.sd3.positions import PositionTable
from sfumato_models_sd.sd3.prompts import CLIP_LENGTH, PromptEncoder, Sd3Conditioning
from sfumato_models_sd.sd3.stored_transformer import TRANSFORMER
from sfumato_networks.autoencoder import Autoencoder
from sfumato_networks.parts import AUTOENCODER, CLIP_G_TEXT, CLIP_TEXT


class Sd3Model:
    """Stable Diffusion 3 and 3.5; fulfils `sfumato.models.LoadedModel`.

    Wherever options are taken, either a mapping is given, which is completed by the model's own preferences
    and checked once, or an `Sd3Options`, which is taken as it is.
    """

    def __init__(
        self,
        info: ModelInfo,
        transformer: MMDiT,
        positions: PositionTable,
        autoencoder: Autoencoder,
        prompts: PromptEncoder,
        latent_format: LatentFormat,
        scaling: LatentScaling,
        files: Mapping[str, Sequence[Path]],
    ) -> None:
        self.info = info
        self.transformer = transformer
        self.positions = positions
        self.autoencoder = autoencoder
        self.prompts = prompts
        self.latent_format = latent_format
        self.scaling = scaling
        self.files = files
        self.device = str(transformer.context_embedder.weight.device)
        self.networks: Mapping[str, Any] = {
            TRANSFORMER: transformer,
            **prompts.networks,
            AUTOENCODER: autoencoder,
        }
        self._checked: tuple[Mapping[str, Any], Sd3Options] | None = None
        self._stacked: tuple[list[Sd3Conditioning], tuple[Tensor, Tensor]] | None = None

    def layer_names(self, part: str) -> Mapping[str, LayerTarget]:
        """By the network's own names; also by diffusers' for the transformer, transformers' for CLIPs."""
        network = self.networks.get(part)
        if network is None:
            return {}
        if part == TRANSFORMER:
            return transformer_layers(network, network.config)
        if part in (CLIP_TEXT, CLIP_G_TEXT):
            names: Mapping[str, LayerTarget] = network.layer_names()
            return names
        return own_layers(network)

    def noise_schedule(
        self, width: int, height: int, options: Mapping[str, Any] | Sd3Options
    ) -> NoiseSchedule:
        """Flow levels under the shift that the options ask for, the same for all sizes.

        Raises:
            BadInput: the size is beyond the positions that the model knows.
        """
        side = self.latent_format.pixels_per_latent * self.transformer.config.patch
        self._check_size(height // side, width // side)
        return flow_schedule(self._options(options).shift)

    @torch.no_grad()
    def condition(self, text: PromptText, options: Mapping[str, Any] | Sd3Options) -> Sd3Conditioning:
        """Encode one prompt; see `PromptEncoder` for what is done where an encoder is missing."""
        encoded = self.prompts.encode(text, self._options(options).t5_length)
        dtype = self.transformer.context_embedder.weight.dtype
        return Sd3Conditioning(encoded.context.to(dtype), encoded.vector.to(dtype), encoded.notes)

    def see(self, pixels: Tensor, mask: Tensor) -> NoReturn:
        """Raises `BadInput`: the family has no models that see a picture."""
        raise BadInput(
            f"'{self.info.name}' sees no picture.",
            why="No model of the family Stable Diffusion 3 paints into a picture that it is shown.",
            hint="Inpaint without an inpainting model: any model can.",
        )

    @torch.no_grad()
    def denoise(
        self,
        x: Tensor,
        sigma: float,
        conditioning: Sequence[Sd3Conditioning],
        options: Mapping[str, Any] | Sd3Options,
        *,
        picture: Any = None,
    ) -> Tensor:
        """``x0 = x - sigma * v`` for latents x [b, c, h, w] at sigma in 0..1, one conditioning a picture.

        Raises:
            BadInput: the latents are beyond the positions that the model knows.
        """
        lengths = {c.context.shape[1] for c in conditioning}
        if len(lengths) > 1:
            return self._denoise_by_length(x, sigma, conditioning, options)
        b, _, h, w = x.shape
        rows, columns = h // self.transformer.config.patch, w // self.transformer.config.patch
        self._check_size(rows, columns)
        context, vector = self._stack(conditioning)
        velocity = self.transformer(
            x.to(context.dtype),
            torch.full((b,), sigma, device=x.device),
            context,
            vector,
            self.positions.of_size(rows, columns),
        )
        return x - sigma * velocity.to(x.dtype)

    def _denoise_by_length(
        self,
        x: Tensor,
        sigma: float,
        conditioning: Sequence[Sd3Conditioning],
        options: Mapping[str, Any] | Sd3Options,
    ) -> Tensor:
        """Prompts of more or fewer windows do not fit into one batch: one evaluation for each length."""
        places: dict[int, list[int]] = {}
        for place, prompt in enumerate(conditioning):
            places.setdefault(prompt.context.shape[1], []).append(place)
        denoised = torch.empty_like(x)
        for chosen in places.values():
            denoised[chosen] = self.denoise(x[chosen], sigma, [conditioning[i] for i in chosen], options)
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
        self, width: int, height: int, batch_size: int, options: Mapping[str, Any] | Sd3Options
    ) -> int:
        """Bytes at the peak of the transformer: one block's intermediates."""
        config = self.transformer.config
        side = self.latent_format.pixels_per_latent * config.patch
        tokens = (width // side) * (height // side) + CLIP_LENGTH + self._options(options).t5_length
        # At its peak a block holds the stream and its norm, and its projections with their joined copies and
        # what comes out of attention, or two maps of the MLP's width.
        features = 10 * config.hidden_size + 2 * config.mlp_size
        itemsize = self.transformer.context_embedder.weight.dtype.itemsize
        return batch_size * tokens * features * itemsize

    def decoding_memory(self, width: int, height: int, batch_size: int) -> int:
        """Bytes at the peak of the decoder: its last level."""
        # At full size the decoder holds, with what convolutions need, five maps of the next level's width.
        sizes = self.autoencoder.config
        channels = sizes.base_channels * sizes.channel_multipliers[min(1, len(sizes.channel_multipliers) - 1)]
        return batch_size * width * height * 5 * channels * self._autoencoder_dtype.itemsize

    def _options(self, options: Mapping[str, Any] | Sd3Options) -> Sd3Options:
        if isinstance(options, Sd3Options):
            return options
        if self._checked is None or self._checked[0] is not options:
            self._checked = (options, Sd3Options.model_validate({**self.info.options, **options}))
        return self._checked[1]

    def _check_size(self, rows: int, columns: int) -> None:
        """Raises `BadInput` for so many patches along the sides where the table has not so many positions."""
        if max(rows, columns) <= self.positions.side:
            return
        side = self.latent_format.pixels_per_latent * self.transformer.config.patch
        raise BadInput(
            f"'{self.info.name}' cannot draw {columns * side} x {rows * side} pixels.",
            why=f"It knows positions up to {self.positions.side * side} pixels along each side.",
            hint="Choose a smaller size, and enlarge the picture with an upscaler.",
        )

    def _stack(self, conditioning: Sequence[Sd3Conditioning]) -> tuple[Tensor, Tensor]:
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

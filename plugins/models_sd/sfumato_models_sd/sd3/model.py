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
from sfumato_models_sd.sd3.layer_names import transformer_layers
from sfumato_models_sd.sd3.mmdit import MMDiT
from sfumato_models_sd.sd3.options import Sd3Options
from sfumato_models_sd.sd3.positions import PositionTable
from sfumato_models_sd.sd3.prompts import CLIP_LENGTH, PromptEncoder, Sd3Conditioning
from sfumato_models_sd.sd3.stored_transformer import TRANSFORMER
from sfumato_networks.autoencoder import Autoencoder
from sfumato_networks.clip_text import own_layers
from sfumato_networks.parts import AUTOENCODER, CLIP_G_TEXT, CLIP_TEXT, T5_ENCODER
from sfumato_networks.prompt_batches import Stacked, each_alike


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
        self._stacked = Stacked[Sd3Conditioning](lambda prompt: (prompt.context, prompt.vector))

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

    def encoding_memory(self, options: Mapping[str, Any] | Sd3Options) -> int:
        """Bytes that T5 needs beyond its weights for one prompt; 0 without it."""
        t5: Any = self.networks.get(T5_ENCODER)
        return 0 if t5 is None else int(t5.working_memory(self._options(options).t5_length))

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
        rows, columns = (side // self.transformer.config.patch for side in x.shape[2:])
        self._check_size(rows, columns)
        positions = self.positions.of_size(rows, columns)

        def evaluate(x: Tensor, prompts: Sequence[Sd3Conditioning]) -> Tensor:
            context, vector = self._stacked(prompts)
            times = torch.full((len(x),), sigma, device=x.device)
            velocity: Tensor = self.transformer(x.to(context.dtype), times, context, vector, positions)
            return velocity.to(x.dtype)

        return x - sigma * each_alike(x, conditioning, lambda prompt: prompt.context.shape[1], evaluate)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents [b, c, h, w] to pixels [b, 3, H, W] in 0..1, float32."""
        return self.autoencoder.decode_pixels(self.scaling.to_autoencoder(latents.float()))

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels [b, 3, H, W] in 0..1 to latents [b, c, h, w], float32."""
        return self.scaling.to_model(self.autoencoder.encode_pixels(pixels))

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
        return self.autoencoder.decoding_memory(width, height, batch_size)

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

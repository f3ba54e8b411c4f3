"""The text-to-image model: a tiny Flux transformer with its CLIP and T5 text encoders, trained together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from sfumato_models_flux.transformer import FluxConfig, FluxTransformer, image_positions, pack, unpack
from sfumato_networks.clip_text import ClipText, ClipTextConfig
from sfumato_networks.t5_encoder import T5Config, T5Encoder
from tokenizers import Tokenizer

from .tokenizers import CLIP_END, CLIP_LENGTH, T5_LENGTH

TEXT_WIDTH = 128
LATENT_CHANNELS, LATENT_SIZE = 16, 8
FLUX = FluxConfig(
    in_channels=4 * LATENT_CHANNELS,
    hidden_size=224,
    heads=7,
    double_blocks=2,
    single_blocks=5,
    context_size=TEXT_WIDTH,
    vector_size=TEXT_WIDTH,
    axes=(4, 14, 14),
    guidance=False,
)
STEPS, GUIDANCE = 20, 3.0
SILENT = (".lin", "final_layer.linear", "adaLN_modulation.1")
EMBEDDING_SCALES = {
    "clip.text_model.embeddings.token_embedding": 0.02,
    "clip.text_model.embeddings.position_embedding": 0.01,
    "t5.encoder.block.0.layer.0.SelfAttention.relative_attention_bias": 0.1,
}


class EmojiModel(nn.Module):
    """Transformer and text encoders as one module, so that they share an optimiser and a checkpoint."""

    def __init__(
        self, clip_vocabulary: int, t5_vocabulary: int, end_token: int, flux: FluxConfig = FLUX
    ) -> None:
        super().__init__()
        width = flux.context_size
        self.end_token = end_token
        self.transformer = FluxTransformer(flux)
        self.clip = ClipText(
            ClipTextConfig(clip_vocabulary, flux.vector_size, 2 * flux.vector_size, 2, CLIP_LENGTH)
        )
        self.t5 = T5Encoder(
            T5Config(t5_vocabulary, width, 2 * width, layers=2, heads=width // 32, head_size=32)
        )
        positions = image_positions(LATENT_SIZE, LATENT_SIZE)
        text_positions = torch.zeros(T5_LENGTH, 3, dtype=positions.dtype)
        self.register_buffer("rotary", self.transformer.rotary(positions, text_positions), persistent=False)
        initialise(self)

    def encode(self, clip_ids: Tensor, t5_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Token ids ``[b, 32]`` and ``[b, 16]`` -> context ``[b, 16, width]`` and vector ``[b, width]``."""
        return self.t5(t5_ids), self.clip(clip_ids, self.end_token).pooled

    def velocity(self, tokens: Tensor, t: Tensor, context: Tensor, vector: Tensor) -> Tensor:
        """The direction from clean to noise at packed latents ``[b, 16, 64]`` and times ``[b]`` in 0..1."""
        return self.transformer(tokens, t, context, vector, self.rotary)


def initialise(model: EmojiModel) -> None:
    """Blocks start as the identity (adaLN-zero, Peebles & Xie 2022); embeddings and queries start small."""
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear) and name.endswith(SILENT):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Linear) and name.endswith("SelfAttention.q"):
            nn.init.normal_(layer.weight, std=1 / math.sqrt(layer.weight.numel()))
        elif isinstance(layer, nn.Embedding) and name in EMBEDDING_SCALES:
            nn.init.normal_(layer.weight, std=EMBEDDING_SCALES[name])


class Prompts:
    """Turns texts into the token ids of both encoders."""

    def __init__(self, clip: Tokenizer, t5: Tokenizer) -> None:
        self.clip = clip
        self.t5 = t5

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Ids ``[b, 32]`` and ``[b, 16]``."""
        both = []
        for tokenizer in (self.clip, self.t5):
            both.append(torch.tensor([encoding.ids for encoding in tokenizer.encode_batch(list(texts))]))
        return both[0], both[1]

    def make_model(self) -> EmojiModel:
        """A fresh model with this vocabulary."""
        end = self.clip.get_vocab()[CLIP_END]
        return EmojiModel(self.clip.get_vocab_size(), self.t5.get_vocab_size(), end)


def noise(seeds: Sequence[int]) -> Tensor:
    """Packed noise ``[b, 16, 64]``, each picture from its own seed."""
    shape = (1, LATENT_CHANNELS, LATENT_SIZE, LATENT_SIZE)
    return pack(
        torch.cat([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    )


@torch.no_grad()
def sample(
    model: EmojiModel,
    prompts: Prompts,
    texts: Sequence[str],
    seeds: Sequence[int],
    steps: int = STEPS,
    guidance: float = GUIDANCE,
) -> Tensor:
    """Scaled latents ``[b, 16, 8, 8]`` by Euler steps with classifier-free guidance (Ho & Salimans 2022)."""
    count = len(texts)
    x = noise(seeds)
    context, vector = model.encode(*prompts([*texts, *[""] * count]))
    times = torch.linspace(1, 0, steps + 1).tolist()
    for t, target in pairwise(times):
        velocity = model.velocity(x.repeat(2, 1, 1), torch.full((2 * count,), t), context, vector)
        wanted, unwanted = velocity.float().chunk(2)
        x = x + (target - t) * (unwanted + guidance * (wanted - unwanted))
    return unpack(x, LATENT_SIZE, LATENT_SIZE)

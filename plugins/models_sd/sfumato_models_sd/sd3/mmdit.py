"""The transformer of Stable Diffusion 3 and 3.5 in the layout of the original checkpoints.

MMDiT (Esser et al. 2024, arXiv:2403.03206): image and text are two streams with weights of their own that
meet in one attention, block after block; time and pooled text modulate both. SD3.5 norms queries and keys,
and the first blocks of SD3.5 Medium ("MMDiT-X") let the image attend to itself once more. Positions are added
to the image tokens, taken from the middle of a square table.

Shapes below: b pictures, n image tokens, m text tokens, h heads, d features of a head, D = h·d.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato_models_sd.sd3.config import TIME_FEATURES, Sd3Config, modulations
from sfumato_networks.activations import gelu_tanh
from sfumato_networks.attention import attention

EPSILON = 1e-6
"""Of every norm."""


def sinusoids(t: Tensor) -> Tensor:
    """Features [b, 256] of times t [b] in 0..1; scaled by 1000 as DDPM's times."""
    half = TIME_FEATURES // 2
    frequencies = torch.exp(-math.log(10_000) / half * torch.arange(half, device=t.device))
    angles = 1000.0 * t.float()[:, None] * frequencies
    return torch.cat((angles.cos(), angles.sin()), dim=-1)


def norm(x: Tensor) -> Tensor:
    """Mean 0 and variance 1 for each token: the layer norm without weights of its own."""
    return F.layer_norm(x, x.shape[-1:], eps=EPSILON)


def modulate(normed: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """adaLN (Peebles & Xie 2022, arXiv:2212.09748): what is normed is scaled and shifted as asked."""
    return torch.addcmul(shift, normed, 1 + scale)


class PatchEmbedder(nn.Module):
    """Latents [b, c, H, W] to tokens [b, n, D], row by row, one for each patch."""

    def __init__(self, config: Sd3Config) -> None:
        super().__init__()
        self.proj = nn.Conv2d(config.in_channels, config.hidden_size, config.patch, stride=config.patch)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class Embedder(nn.Module):
    """Two layers that bring a vector of conditions to the hidden size."""

    def __init__(self, in_size: int, hidden_size: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(in_size, hidden_size), nn.SiLU(), nn.Linear(hidden_size, hidden_size)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(x)


class RMSNorm(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], self.weight.to(x.dtype), eps=EPSILON)


class Attention(nn.Module):
    """The projections around an attention; the attention itself may join two of these."""

    def __init__(self, config: Sd3Config, *, closed: bool = False) -> None:
        super().__init__()
        D, self.head_size = config.hidden_size, config.head_size
        self.qkv = nn.Linear(D, 3 * D)
        self.proj = None if closed else nn.Linear(D, D)
        self.ln_q = RMSNorm(self.head_size) if config.qk_norm else None
        self.ln_k = RMSNorm(self.head_size) if config.qk_norm else None

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[b, n, D] -> q, k, v, each [b, h, n, d]."""
        q, k, v = self.qkv(x).unflatten(-1, (3, -1, self.head_size)).permute(2, 0, 3, 1, 4).unbind(0)
        if self.ln_q is not None and self.ln_k is not None:
            q, k = self.ln_q(q), self.ln_k(k)
        return q, k, v

    def forward(self, x: Tensor) -> Tensor:
        """The tokens attending to each other."""
        return self.projected(joined(attention(*self.heads(x))))

    def projected(self, x: Tensor) -> Tensor:
        return x if self.proj is None else self.proj(x)


def joined(x: Tensor) -> Tensor:
    """[b, h, n, d] -> [b, n, D]."""
    return x.transpose(1, 2).flatten(2)


class MLP(nn.Module):
    def __init__(self, config: Sd3Config) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.mlp_size)
        self.fc2 = nn.Linear(config.mlp_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(gelu_tanh(self.fc1(x)))


class Stream(nn.Module):
    """One stream's half of a block.

    A closed one, the text in the last block, is only looked at: it makes keys and values, and ends there. A
    dual one attends to itself too.
    """

    def __init__(self, config: Sd3Config, *, closed: bool = False, dual: bool = False) -> None:
        super().__init__()
        D, self.parts = config.hidden_size, modulations(closed=closed, dual=dual)
        self.attn = Attention(config, closed=closed)
        self.attn2 = Attention(config) if dual else None
        self.mlp = None if closed else MLP(config)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(D, self.parts * D))

    def modulation(self, vector: Tensor) -> tuple[Tensor, ...]:
        """Shift, scale and gate, each [b, 1, D], of attention, of the MLP, and of the second attention."""
        return self.adaLN_modulation(vector)[:, None, :].chunk(self.parts, dim=-1)

    def forward(self, x: Tensor, attended: Tensor, normed: Tensor, modulation: tuple[Tensor, ...]) -> Tensor:
        """The stream after the block, of what it attended to [b, n, D] in the joint attention."""
        if self.mlp is None:
            return x
        _, _, gate, mlp_shift, mlp_scale, mlp_gate, *second = modulation
        x = torch.addcmul(x, gate, self.attn.projected(attended))
        if self.attn2 is not None:
            shift, scale, gate = second
            x = torch.addcmul(x, gate, self.attn2(modulate(normed, shift, scale)))
        return torch.addcmul(x, mlp_gate, self.mlp(modulate(norm(x), mlp_shift, mlp_scale)))


class JointBlock(nn.Module):
    """Image and text, each with weights of its own, meeting in one attention."""

    def __init__(self, config: Sd3Config, number: int) -> None:
        super().__init__()
        self.context_block = Stream(config, closed=number == config.blocks - 1)
        self.x_block = Stream(config, dual=number in config.dual_blocks)

    def forward(self, x: Tensor, context: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
        x_modulation, context_modulation = (s.modulation(vector) for s in (self.x_block, self.context_block))
        x_normed, context_normed = norm(x), norm(context)
        attended = self._attended(
            modulate(x_normed, *x_modulation[:2]), modulate(context_normed, *context_modulation[:2])
        )
        n = x.shape[1]
        x = self.x_block(x, attended[:, -n:], x_normed, x_modulation)
        context = self.context_block(context, attended[:, :-n], context_normed, context_modulation)
        return x, context

    def _attended(self, x: Tensor, context: Tensor) -> Tensor:
        """What the tokens of both streams, text first, see of all; the image's alone in the last block."""
        of_context, of_x = self.context_block.attn.heads(context), self.x_block.attn.heads(x)
        q, k, v = (torch.cat(pair, dim=2) for pair in zip(of_context, of_x, strict=True))
        return joined(attention(of_x[0] if self.context_block.mlp is None else q, k, v))


class FinalLayer(nn.Module):
    def __init__(self, config: Sd3Config) -> None:
        super().__init__()
        D = config.hidden_size
        self.linear = nn.Linear(D, config.patch**2 * config.out_channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(D, 2 * D))

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(vector)[:, None, :].chunk(2, dim=-1)
        return self.linear(modulate(norm(x), shift, scale))


class MMDiT(nn.Module):
    """The velocity field of SD3: the direction from clean latents to noise.

    It has all tensors of a checkpoint but the table of positions, from which `forward` is given what it needs
    (see `PositionTable`): the table of SD3.5 Medium has a tenth of all weights.
    """

    def __init__(self, config: Sd3Config) -> None:
        super().__init__()
        self.config = config
        D = config.hidden_size
        self.x_embedder = PatchEmbedder(config)
        self.t_embedder = Embedder(TIME_FEATURES, D)
        self.y_embedder = Embedder(config.vector_size, D)
        self.context_embedder = nn.Linear(config.context_size, D)
        self.joint_blocks = nn.ModuleList(JointBlock(config, number) for number in range(config.blocks))
        self.final_layer = FinalLayer(config)

    def forward(
        self, x: Tensor, timesteps: Tensor, context: Tensor, vector: Tensor, positions: Tensor
    ) -> Tensor:
        """Velocity [b, out_channels, H, W].

        ``x`` [b, in_channels, H, W], sides multiples of the patch; ``timesteps`` [b], 0 clean to 1 noise;
        ``context`` [b, m, context_size], the states of the text encoders; ``vector`` [b, vector_size], their
        pooled states; ``positions`` [n, D], those of the n patches, row by row.
        """
        condition = self.t_embedder(sinusoids(timesteps).to(x.dtype)) + self.y_embedder(vector)
        tokens, context = self.x_embedder(x) + positions, self.context_embedder(context)
        for block in self.joint_blocks:
            tokens, context = block(tokens, context, condition)
        return self._unpatch(self.final_layer(tokens, condition), *x.shape[-2:])

    def _unpatch(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """[b, n, p·p·c] -> [b, c, H, W]; unlike `pixel_shuffle` the channel comes last in a token."""
        p = self.config.patch
        patches = tokens.unflatten(1, (height // p, width // p)).unflatten(-1, (p, p, -1))
        return patches.permute(0, 5, 1, 3, 2, 4).reshape(len(tokens), -1, height, width)

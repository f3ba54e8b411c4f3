"""The Flux transformer in the layout of the original checkpoints.

Flux.1 (Black Forest Labs, 2024) is a rectified-flow transformer: double blocks give image and text weights of
their own and let them attend to each other, as in MMDiT (Esser et al. 2024, arXiv:2403.03206); single blocks
treat both as one sequence and run attention beside the MLP, as in ViT-22B (Dehghani et al. 2023,
arXiv:2302.05442). Positions enter by rotation of queries and keys (RoPE, Su et al. 2021, arXiv:2104.09864),
one share of each head for every axis.

Shapes below: b pictures, n image tokens, m text tokens, h heads, d features of a head, D = h·d.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato_models_flux.config import TIME_FEATURES, FluxConfig
from sfumato_networks.activations import GeluTanh, gelu_tanh
from sfumato_networks.attention import attention


def pack(latents: Tensor) -> Tensor:
    """[b, c, H, W] -> [b, H/2·W/2, 4c]: each 2x2 patch a token, its features in the order c, row, column."""
    return F.pixel_unshuffle(latents, 2).flatten(2).transpose(1, 2)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `pack`; ``height`` and ``width`` are those of the latents."""
    return F.pixel_shuffle(tokens.transpose(1, 2).unflatten(2, (height // 2, width // 2)), 2)


def image_positions(height: int, width: int, device: torch.device | str | None = None) -> Tensor:
    """Positions [H/2·W/2, 3] of the tokens of latents of this height and width: (0, row, column)."""
    rows, columns = torch.arange(height // 2, device=device), torch.arange(width // 2, device=device)
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).flatten(0, 1)
    return F.pad(grid, (1, 0))


def rotary_table(positions: Tensor, axes: tuple[int, ...], theta: int = 10_000) -> Tensor:
    """Rotations e^(i·p·ω) of the pairs of a head, complex64 [n, d/2], for positions p [n, len(axes)]."""
    angles = []
    for position, size in zip(positions.unbind(-1), axes, strict=True):
        omega = theta ** -(torch.arange(0, size, 2, dtype=torch.float64, device="cpu") / size)
        angles.append(torch.outer(position.to("cpu", torch.float64), omega))  # float64 is not on every device
    phi = torch.cat(angles, dim=-1)
    return torch.polar(torch.ones_like(phi), phi).to(positions.device, torch.complex64)


def rotate(x: Tensor, rotary: Tensor) -> Tensor:
    """Turn each pair of neighbouring features of x [..., n, d]; computed and returned in float32."""
    # One complex product is 4-8 times quicker on a CPU than any way to write it with real tensors.
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * rotary).flatten(-2)


def sinusoids(t: Tensor, size: int = TIME_FEATURES) -> Tensor:
    """Features [b, size] of values t [b], times in 0..1 or guidance scales; 1000 times them, as in DDPM."""
    half = size // 2
    frequencies = torch.exp(-math.log(10_000) / half * torch.arange(half, device=t.device))
    angles = 1000.0 * t.float()[:, None] * frequencies
    return torch.cat((angles.cos(), angles.sin()), dim=-1)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """adaLN (Peebles & Xie 2022, arXiv:2212.09748): x is normed, then scaled and shifted as asked."""
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=1e-6), 1 + scale)


class Embedder(nn.Module):
    """Two layers that bring a vector of conditions to the hidden size."""

    def __init__(self, in_size: int, hidden_size: int) -> None:
        super().__init__()
        self.in_layer = nn.Linear(in_size, hidden_size)
        self.out_layer = nn.Linear(hidden_size, hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.out_layer(F.silu(self.in_layer(x)))


class Modulation(nn.Module):
    """``parts`` tensors [b, 1, D] from the vector [b, D]: shift, scale, gate of each branch."""

    def __init__(self, hidden_size: int, parts: int) -> None:
        super().__init__()
        self.parts = parts
        self.lin = nn.Linear(hidden_size, parts * hidden_size)

    def forward(self, vector: Tensor) -> tuple[Tensor, ...]:
        return self.lin(F.silu(vector))[:, None, :].chunk(self.parts, dim=-1)


class RMSNorm(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], self.scale.to(x.dtype), eps=1e-6)


class QKNorm(nn.Module):
    """RMS norm of queries and keys, head by head, keeps their products in bounds (Dehghani et al. 2023)."""

    def __init__(self, head_size: int) -> None:
        super().__init__()
        self.query_norm = RMSNorm(head_size)
        self.key_norm = RMSNorm(head_size)

    def forward(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        return self.query_norm(q), self.key_norm(k)


class SelfAttention(nn.Module):
    """The projections around an attention; the attention itself joins two of these."""

    def __init__(self, hidden_size: int, head_size: int) -> None:
        super().__init__()
        self.head_size = head_size
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.norm = QKNorm(head_size)
        self.proj = nn.Linear(hidden_size, hidden_size)

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = split_heads(self.qkv(x), self.head_size)
        return *self.norm(q, k), v


def split_heads(qkv: Tensor, head_size: int) -> tuple[Tensor, ...]:
    """[b, n, 3·D] -> q, k, v, each [b, h, n, d]."""
    return qkv.unflatten(-1, (3, -1, head_size)).permute(2, 0, 3, 1, 4).unbind(0)


def rotary_attention(q: Tensor, k: Tensor, v: Tensor, rotary: Tensor) -> Tensor:
    """Attention of rotated queries and keys, heads joined again: [b, n, D]; q may be the last n."""
    q = rotate(q, rotary[-q.shape[2] :])
    return attention(q, rotate(k, rotary), v).transpose(1, 2).flatten(2)


def mlp(hidden_size: int, mlp_size: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(hidden_size, mlp_size), GeluTanh(), nn.Linear(mlp_size, hidden_size))


class DoubleBlock(nn.Module):
    """Image and text, each with weights of its own, meeting in one attention.

    The modulations make six tensors [b, 1, D] each of what ``forward`` is given as ``condition``.
    """

    def __init__(self, config: FluxConfig, img_mod: nn.Module, txt_mod: nn.Module) -> None:
        super().__init__()
        D = config.hidden_size
        self.img_mod = img_mod
        self.img_attn = SelfAttention(D, config.head_size)
        self.img_mlp = mlp(D, config.mlp_size)
        self.txt_mod = txt_mod
        self.txt_attn = SelfAttention(D, config.head_size)
        self.txt_mlp = mlp(D, config.mlp_size)

    def forward(self, img: Tensor, txt: Tensor, condition: Tensor, rotary: Tensor) -> tuple[Tensor, Tensor]:
        img_shift1, img_scale1, img_gate1, img_shift2, img_scale2, img_gate2 = self.img_mod(condition)
        txt_shift1, txt_scale1, txt_gate1, txt_shift2, txt_scale2, txt_gate2 = self.txt_mod(condition)

        txt_qkv = self.txt_attn.heads(modulate(txt, txt_shift1, txt_scale1))
        img_qkv = self.img_attn.heads(modulate(img, img_shift1, img_scale1))
        q, k, v = (torch.cat(pair, dim=2) for pair in zip(txt_qkv, img_qkv, strict=True))
        out = rotary_attention(q, k, v, rotary)
        txt_out, img_out = out[:, : txt.shape[1]], out[:, txt.shape[1] :]

        img = torch.addcmul(img, img_gate1, self.img_attn.proj(img_out))
        img = torch.addcmul(img, img_gate2, self.img_mlp(modulate(img, img_shift2, img_scale2)))
        txt = torch.addcmul(txt, txt_gate1, self.txt_attn.proj(txt_out))
        txt = torch.addcmul(txt, txt_gate2, self.txt_mlp(modulate(txt, txt_shift2, txt_scale2)))
        return img, txt


class SingleBlock(nn.Module):
    """Attention and MLP side by side on the joint sequence: ``linear1`` opens both, ``linear2`` closes.

    The modulation makes three tensors [b, 1, D] of what ``forward`` is given as ``condition``.
    """

    def __init__(self, config: FluxConfig, modulation: nn.Module) -> None:
        super().__init__()
        D = config.hidden_size
        self.sizes = [3 * D, config.mlp_size]
        self.head_size = config.head_size
        self.modulation = modulation
        self.linear1 = nn.Linear(D, sum(self.sizes))
        self.norm = QKNorm(config.head_size)
        self.linear2 = nn.Linear(D + config.mlp_size, D)

    def forward(self, x: Tensor, condition: Tensor, rotary: Tensor, start: int = 0) -> Tensor:
        """The tokens from ``start`` on; the others are still attended to."""
        shift, scale, gate = self.modulation(condition)
        qkv, hidden = self.linear1(modulate(x, shift, scale)).split(self.sizes, dim=-1)
        q, k, v = split_heads(qkv, self.head_size)
        q, k = self.norm(q[:, :, start:], k)
        out = rotary_attention(q, k, v, rotary)
        out = self.linear2(torch.cat((out, gelu_tanh(hidden[:, start:])), dim=-1))
        return torch.addcmul(x[:, start:], gate, out)


class FinalLayer(nn.Module):
    def __init__(self, config: FluxConfig) -> None:
        super().__init__()
        D = config.hidden_size
        self.linear = nn.Linear(D, config.out_channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(D, 2 * D))

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(vector)[:, None, :].chunk(2, dim=-1)
        return self.linear(modulate(x, shift, scale))


def through_blocks(
    double_blocks: nn.ModuleList,
    single_blocks: nn.ModuleList,
    img: Tensor,
    txt: Tensor,
    condition: Tensor,
    rotary: Tensor,
) -> Tensor:
    """What all blocks make of the image's tokens [b, n, D] beside the text's [b, m, D]."""
    for block in double_blocks:
        img, txt = block(img, txt, condition, rotary)
    x, text_length = torch.cat((txt, img), dim=1), txt.shape[1]
    last = len(single_blocks) - 1
    for i, block in enumerate(single_blocks):
        # After the last block nothing looks at the text.
        x = block(x, condition, rotary, start=text_length if i == last else 0)
    return x[:, -img.shape[1] :]


class FluxTransformer(nn.Module):
    """The velocity field of Flux: the direction from clean latents to noise."""

    def __init__(self, config: FluxConfig) -> None:
        super().__init__()
        self.config = config
        D = config.hidden_size
        self.img_in = nn.Linear(config.in_channels, D)
        self.txt_in = nn.Linear(config.context_size, D)
        self.time_in = Embedder(TIME_FEATURES, D)
        self.vector_in = Embedder(config.vector_size, D)
        self.guidance_in = Embedder(TIME_FEATURES, D) if config.guidance else None
        self.double_blocks = nn.ModuleList(
            DoubleBlock(config, Modulation(D, 6), Modulation(D, 6)) for _ in range(config.double_blocks)
        )
        self.single_blocks = nn.ModuleList(
            SingleBlock(config, Modulation(D, 3)) for _ in range(config.single_blocks)
        )
        self.final_layer = FinalLayer(config)

    def forward(
        self,
        image_tokens: Tensor,
        timesteps: Tensor,
        context: Tensor,
        vector: Tensor,
        rotary: Tensor,
        guidance: Tensor | None = None,
    ) -> Tensor:
        """Velocity [b, n, out_channels].

        ``image_tokens`` [b, n, in_channels] (see `pack`); ``timesteps`` [b], 0 clean to 1 noise; ``context``
        [b, m, context_size], the T5 states; ``vector`` [b, vector_size], the pooled CLIP state; ``rotary``
        [m + n, d/2], what `rotary` makes of the tokens' positions; ``guidance`` [b], the distilled guidance
        scale, needed if and only if the config says guidance (ValueError otherwise).
        """
        if (guidance is None) != (self.guidance_in is None):
            raise ValueError("guidance must be given to a guidance-distilled model, and to no other")
        dtype = image_tokens.dtype
        condition = self.time_in(sinusoids(timesteps).to(dtype)) + self.vector_in(vector)
        if self.guidance_in is not None and guidance is not None:
            condition = condition + self.guidance_in(sinusoids(guidance).to(dtype))

        img, txt = self.img_in(image_tokens), self.txt_in(context)
        img = through_blocks(self.double_blocks, self.single_blocks, img, txt, condition, rotary)
        return self.final_layer(img, condition)

    def rotary(self, image_ids: Tensor, text_ids: Tensor) -> Tensor:
        """The rotary table [m + n, d/2] of positions [n, 3] and [m, 3]; the same for all steps of a size.

        See `image_positions` for those of images; text is at 0.
        """
        return rotary_table(torch.cat((text_ids, image_ids)), self.config.axes, self.config.theta)

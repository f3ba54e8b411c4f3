"""OpenCLIP's text encoder (https://github.com/mlfoundations/open_clip) in its own layout.

The layers are CLIP's, but queries, keys and values come from one matrix. Stable Diffusion 2 and XL carry it
so. Names are those in the files, but for ``attn.in_proj.weight``, there ``attn.in_proj_weight``, and its
bias, and for ``text_projection.weight``, there ``text_projection`` and the other way round: here they are
those of layers like others.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sfumato.models import LayerTarget
from sfumato_networks.attention import attention
from sfumato_networks.clip_text import (
    ACTIVATIONS,
    ClipTextConfig,
    ClipTextOutput,
    at_end_token,
    causal_mask,
    own_layers,
)
from sfumato_networks.shapes import count_blocks

_LAYERS = "transformer.resblocks."
_TRANSFORMERS_NAMES = {
    "attn.out_proj": "self_attn.out_proj",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def config_from_shapes(
    shapes: Mapping[str, tuple[int, ...]], *, head_size: int = 64, activation: str = "gelu"
) -> ClipTextConfig:
    """The sizes of tensors with these names and shapes; KeyError names a tensor that is not there."""
    vocab_size, hidden_size = shapes["token_embedding.weight"]
    return ClipTextConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        intermediate_size=shapes[f"{_LAYERS}0.mlp.c_fc.weight"][0],
        layers=count_blocks(shapes, _LAYERS),
        positions=shapes["positional_embedding"][0],
        head_size=head_size,
        activation=activation,
        projection_size=shapes.get("text_projection.weight", (0,))[0],
    )


class SelfAttention(nn.Module):
    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.head_size = config.head_size
        self.in_proj = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.out_proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor, causal: Tensor) -> Tensor:
        heads = self.in_proj(x).unflatten(-1, (3, -1, self.head_size))  # [b, n, 3, heads, head_size]
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        return self.out_proj(attention(q, k, v, bias=causal).transpose(1, 2).flatten(2))


class MLP(nn.Module):
    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[config.activation]
        self.c_fc = nn.Linear(config.hidden_size, config.intermediate_size)
        self.c_proj = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(self.activation(self.c_fc(x)))


class Layer(nn.Module):
    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.hidden_size)
        self.attn = SelfAttention(config)
        self.ln_2 = nn.LayerNorm(config.hidden_size)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, causal: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x), causal)
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Layer(config) for _ in range(config.layers))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        causal = causal_mask(x)
        states = [x]
        for layer in self.resblocks:
            states.append(layer(states[-1], causal))
        return tuple(states)


class OpenClipText(nn.Module):
    """Used as `sfumato_networks.clip_text.ClipText` is."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.positional_embedding = nn.Parameter(torch.zeros(config.positions, config.hidden_size))
        self.transformer = Transformer(config)
        self.ln_final = nn.LayerNorm(config.hidden_size)
        self.text_projection = None
        if config.projection_size:
            self.text_projection = nn.Linear(config.hidden_size, config.projection_size, bias=False)

    def embed(self, token_ids: Tensor) -> Tensor:
        """What stands for each token [b, n, hidden], before positions are added."""
        return self.token_embedding(token_ids)

    def norm(self, states: Tensor) -> Tensor:
        """The final norm, which a hidden state of any layer may be given."""
        return self.ln_final(states)

    def forward(self, token_ids: Tensor, end_token: int, embedded: Tensor | None = None) -> ClipTextOutput:
        """Encode token ids [b, n], each row holding ``end_token``, whose first place is the pooled one.

        ``embedded`` [b, n, hidden] is taken in place of `embed`: learned words are none of the vocabulary's.
        """
        tokens = self.embed(token_ids) if embedded is None else embedded
        states = self.transformer(tokens + self.positional_embedding[: tokens.shape[1]])
        last = self.norm(states[-1])
        pooled = at_end_token(last, token_ids, end_token)
        if self.text_projection is not None:
            pooled = self.text_projection(pooled)
        return ClipTextOutput(states, last, pooled)

    def layer_names(self) -> dict[str, LayerTarget]:
        """Its layers by their own names and by those that transformers has for them."""
        names = own_layers(self)
        names["text_model.embeddings.token_embedding"] = LayerTarget("token_embedding")
        names["text_model.final_layer_norm"] = LayerTarget("ln_final")
        width = self.config.hidden_size
        for number in range(self.config.layers):
            ours, theirs = f"{_LAYERS}{number}", f"text_model.encoder.layers.{number}"
            for place, letter in enumerate("qkv"):
                rows = (place * width, (place + 1) * width)
                names[f"{theirs}.self_attn.{letter}_proj"] = LayerTarget(f"{ours}.attn.in_proj", rows)
            for own, other in _TRANSFORMERS_NAMES.items():
                names[f"{theirs}.{other}"] = LayerTarget(f"{ours}.{own}")
        return names

"""CLIP's text encoder (Radford et al. 2021, arXiv:2103.00020), named as transformers' CLIPTextModel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.models import LayerTarget
from sfumato_networks.attention import attention
from sfumato_networks.shapes import count_blocks


def quick_gelu(x: Tensor) -> Tensor:
    """OpenAI's approximation of GELU (Hendrycks & Gimpel 2016, arXiv:1606.08415)."""
    return x * torch.sigmoid(1.702 * x)


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"quick_gelu": quick_gelu, "gelu": F.gelu}


@dataclass(frozen=True)
class ClipTextConfig:
    """Sizes of a CLIP text encoder; the defaults are those of CLIP ViT-L/14.

    ``activation`` is "quick_gelu" (OpenAI's models) or "gelu" (OpenCLIP's); ``projection_size`` 0 means that
    the file has no text projection; ``dropped_layers`` says how many of the model's last layers it lacks (one
    in Stable Diffusion 2's as diffusers has it). Neither ``head_size`` nor ``activation`` can be seen in the
    weights.
    Raises ValueError for an activation that is not in `ACTIVATIONS`.
    """

    vocab_size: int = 49408
    hidden_size: int = 768
    intermediate_size: int = 3072
    layers: int = 12
    positions: int = 77
    head_size: int = 64
    activation: str = "quick_gelu"
    projection_size: int = 0
    dropped_layers: int = 0

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"its activation '{self.activation}' is none of {', '.join(ACTIVATIONS)}")

    @classmethod
    def from_shapes(
        cls, shapes: Mapping[str, tuple[int, ...]], *, head_size: int = 64, activation: str = "quick_gelu"
    ) -> ClipTextConfig:
        """The sizes of tensors with these names and shapes; KeyError names a tensor that is not there."""
        vocab_size, hidden_size = shapes["text_model.embeddings.token_embedding.weight"]
        return cls(
            vocab_size=vocab_size,
            hidden_size=hidden_size,
            intermediate_size=shapes["text_model.encoder.layers.0.mlp.fc1.weight"][0],
            layers=count_blocks(shapes, "text_model.encoder.layers."),
            positions=shapes["text_model.embeddings.position_embedding.weight"][0],
            head_size=head_size,
            activation=activation,
            projection_size=shapes.get("text_projection.weight", (0,))[0],
        )


@dataclass(frozen=True)
class ClipTextOutput:
    """What the encoder made of token ids [b, n].

    ``hidden_states``: layers + 1 tensors [b, n, hidden], the embeddings first, none of them normed, so that
    the state before the last ("clip skip 2") is ``hidden_states[-2]``. ``last``: the last of them, normed.
    ``pooled``: the row of ``last`` at the end token [b, hidden], projected where the model has a projection.
    """

    hidden_states: tuple[Tensor, ...]
    last: Tensor
    pooled: Tensor


class Embeddings(nn.Module):
    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position_embedding = nn.Embedding(config.positions, config.hidden_size)

    def forward(self, tokens: Tensor) -> Tensor:
        """Embedded tokens [b, n, hidden] with their positions added."""
        return tokens + self.position_embedding(torch.arange(tokens.shape[1], device=tokens.device))


class SelfAttention(nn.Module):
    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.head_size = config.head_size
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.k_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.v_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.out_proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor, causal: Tensor) -> Tensor:
        q, k, v = (self._heads(projection(x)) for projection in (self.q_proj, self.k_proj, self.v_proj))
        return self.out_proj(attention(q, k, v, bias=causal).transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.head_size)).transpose(1, 2)


class MLP(nn.Module):
    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[config.activation]
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.activation(self.fc1(x)))


class Layer(nn.Module):
    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.self_attn = SelfAttention(config)
        self.layer_norm1 = nn.LayerNorm(config.hidden_size)
        self.mlp = MLP(config)
        self.layer_norm2 = nn.LayerNorm(config.hidden_size)

    def forward(self, x: Tensor, causal: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x), causal)
        return x + self.mlp(self.layer_norm2(x))


class Encoder(nn.Module):
    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        causal = causal_mask(x)
        states = [x]
        for layer in self.layers:
            states.append(layer(states[-1], causal))
        return tuple(states)


class TextModel(nn.Module):
    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size)


class ClipText(nn.Module):
    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.config = config
        self.text_model = TextModel(config)
        self.text_projection = None
        if config.projection_size:
            self.text_projection = nn.Linear(config.hidden_size, config.projection_size, bias=False)

    def embed(self, token_ids: Tensor) -> Tensor:
        """What stands for each token [b, n, hidden], before positions are added."""
        return self.text_model.embeddings.token_embedding(token_ids)

    def norm(self, states: Tensor) -> Tensor:
        """The final norm, which a hidden state of any layer may be given."""
        return self.text_model.final_layer_norm(states)

    def forward(self, token_ids: Tensor, end_token: int, embedded: Tensor | None = None) -> ClipTextOutput:
        """Encode token ids [b, n], each row holding ``end_token``, whose first place is the pooled one.

        ``embedded`` [b, n, hidden] is taken in place of `embed`: learned words are none of the vocabulary's.
        """
        tokens = self.embed(token_ids) if embedded is None else embedded
        states = self.text_model.encoder(self.text_model.embeddings(tokens))
        last = self.norm(states[-1])
        pooled = at_end_token(last, token_ids, end_token)
        if self.text_projection is not None:
            pooled = self.text_projection(pooled)
        return ClipTextOutput(states, last, pooled)

    def layer_names(self) -> dict[str, LayerTarget]:
        """Its layers by their own names, which are transformers', and by those of transformers 5."""
        layers = own_layers(self)
        return layers | {name.removeprefix("text_model."): target for name, target in layers.items()}


def causal_mask(x: Tensor) -> Tensor:
    """What lets each of the n tokens of x [b, n, hidden] see itself and those before it: [n, n]."""
    n = x.shape[1]
    return torch.full((n, n), float("-inf"), dtype=x.dtype, device=x.device).triu(1)


def at_end_token(states: Tensor, token_ids: Tensor, end_token: int) -> Tensor:
    """The row of states [b, n, hidden] at the first end token: [b, hidden]."""
    ends = (token_ids == end_token).int().argmax(dim=1)
    return states[torch.arange(len(states), device=states.device), ends]


def own_layers(network: nn.Module) -> dict[str, LayerTarget]:
    """Every layer with a weight, by the path it lies at."""
    modules = network.named_modules()
    paths = (path for path, module in modules if module._parameters.get("weight") is not None)
    return {path: LayerTarget(path) for path in paths}

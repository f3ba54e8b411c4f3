"""CLIP and T5 beside transformers' own, on random tiny configurations."""

from __future__ import annotations

import pytest
import torch

from sfumato_networks.clip_text import ClipText, ClipTextConfig
from sfumato_networks.t5_encoder import T5Config, T5Encoder, distance_buckets

transformers = pytest.importorskip("transformers")
END = 39


def shapes_of(tensors: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    for parameter in model.parameters():  # biases and norms are trivial when fresh: a slip in them must show
        torch.nn.init.normal_(parameter, mean=0.05, std=0.1)
    return model.eval()


def clip_pair(activation: str = "quick_gelu", projected: bool = False):
    torch.manual_seed(0)
    config = transformers.CLIPTextConfig(
        vocab_size=END + 1,
        hidden_size=24,
        intermediate_size=40,
        projection_dim=20,
        num_hidden_layers=3,
        num_attention_heads=3,
        max_position_embeddings=16,
        hidden_act=activation,
        eos_token_id=END,
    )
    kind = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
    reference = randomised(kind(config))
    tensors = {
        name if name.startswith("text_") else f"text_model.{name}": tensor
        for name, tensor in reference.state_dict().items()
    }
    ours = ClipText(ClipTextConfig.from_shapes(shapes_of(tensors), head_size=8, activation=activation))
    ours.load_state_dict(tensors)
    return reference, ours


def clip_ids() -> torch.Tensor:
    ids = torch.randint(0, END, (3, 16), generator=torch.Generator().manual_seed(0))
    ids[0, 4:] = END
    ids[1, 15] = END
    ids[2, 1:] = END
    return ids


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@torch.no_grad()
def test_clip_equals_that_of_transformers(activation: str) -> None:
    reference, ours = clip_pair(activation)
    expected, found = reference(clip_ids(), output_hidden_states=True), ours(clip_ids(), END)
    torch.testing.assert_close(found.last, expected.last_hidden_state, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.pooled, expected.pooler_output, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.hidden_states[-2], expected.hidden_states[-2], atol=1e-5, rtol=1e-5)
    assert len(found.hidden_states) == 4


@torch.no_grad()
def test_clip_pooled_state_is_projected_where_the_model_has_a_projection() -> None:
    reference, ours = clip_pair(projected=True)
    expected = reference(clip_ids()).text_embeds
    torch.testing.assert_close(ours(clip_ids(), END).pooled, expected, atol=1e-5, rtol=1e-5)


def test_clip_sizes_are_read_from_shapes() -> None:
    _, ours = clip_pair()
    assert ours.config == ClipTextConfig(END + 1, 24, 40, 3, 16, head_size=8)


def t5_pair():
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=50,
        d_model=24,
        d_kv=10,
        d_ff=36,
        num_layers=3,
        num_heads=3,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
    )
    reference = randomised(transformers.T5EncoderModel(config))
    tensors = {n: t for n, t in reference.state_dict().items() if n != "encoder.embed_tokens.weight"}
    ours = T5Encoder(T5Config.from_shapes(shapes_of(tensors)))
    ours.load_state_dict(tensors)
    return reference, ours


def t5_ids(n: int = 12) -> torch.Tensor:
    return torch.randint(0, 50, (2, n), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("n", [12, 300])
@torch.no_grad()
def test_t5_equals_that_of_transformers(n: int) -> None:
    reference, ours = t5_pair()
    torch.testing.assert_close(ours(t5_ids(n)), reference(t5_ids(n))[0], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_t5_with_a_mask_equals_that_of_transformers() -> None:
    reference, ours = t5_pair()
    mask = torch.ones(2, 12, dtype=torch.long)
    mask[0, 5:] = 0
    expected = reference(t5_ids(), attention_mask=mask)[0]
    torch.testing.assert_close(ours(t5_ids(), mask), expected, atol=1e-5, rtol=1e-5)


def test_t5_buckets_equal_those_of_transformers_up_to_long_distances() -> None:
    from transformers.models.t5.modeling_t5 import T5Attention

    places = torch.arange(600)
    expected = T5Attention._relative_position_bucket(places[None] - places[:, None])
    assert torch.equal(distance_buckets(600, 32), expected)


def test_t5_sizes_are_read_from_shapes() -> None:
    _, ours = t5_pair()
    assert ours.config == T5Config(50, 24, 36, 3, 3, 10, 32)


def test_text_encoders_train_under_bfloat16_autocast() -> None:
    (_, clip), (_, t5) = clip_pair(), t5_pair()
    with torch.autocast("cpu", torch.bfloat16):
        loss = clip(clip_ids(), END).pooled.float().square().mean() + t5(t5_ids()).float().square().mean()
    loss.backward()
    for parameter in (*clip.parameters(), *t5.parameters()):
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()

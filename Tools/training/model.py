"""A small Llama-architecture decoder (grouped-query attention, RoPE, RMSNorm, SwiGLU, tied embeddings).

Parameter names are those of the Hugging Face LlamaForCausalLM, so a state dict can be written out as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class Config:
    """Sizes and constants of the network."""

    vocabulary_size: int = 8192
    hidden_size: int = 384
    intermediate_size: int = 896
    layer_count: int = 8
    head_count: int = 6
    key_value_head_count: int = 2
    context_length: int = 1024
    rotary_base: float = 10000.0
    norm_epsilon: float = 1e-5
    initializer_range: float = 0.02

    @property
    def head_dimension(self) -> int:
        """Elements of one head."""
        return self.hidden_size // self.head_count


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + epsilon) * weight over the last axis, the quotient in float32."""

    def __init__(self, size: int, epsilon: float) -> None:
        super().__init__()
        self.weight, self.epsilon = nn.Parameter(torch.ones(size)), epsilon

    def forward(self, x: Tensor) -> Tensor:
        """[..., size] to [..., size]."""
        f = x.float()
        normalized = f * torch.rsqrt(f.square().mean(-1, keepdim=True) + self.epsilon)
        return normalized.to(x.dtype) * self.weight.to(x.dtype)


class Attention(nn.Module):
    """Causal grouped-query attention with rotary positions."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.head_count, self.key_value_head_count = config.head_count, config.key_value_head_count
        self.head_dimension = config.head_dimension
        query_size = self.head_count * self.head_dimension
        key_value_size = self.key_value_head_count * self.head_dimension
        self.q_proj = nn.Linear(config.hidden_size, query_size, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, key_value_size, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, key_value_size, bias=False)
        self.o_proj = nn.Linear(query_size, config.hidden_size, bias=False)

    def forward(self, hidden_states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """[batch, sequence_length, hidden_size] to the same; cos, sin [sequence_length, head_dimension / 2]."""
        batch_size, sequence_length, _ = hidden_states.shape

        def split(projected: Tensor, head_count: int) -> Tensor:
            return projected.view(batch_size, sequence_length, head_count, self.head_dimension).transpose(1, 2)

        def rotate(heads: Tensor) -> Tensor:  # halves rotated against each other, as in Hugging Face's Llama
            a, b = heads.chunk(2, -1)
            return torch.cat([a * cos - b * sin, b * cos + a * sin], -1).to(heads.dtype)

        queries = rotate(split(self.q_proj(hidden_states), self.head_count))
        keys = rotate(split(self.k_proj(hidden_states), self.key_value_head_count))
        values = split(self.v_proj(hidden_states), self.key_value_head_count)
        attended = F.scaled_dot_product_attention(queries, keys, values, is_causal=True, enable_gqa=True)
        return self.o_proj(attended.transpose(1, 2).reshape(batch_size, sequence_length, -1))


class MLP(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x))."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, hidden_states: Tensor) -> Tensor:
        """[..., hidden_size] to [..., hidden_size]."""
        return self.down_proj(F.silu(self.gate_proj(hidden_states)) * self.up_proj(hidden_states))


class Layer(nn.Module):
    """Attention and feed-forward, each after a norm and with a residual."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.norm_epsilon)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.norm_epsilon)
        self.mlp = MLP(config)

    def forward(self, hidden_states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """[batch, sequence_length, hidden_size] to the same."""
        hidden_states = hidden_states + self.self_attn(self.input_layernorm(hidden_states), cos, sin)
        return hidden_states + self.mlp(self.post_attention_layernorm(hidden_states))


class Decoder(nn.Module):
    """The parameters below "model." in a Hugging Face state dict."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocabulary_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layer_count))
        self.norm = RMSNorm(config.hidden_size, config.norm_epsilon)


class Llama(nn.Module):
    """The decoder with rotary tables, initialization and loss."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, self.model = config, Decoder(config)
        angle = torch.arange(config.context_length)[:, None] * config.rotary_base ** (
            -torch.arange(0, config.head_dimension, 2) / config.head_dimension)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                ends_branch = name.endswith(("o_proj.weight", "down_proj.weight"))  # so that residuals do not grow
                scale = (2 * config.layer_count) ** -0.5 if ends_branch else 1
                nn.init.normal_(parameter, std=config.initializer_range * scale)

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> Tensor:
        """Logits [batch, sequence_length, vocabulary_size] of tokens [batch, sequence_length].

        With targets the cross entropy of each position [batch, sequence_length], 0 where the target is -1.
        """
        hidden_states, sequence_length = self.model.embed_tokens(tokens), tokens.shape[1]
        device_type = hidden_states.device.type
        if torch.is_autocast_enabled(device_type):
            hidden_states = hidden_states.to(torch.get_autocast_dtype(device_type))
        for layer in self.model.layers:
            hidden_states = layer(hidden_states, self.cos[:sequence_length], self.sin[:sequence_length])
        logits = F.linear(self.model.norm(hidden_states), self.model.embed_tokens.weight)
        if targets is None:
            return logits
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-1,
                               reduction="none").view_as(targets)

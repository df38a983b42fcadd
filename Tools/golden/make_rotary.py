#!/usr/bin/env python3
"""Cosines and sines that transformers computes for every rotary type, as a fixture of RotaryEmbeddingTests.

usage: make_rotary.py OUTPUT.json       (needs: pip install torch transformers)

One position after another, as in decoding, since `dynamic` depends on the length so far.
"""

import argparse
import json

import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

POSITIONS = [0, 1, 2, 63, 64, 100, 511, 2000]

CASES = {
    "default": {"rope_type": "default", "rope_theta": 10000.0},
    "large base": {"rope_type": "default", "rope_theta": 500000.0},
    "linear": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
    "dynamic": {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0},
    "yarn": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 8.0, "original_max_position_embeddings": 64},
    "yarn, all parameters": {
        "rope_type": "yarn", "rope_theta": 150000.0, "factor": 32.0, "original_max_position_embeddings": 128,
        "beta_fast": 16.0, "beta_slow": 2.0, "truncate": False, "mscale": 1.2, "mscale_all_dim": 0.7,
    },
    "yarn, attention factor": {
        "rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64,
        "attention_factor": 1.5,
    },
    "llama3": {
        "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    },
}


def rows(parameters: dict, head_dimension: int) -> tuple[dict, list]:
    """The configuration as JSON would have it, and [position, cosines, sines] of each position."""
    settings = {
        "model_type": "llama", "hidden_size": 2 * head_dimension, "intermediate_size": 64, "num_hidden_layers": 1,
        "num_attention_heads": 2, "head_dim": head_dimension, "vocab_size": 64,
        "max_position_embeddings": 64 if parameters["rope_type"] == "dynamic" else 4096,
        "rope_parameters": parameters,
    }
    rotary = LlamaRotaryEmbedding(LlamaConfig(**settings))
    half = head_dimension // 2
    result = []
    for position in POSITIONS:
        cosine, sine = rotary(torch.zeros(1, 1, 1), torch.tensor([[position]]))
        result.append([position, cosine[0, 0, :half].tolist(), sine[0, 0, :half].tolist()])
    return settings, result


def main() -> None:
    """Writes the fixture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output")
    output = parser.parse_args().output
    cases = []
    for name, parameters in CASES.items():
        for head_dimension in (16, 80):
            settings, expected = rows(parameters, head_dimension)
            cases.append({"name": name, "config": settings, "rows": expected})
    with open(output, "w", encoding="utf-8") as file:
        json.dump(cases, file)


if __name__ == "__main__":
    main()

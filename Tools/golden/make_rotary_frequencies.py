#!/usr/bin/env python3
"""Frequencies that transformers computes for rotary settings of all kinds, as a fixture of RotaryFrequencyTests.

usage: make_rotary_frequencies.py OUTPUT.json       (needs: pip install torch==2.15.0 transformers==5.23.0)

make_rotary.py has cosines and sines of one layout; here are both layouts, defaults and odd parameters, and the
frequencies themselves, whose errors a cosine hides. One position after another, as in decoding.
"""

import argparse
import json

import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

SIZES = {
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "vocab_size": 32,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
    "rope_theta": 500000.0,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096, "rope_theta": 10000.0}
# name: (settings beside the sizes, positions)
CASES = {
    "default": ({"max_position_embeddings": 2048}, [0, 1, 77, 2047]),
    "default of another base": (
        {"max_position_embeddings": 131072, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}},
        [1, 100_000],
    ),
    "linear": (
        {"max_position_embeddings": 2048, "rope_parameters": {"rope_type": "linear", "factor": 2.5, "rope_theta": 1e4}},
        [1, 2000],
    ),
    "linear, transformers 4": (
        {"max_position_embeddings": 2048, "rope_theta": 1e5, "rope_scaling": {"type": "linear", "factor": 4}},
        [1, 2000],
    ),
    "dynamic": (
        {"max_position_embeddings": 64, "rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4}},
        [0, 63, 64, 100, 255],
    ),
    "dynamic, head dimension 80": (
        {
            "head_dim": 80,
            "max_position_embeddings": 100,
            "rope_theta": 5e5,
            "rope_scaling": {"type": "dynamic", "factor": 2.0},
        },
        [99, 100, 199],
    ),
    "yarn": ({"max_position_embeddings": 16384, "rope_parameters": YARN}, [0, 1, 5000, 16383]),
    "yarn, no truncation": ({"max_position_embeddings": 16384, "rope_parameters": YARN | {"truncate": False}}, [9]),
    "yarn, given attention factor": (
        {"max_position_embeddings": 16384, "rope_parameters": YARN | {"attention_factor": 0.75}},
        [9],
    ),
    "yarn, betas": (
        {"max_position_embeddings": 16384, "rope_parameters": YARN | {"beta_fast": 16, "beta_slow": 2.5}},
        [9],
    ),
    "yarn, mscale": (
        {
            "max_position_embeddings": 163840,
            "rope_parameters": YARN | {"factor": 40, "mscale": 0.707, "mscale_all_dim": 0.5},
        },
        [9, 150_000],
    ),
    "yarn, null factor": ({"max_position_embeddings": 16384, "rope_parameters": YARN | {"factor": None}}, [9]),
    "yarn, short original context": (
        {"max_position_embeddings": 64, "rope_parameters": YARN | {"original_max_position_embeddings": 5}},
        [9],
    ),
    "yarn, original context of the model": (
        {"max_position_embeddings": 512, "rope_scaling": {"rope_type": "yarn", "factor": 2.0}, "rope_theta": 1e4},
        [9],
    ),
    "llama3": ({"max_position_embeddings": 131072, "rope_parameters": LLAMA3}, [0, 1, 9000, 131071]),
    "llama3, transformers 4": (
        {
            "head_dim": 128,
            "max_position_embeddings": 131072,
            "rope_theta": 500000.0,
            "rope_scaling": {key: value for key, value in LLAMA3.items() if key != "rope_theta"} | {"factor": 32.0},
        },
        [9000],
    ),
}


def main():
    """Writes the fixture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output")
    output = parser.parse_args().output
    cases = []
    for name, (settings, positions) in CASES.items():
        settings = SIZES | settings
        # The class completes the dictionaries that it is given.
        embedding = LlamaRotaryEmbedding(LlamaConfig(**json.loads(json.dumps(settings))))
        frequencies = []
        for position in positions:
            embedding(torch.zeros(1), torch.tensor([[position]]))
            frequencies.append(embedding.inv_freq.tolist())
        attention_factor = float(embedding.attention_scaling)
        if all(row == frequencies[0] for row in frequencies):
            positions, frequencies = positions[:1], frequencies[:1]
        cases.append(
            {
                "name": name,
                "config": settings,
                "attentionFactor": attention_factor,
                "positions": positions,
                "inverseFrequencies": frequencies,
            }
        )
    with open(output, "w", encoding="utf-8") as file:
        file.write(json.dumps(cases, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")


if __name__ == "__main__":
    main()

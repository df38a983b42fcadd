#!/usr/bin/env python3
"""Makes the tiny checkpoints of all families that the tests of FoveaModels carry, by make_golden.py.

    python Tools/golden/make_families.py [NAME ...]

Without names, all of VARIANTS. Seeds are tried from 1 on until no greedy choice is too close to call.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
from typing import Any

import make_golden

OUT = pathlib.Path(__file__).parents[2] / "Tests/FoveaModelsTests/Fixtures/golden"
LAST_SEED = 50

# Of all variants; each differs from its family's published checkpoints where the code might.
BASE: dict[str, Any] = {
    "vocab_size": 128, "hidden_size": 48, "intermediate_size": 56, "num_hidden_layers": 2, "num_attention_heads": 6,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 4096, "bos_token_id": 1, "eos_token_id": 2,
    "pad_token_id": 0,
}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 32}
FULL, SLIDING = "full_attention", "sliding_attention"
GEMMA3_TEXT = {
    **BASE, "num_hidden_layers": 4, "num_attention_heads": 3, "num_key_value_heads": 1, "query_pre_attn_scalar": 20,
    "sliding_window": 14, "sliding_window_pattern": 2, "rope_parameters": {
        FULL: {"rope_type": "linear", "factor": 4.0, "rope_theta": 1000000.0},
        SLIDING: {"rope_type": "default", "rope_theta": 10000.0}},
}
# name: (family, settings beside BASE, options of make_golden.py)
VARIANTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "mistral_window": ("mistral", {"sliding_window": 9, "rope_parameters": YARN}, {"dtype": "float16"}),
    "mixtral_window": (
        "mixtral", {"sliding_window": 11, "num_local_experts": 5, "num_experts_per_tok": 3, "intermediate_size": 24},
        {"layout": 4, "shard_bytes": 40000}),
    "qwen2_window": (
        "qwen2", {"use_sliding_window": True, "sliding_window": 13, "max_window_layers": 1, "rope_parameters": YARN},
        {"layout": 4}),
    "qwen3_layers": (
        "qwen3", {
            "num_hidden_layers": 3, "use_sliding_window": True, "sliding_window": 10, "tie_word_embeddings": True,
            "layer_types": [SLIDING, FULL, SLIDING], "attention_bias": True,
            "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 50000.0}},
        {"dtype": "float16"}),
    "qwen3_moe_dense": (
        "qwen3_moe", {
            "hidden_size": 32, "num_hidden_layers": 3, "num_local_experts": 7, "num_experts_per_tok": 3, "moe_intermediate_size": 24,
            "norm_topk_prob": False, "mlp_only_layers": [1], "attention_bias": True}, {}),
    "gemma_groups": ("gemma", {"attention_bias": True}, {"layout": 5}),
    "gemma2_layers": (
        "gemma2", {
            "num_hidden_layers": 3, "layer_types": [FULL, SLIDING, SLIDING], "sliding_window": 7,
            "query_pre_attn_scalar": 10, "attn_logit_softcapping": 3.0, "final_logit_softcapping": None},
        {"dtype": "float16"}),
    "gemma3_text_caps": ("gemma3_text", {**GEMMA3_TEXT, "final_logit_softcapping": 12.0}, {"layout": 4}),
    "gemma3_vision": (
        "gemma3", {"text_config": GEMMA3_TEXT, "mm_tokens_per_image": 4, "vision_config": {
            "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
            "image_size": 16, "patch_size": 8}}, {"layout": 4, "dtype": "float16"}),
    "phi3_long": (
        "phi3", {
            "head_dim": make_golden.ABSENT, "hidden_size": 96, "original_max_position_embeddings": 24, "rope_parameters": {
                "rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 0.75,
                "short_factor": [1.0, 1.1, 1.2, 1.3, 1.5, 2.0], "long_factor": [1.5, 2.0, 3.0, 5.0, 8.0, 12.0]}},
        {"layout": 4, "dtype": "bfloat16"}),
    "phi3_partial": (
        "phi3", {
            "head_dim": make_golden.ABSENT, "sliding_window": 19, "num_attention_heads": 3, "num_key_value_heads": 3,
            "rope_parameters": {"rope_type": "default", "rope_theta": 5000.0, "partial_rotary_factor": 0.5}},
        {"dtype": "float16"}),
    "granite_biases": (
        "granite", {
            "embedding_multiplier": 3.0, "residual_multiplier": 0.4, "attention_multiplier": 0.3, "logits_scaling": 0.7,
            "attention_bias": True, "mlp_bias": True}, {"layout": 4, "dtype": "float16"}),
    "olmo2_biases": ("olmo2", {"head_dim": make_golden.ABSENT, "hidden_size": 96, "attention_bias": True, "rope_parameters": YARN},
        {"layout": 4}),
    "smollm3_window": (
        "smollm3", {
            "num_hidden_layers": 3, "no_rope_layers": [1, 0, 1], "use_sliding_window": True, "sliding_window": 12,
            "mlp_bias": True, "tie_word_embeddings": False}, {}),
    "starcoder2_window": (
        "starcoder2", {
            "sliding_window": 10, "use_bias": False, "hidden_act": "gelu", "tie_word_embeddings": False,
            "norm_epsilon": 1e-3}, {"layout": 4, "dtype": "float32"}),
    "gpt_oss_window": (
        "gpt_oss", {
            "num_hidden_layers": 3, "layer_types": [FULL, SLIDING, SLIDING], "sliding_window": 6,
            "num_local_experts": 3, "num_experts_per_tok": 2, "swiglu_limit": 1.5, "swiglu_alpha": 1.3,
            "intermediate_size": 24, "rope_parameters": {**YARN, "truncate": False}}, {"layout": 4}),
    "gpt_oss_float32": (
        "gpt_oss", {
            "num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 20, "intermediate_size": 16,
            "hidden_size": 32, "attention_bias": False}, {"dtype": "float32"}),
}


def main() -> None:
    """Makes the variants that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(VARIANTS)}")
    names = parser.parse_args().names or list(VARIANTS)
    for name in names:
        if name not in VARIANTS:
            parser.error(f"no variant is called {name}")
        family, settings, options = VARIANTS[name]
        config = settings if "text_config" in settings else {**BASE, **settings}
        defaults = {"dtype": "bfloat16", "layout": 5, "shard_bytes": 10**9, "length": 97}
        for seed in range(1, LAST_SEED):
            arguments = {**defaults, **options, "family": family, "out": OUT / name, "config": config, "seed": seed}
            try:
                make_golden.make(argparse.Namespace(**arguments))
                break
            except make_golden.CloseCall:
                continue
        else:
            sys.exit(f"{name}: every seed below {LAST_SEED} has a greedy choice that is too close to call")


if __name__ == "__main__":
    main()

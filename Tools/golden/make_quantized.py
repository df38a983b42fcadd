#!/usr/bin/env python3
"""Makes the tiny quantised checkpoints that the tests of FoveaModels carry.

    python Tools/golden/make_quantized.py [NAME ...]        (needs torch, transformers and mlx)

MLX rounds the matrices; transformers computes expected.json in float32 from what MLX makes of the codes.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import make_families
import make_golden
import mlx.core as mx
import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

SIZES = {**make_families.BASE, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4}
MXFP4 = {"group_size": 32, "bits": 4, "mode": "mxfp4"}
# name: (family, settings beside SIZES, dtype, quantization in config.json)
VARIANTS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "quantized_llama": (
        "llama", {}, "bfloat16", {
            "group_size": 32, "bits": 4,
            "model.embed_tokens": {"group_size": 64, "bits": 6},
            "lm_head": {"group_size": 32, "bits": 5},
            "model.layers.0.self_attn.k_proj": False,
            "model.layers.0.mlp.down_proj": {"group_size": 32, "bits": 8},
            "model.layers.1.self_attn.q_proj": {"group_size": 64, "bits": 3},
            "model.layers.1.mlp.gate_proj": {"group_size": 64, "bits": 8},
            "model.layers.1.mlp.up_proj": {"group_size": 32, "bits": 2}}),
    "quantized_tied_float16": (
        "qwen3", {"tie_word_embeddings": True, "hidden_size": 128, "intermediate_size": 128, "head_dim": 32}, "float16",
        {"group_size": 128, "bits": 8, "mode": "affine"}),
    "quantized_mxfp4": ("llama", {"attention_bias": True}, "bfloat16", MXFP4),
    "quantized_experts": (
        "qwen3_moe", {"num_local_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 32}, "bfloat16",
        {"group_size": 32, "bits": 4}),
    "quantized_gpt_oss": (
        "gpt_oss", {
            "num_local_experts": 3, "num_experts_per_tok": 2, "intermediate_size": 64, "sliding_window": 6,
            "swiglu_limit": 1.5}, "bfloat16",
        {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"]}),
}


def to_mlx(tensor: torch.Tensor) -> mx.array:
    return mx.array(tensor.float().numpy()).astype(getattr(mx, str(tensor.dtype).removeprefix("torch.")))


def to_torch(array: mx.array, dtype: torch.dtype | None = None) -> torch.Tensor:
    if dtype is not None:
        return torch.from_numpy(np.array(array.astype(mx.float32))).to(dtype)
    return torch.from_numpy(np.array(array))


def quantize(weight: torch.Tensor, scheme: dict[str, Any]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The parts in MLX's layout, and the float32 values that they stand for."""
    parts = mx.quantize(to_mlx(weight), **scheme)
    widened = [part.astype(mx.float32) if part.dtype in (mx.bfloat16, mx.float16) else part for part in parts]
    if scheme.get("mode") == "mxfp4":
        values = mx.dequantize(*parts, dtype=mx.float32, **scheme)
        return {"weight": to_torch(parts[0]), "scales": to_torch(parts[1])}, to_torch(values)
    values = mx.dequantize(*widened, **scheme)
    return {"weight": to_torch(parts[0]), "scales": to_torch(parts[1], weight.dtype),
            "biases": to_torch(parts[2], weight.dtype)}, to_torch(values)


def convert(
    model: torch.nn.Module, settings: dict[str, Any]
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The tensors of the checkpoint, and the float32 values that they stand for."""
    default = {key: settings[key] for key in ("group_size", "bits", "mode") if key in settings}
    tensors: dict[str, torch.Tensor] = {}
    state = model.state_dict()
    for name, tensor in state.items():
        path, _, part = name.rpartition(".")
        if settings.get("quant_method") == "mxfp4":
            if part not in ("gate_up_proj", "down_proj"):
                tensors[name] = tensor
                continue
            parts, values = quantize(tensor.transpose(1, 2).contiguous(), MXFP4)
            rows = parts["scales"].shape
            tensors[name + "_blocks"] = parts["weight"].view(torch.uint8).reshape(*rows, 16)
            tensors[name + "_scales"] = parts["scales"]
            state[name] = values.transpose(1, 2)
        elif part in ("gate_up_proj", "down_proj"):  # all experts of a layer, as transformers 5 holds them
            parent = path.removesuffix(".experts") + ".switch_mlp"
            halves = tensor.chunk(2, 1) if part == "gate_up_proj" else [tensor]
            names = ["gate_proj", "up_proj"] if part == "gate_up_proj" else ["down_proj"]
            results = [quantize(half.contiguous(), default) for half in halves]
            for own, (parts, _) in zip(names, results, strict=True):
                tensors.update({f"{parent}.{own}.{key}": value for key, value in parts.items()})
            state[name] = torch.cat([values for _, values in results], 1)
        elif part == "weight" and tensor.dim() == 2 and not path.endswith("mlp.gate"):
            scheme = settings.get(path, default)
            if scheme is False or (path == "lm_head" and model.config.tie_word_embeddings):
                if scheme is False:
                    tensors[name] = tensor
                continue
            parts, state[name] = quantize(tensor, scheme)
            tensors.update({f"{path}.{key}": value for key, value in parts.items()})
        else:
            tensors[name] = tensor
    if model.config.tie_word_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    values = {name: tensor.float() for name, tensor in state.items()}
    return {name: tensor.contiguous() for name, tensor in tensors.items()}, values


def make(name: str, seed: int) -> None:
    family, changes, dtype, settings = VARIANTS[name]
    generator = torch.Generator().manual_seed(seed)
    config = AutoConfig.for_model(family, **{**SIZES, **changes})
    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    make_golden.randomize(model, generator)
    model = model.to(make_golden.DTYPES[dtype])
    out = make_families.OUT / name
    out.mkdir(parents=True, exist_ok=True)
    model.generation_config.save_pretrained(out)
    tensors, values = convert(model, settings)
    # Anew, since the cast above rounded buffers too.
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    model.load_state_dict(values)
    tokens = torch.randint(make_golden.FIRST_ORDINARY_TOKEN, config.vocab_size, (97,), generator=generator).tolist()
    result = make_golden.expected(model, tokens)
    save_file(tensors, out / "model.safetensors", metadata={"format": "mlx"})
    written = json.loads(config.to_json_string())
    key = "quantization_config" if "quant_method" in settings else "quantization"
    make_golden.write_json(out / "config.json", {**written, "dtype": dtype, key: settings})
    make_golden.write_json(out / "expected.json", result, indent=None)
    print(f"{out}: mean nll {sum(result['nll']) / len(result['nll']):.3f} nat")


def main() -> None:
    """Makes the variants that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(VARIANTS)}")
    for name in parser.parse_args().names or list(VARIANTS):
        for seed in range(1, make_families.LAST_SEED):
            try:
                make(name, seed)
                break
            except make_golden.CloseCall:
                continue
        else:
            sys.exit(f"{name}: every seed has a greedy choice that is too close to call")


if __name__ == "__main__":
    main()

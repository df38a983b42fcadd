#!/usr/bin/env python3
"""Writes a Llama checkpoint with random weights, to time shapes for which there is no small model.

usage: random_model.py FOLDER [--type bfloat16|float32] [--hidden 2048] [--intermediate 8192] [--layers 4]

Needs NumPy. The folder has no tokenizer: `fovea bench` and `Tools/compare models` take it, text does not.
"""

import argparse
import json
import pathlib
import struct

import numpy as np


def shapes(hidden, intermediate, layers, key_width, vocabulary):
    yield "model.embed_tokens.weight", (vocabulary, hidden)
    yield "model.norm.weight", (hidden,)
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        yield prefix + "input_layernorm.weight", (hidden,)
        yield prefix + "post_attention_layernorm.weight", (hidden,)
        yield prefix + "self_attn.q_proj.weight", (hidden, hidden)
        yield prefix + "self_attn.k_proj.weight", (key_width, hidden)
        yield prefix + "self_attn.v_proj.weight", (key_width, hidden)
        yield prefix + "self_attn.o_proj.weight", (hidden, hidden)
        yield prefix + "mlp.gate_proj.weight", (intermediate, hidden)
        yield prefix + "mlp.up_proj.weight", (intermediate, hidden)
        yield prefix + "mlp.down_proj.weight", (hidden, intermediate)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--type", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--hidden", type=int, default=2048, help="a multiple of 256")
    parser.add_argument("--intermediate", type=int, default=8192)
    parser.add_argument("--layers", type=int, default=4)
    options = parser.parse_args()
    if options.hidden < 256 or options.hidden % 256 or options.intermediate < 1 or options.layers < 1:
        parser.error("--hidden must be a multiple of 256, the others at least 1")
    heads, key_heads, vocabulary = options.hidden // 64, options.hidden // 256, 2000
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": options.hidden,
        "intermediate_size": options.intermediate, "num_hidden_layers": options.layers,
        "num_attention_heads": heads, "num_key_value_heads": key_heads, "vocab_size": vocabulary,
        "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
        "tie_word_embeddings": True, "torch_dtype": options.type, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    random = np.random.default_rng(0)
    header, blobs, end = {}, [], 0
    for name, shape in shapes(options.hidden, options.intermediate, options.layers, key_heads * 64, vocabulary):
        values = np.ones(shape, np.float32) if len(shape) == 1 else random.standard_normal(shape, np.float32) * 0.02
        if options.type == "bfloat16":
            values = (values.view(np.uint32) >> 16).astype(np.uint16)
        blobs.append(values.tobytes())
        header[name] = {
            "dtype": "BF16" if options.type == "bfloat16" else "F32",
            "shape": list(shape),
            "data_offsets": [end, end + len(blobs[-1])],
        }
        end += len(blobs[-1])
    text = json.dumps(header).encode()
    with open(options.folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for blob in blobs:
            file.write(blob)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Makes a tiny random model with transformers, and what transformers computes from it in float32.

    python make_golden.py llama --out Tests/FoveaModelsTests/Fixtures/golden/llama_yarn --layout 4 \\
        --dtype bfloat16 --config '{"hidden_size": 64, "rope_parameters": {"rope_type": "yarn", "factor": 4.0}}'

The folder gets config.json in the layout of transformers 4 or 5, the same configuration in the other layout beside
it (config.transformers4.json or config.transformers5.json), generation_config.json, safetensors, and expected.json:

    transformers      the version that computed it
    tokens            the prompt, random ids from 3 up
    logit_positions   the positions whose logits are kept: first, second, middle and last
    logits            [logit_positions, vocabulary], float32
    nll               of token i + 1 given tokens 0...i, in nats
    greedy            the 24 tokens that follow the first 8 of the prompt when the likeliest is taken each time

The reference is float32 arithmetic with eager attention on the stored (rounded) weights. The same arguments give the
same bytes with the same versions of torch and transformers.
"""

from __future__ import annotations

import argparse
import json
import math
import pathlib
import sys
from typing import Any

import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PretrainedConfig,
    PreTrainedModel,
)

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
FIRST_ORDINARY_TOKEN = 3  # after padding, BOS and EOS
GREEDY_PROMPT_LENGTH, GREEDY_TOKEN_COUNT = 8, 24
SMALLEST_GREEDY_MARGIN = 1e-3  # of the largest logit's magnitude: ten times the tolerance of the tests
ABSENT = "absent"  # a setting that --config takes out of the defaults
# As the families' published checkpoints, but tiny; --config changes them.
DEFAULTS: dict[str, Any] = {
    "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 512, "tie_word_embeddings": False,
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}


class CloseCall(Exception):
    """Two tokens are so near to each other that rounding may choose between them."""


def write_json(path: pathlib.Path, value: Any, indent: int | None = 2) -> None:
    """Writes `value` as JSON with a newline at the end."""
    path.write_text(json.dumps(value, indent=indent) + "\n")


def randomize(model: PreTrainedModel, generator: torch.Generator) -> None:
    """Fills the parameters with values large enough for attention to be far from uniform and logits to differ."""
    # Gemma's norms multiply by 1 + weight.
    norm_center = 0.0 if model.config.model_type.startswith("gemma") else 1.0
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if name.endswith("bias"):
            parameter.data.copy_(0.3 * noise)
        elif name.endswith("sinks"):
            parameter.data.copy_(2 * noise)
        elif parameter.dim() == 1:  # norms
            parameter.data.copy_(norm_center + 0.2 * noise)
        elif "embed_tokens" in name:
            parameter.data.copy_(0.6 * noise)
        else:
            # gpt-oss keeps the matrices of its experts as [inputs, outputs].
            is_transposed = model.config.model_type == "gpt_oss" and parameter.dim() == 3
            parameter.data.copy_(1.5 / math.sqrt(parameter.shape[-2 if is_transposed else -1]) * noise)


def layout_4(config: dict[str, Any]) -> dict[str, Any]:
    """A transformers 5 configuration as transformers 4 wrote it."""
    config = dict(config)
    if "text_config" in config:
        config["text_config"] = layout_4(config["text_config"])
    rope = config.pop("rope_parameters", None)
    if rope and "full_attention" in rope:  # Gemma 3
        full, sliding = dict(rope["full_attention"]), rope["sliding_attention"]
        config["rope_theta"], config["rope_local_base_freq"] = full.pop("rope_theta"), sliding["rope_theta"]
        config["rope_scaling"] = None if full["rope_type"] == "default" else full
        config["sliding_window_pattern"] = config.pop("_sliding_window_pattern")
    elif rope:
        rope = dict(rope)
        config["rope_theta"] = rope.pop("rope_theta")
        if "partial_rotary_factor" in rope:
            config["partial_rotary_factor"] = rope.pop("partial_rotary_factor")
        config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
        if rope["rope_type"] == "longrope":
            rope["type"] = rope.pop("rope_type")
            rope.pop("original_max_position_embeddings")
    if config.get("model_type") == "qwen3_moe":
        config["num_experts"] = config.pop("num_local_experts")
    types = config.get("layer_types", [])
    alternates = all((kind == "sliding_attention") == (index % 2 == 0) for index, kind in enumerate(types))
    if config.get("model_type") in ("gemma3_text", "qwen2", "smollm3") or alternates:
        config.pop("layer_types", None)  # follows from other settings
    if "dtype" in config:
        config["torch_dtype"] = config.pop("dtype")
    if "transformers_version" in config:
        config["transformers_version"] = "4.51.0"
    return config


def write_checkpoint(model: PreTrainedModel, out: pathlib.Path, layout: int, shard_bytes: int) -> None:
    """The folder without expected.json."""
    model.save_pretrained(out, max_shard_size=shard_bytes)
    layout_5 = json.loads((out / "config.json").read_text())
    configs = {4: layout_4(layout_5), 5: layout_5}
    other = 9 - layout
    write_json(out / "config.json", configs[other])
    read_from_other = AutoConfig.from_pretrained(out).get_text_config().to_dict()
    write_json(out / f"config.transformers{other}.json", configs[other])
    write_json(out / "config.json", configs[layout])
    read = AutoConfig.from_pretrained(out).get_text_config().to_dict()
    # Transformers keeps the name that `rope_type` had beside it.
    for settings in (read, read_from_other):
        settings["rope_parameters"].pop("type", None)
    for name in ("rope_parameters", "dtype", "hidden_size", "head_dim", "layer_types", "sliding_window"):
        if read.get(name) != read_from_other.get(name):
            sys.exit(f"{out}: {name} is {read[name]} in layout {layout}, but {read_from_other[name]} in layout {other}")


@torch.no_grad()
def expected(model: PreTrainedModel, tokens: list[int]) -> dict[str, Any]:
    """What expected.json holds.

    Raises CloseCall if a greedy choice is too close to call.
    """
    logits = model(torch.tensor([tokens])).logits[0]
    positions = [0, 1, len(tokens) // 2, len(tokens) - 1]
    nll = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(tokens[1:]), reduction="none")
    greedy: list[int] = []
    for _ in range(GREEDY_TOKEN_COUNT):
        last = model(torch.tensor([tokens[:GREEDY_PROMPT_LENGTH] + greedy])).logits[0, -1]
        best, second = last.topk(2).values.tolist()
        if best - second < SMALLEST_GREEDY_MARGIN * last.abs().max().item():
            raise CloseCall(
                f"greedy token {len(greedy)}: the two likeliest differ by {best - second:.1e} only; change --seed")
        greedy.append(int(last.argmax()))
    return {
        "transformers": transformers.__version__, "tokens": tokens, "logit_positions": positions,
        "logits": [[round(x, 6) for x in logits[position].tolist()] for position in positions],
        "nll": [round(x, 6) for x in nll.tolist()], "greedy": greedy,
    }


def parse_arguments() -> argparse.Namespace:
    """The command line; a bad --config is a usage error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", help="model type of transformers, for example llama, qwen3 or gemma2")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder to write")
    parser.add_argument("--config", default="{}", help="JSON object of changes to the tiny default configuration")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16", help="element type of the stored weights")
    parser.add_argument("--layout", type=int, choices=(4, 5), default=5, help="whose config.json: transformers 4 or 5")
    parser.add_argument("--shard-bytes", type=int, default=10**9, help="largest shard of the checkpoint")
    parser.add_argument("--length", type=int, default=97, help="tokens in the prompt")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    try:
        arguments.config = json.loads(arguments.config)
    except json.JSONDecodeError as error:
        parser.error(f"--config is not JSON: {error}")
    if not isinstance(arguments.config, dict):
        parser.error(f"--config must be a JSON object, not {arguments.config!r}")
    if arguments.length <= GREEDY_PROMPT_LENGTH:
        parser.error(f"--length must be over {GREEDY_PROMPT_LENGTH}, not {arguments.length}")
    return arguments


def make(arguments: argparse.Namespace) -> None:
    """Builds, stores, reads back and evaluates the model."""
    generator = torch.Generator().manual_seed(arguments.seed)
    settings = {key: value for key, value in {**DEFAULTS, **arguments.config}.items() if value != ABSENT}
    model_class = AutoModelForCausalLM
    if "text_config" in settings:
        model_class = AutoModelForImageTextToText
        settings = arguments.config
    config: PretrainedConfig = AutoConfig.for_model(arguments.family, **settings)
    model = model_class.from_config(config, dtype=torch.float32)
    randomize(model, generator)
    write_checkpoint(model.to(DTYPES[arguments.dtype]), arguments.out, arguments.layout, arguments.shard_bytes)

    stored = model_class.from_pretrained(arguments.out, dtype=torch.float32, attn_implementation="eager").eval()
    vocab_size = config.get_text_config().vocab_size
    tokens = torch.randint(FIRST_ORDINARY_TOKEN, vocab_size, (arguments.length,), generator=generator).tolist()
    result = expected(stored, tokens)
    write_json(arguments.out / "expected.json", result, indent=None)
    mean_nll = sum(result["nll"]) / len(result["nll"])
    print(f"{arguments.out}: {stored.num_parameters():,} parameters, mean nll {mean_nll:.3f} nat")


def main() -> None:
    """Makes the model that the command line asks for."""
    try:
        make(parse_arguments())
    except CloseCall as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

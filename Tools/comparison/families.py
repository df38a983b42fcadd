"""Compares what random tiny models of all families compute with transformers. See Tools/compare.

For each family some random settings are drawn, among them all that published checkpoints of the family use. Transformers
makes a model of them with random weights and stores it; Fovea scores a random text with it in float32, in both layouts of
config.json, and again with some settings of the file changed, taken out or added. Each result is one of:

    equal     the losses of all tokens are transformers', within 1e-4 nat (or of the largest, where that is above 1)
    refused   Fovea ends with an error that names the setting
    failed    transformers itself refuses the file, or lacks weights for it
    DIFFERS   anything else
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import warnings
from typing import Any

import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tools/golden"))
import make_golden  # noqa: E402
from make_golden import ABSENT  # noqa: E402

FOVEA = os.environ.get("FOVEA_EXECUTABLE", str(ROOT / ".build/release/fovea"))
LENGTH, VOCABULARY, TOLERANCE = 80, 96, 1e-4
FULL, SLIDING = "full_attention", "sliding_attention"
# A setting's choices; ABSENT leaves the family's default.
HEADS = [(4, 2), (6, 2), (3, 1), (4, 4), (8, 2)]
ACTIVATIONS = ["silu", "gelu", "gelu_pytorch_tanh", "gelu_new", "relu", "gelu_fast", "quick_gelu", "swish", "relu2"]
WINDOWS = [None, 1, 2, 7, 16, 33, 200]


class NotMade(Exception):
    """Settings that transformers refuses."""


def rotary(rng: random.Random, dimension: int, partial: bool) -> dict[str, Any]:
    """A random setting of rotary positions for heads of `dimension`."""
    base = {"rope_theta": rng.choice([10000.0, 500000.0, 1000.0])}
    if partial and rng.random() < 0.6:
        base["partial_rotary_factor"] = rng.choice([0.5, 0.75, 1.0])
    turned = int(dimension * base.get("partial_rotary_factor", 1.0))
    kind = rng.choice(["default", "linear", "dynamic", "yarn", "llama3", "longrope"])
    settings: dict[str, Any] = {**base, "rope_type": kind}
    if kind in ("linear", "dynamic", "yarn", "llama3"):
        settings["factor"] = rng.choice([1.0, 2.0, 8.0, 3.5])
    if kind in ("yarn", "llama3", "longrope"):
        settings["original_max_position_embeddings"] = rng.choice([16, 32, 64, 1000])
    if kind == "yarn":
        for name, values in {"beta_fast": [16, 32.0], "beta_slow": [1, 2.0], "attention_factor": [0.9],
                             "mscale": [0.7, 1.0], "mscale_all_dim": [1.0], "truncate": [True, False]}.items():
            if rng.random() < 0.3:
                settings[name] = rng.choice(values)
    if kind == "llama3":
        settings |= {"low_freq_factor": 1.0, "high_freq_factor": rng.choice([4.0, 2.0])}
    if kind == "longrope":
        pairs = turned // 2
        settings["short_factor"] = [round(rng.uniform(1, 2), 2) for _ in range(pairs)]
        settings["long_factor"] = [round(rng.uniform(1, 20), 2) for _ in range(pairs)]
        if rng.random() < 0.3:
            settings["factor"] = 4.0
        if rng.random() < 0.3:
            settings["attention_factor"] = 1.3
    return settings


def common(rng: random.Random, family: str) -> dict[str, Any]:
    """Settings that all families know."""
    heads, key_value_heads = rng.choice(HEADS)
    dimension = rng.choice([16, 24, 32])
    layers = rng.choice([2, 3, 4])
    settings: dict[str, Any] = {
        "vocab_size": VOCABULARY, "hidden_size": rng.choice([48, 96]), "intermediate_size": rng.choice([40, 56, 64]),
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": key_value_heads,
        "head_dim": dimension, "max_position_embeddings": 512, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
        "tie_word_embeddings": rng.choice([True, False]), "rms_norm_eps": rng.choice([1e-6, 1e-5, 1e-2]),
    }
    if rng.random() < 0.4 or family in ("phi3", "olmo2", "starcoder2"):
        settings["hidden_size"] = heads * dimension
        settings["head_dim"] = ABSENT
    if rng.random() < 0.7:
        settings["rope_parameters"] = rotary(rng, dimension, family in PARTIAL)
    if rng.random() < 0.3:
        settings["hidden_act"] = rng.choice(ACTIVATIONS)
    if rng.random() < 0.3:
        settings["attention_bias"] = rng.choice([True, False])
    if rng.random() < 0.3:
        settings["mlp_bias"] = rng.choice([True, False])
    return settings


PARTIAL = {"phi3"}


def layer_types(rng: random.Random, layers: int) -> list[str]:
    return [rng.choice([FULL, SLIDING]) for _ in range(layers)]


def special(rng: random.Random, family: str, settings: dict[str, Any]) -> None:
    """Adds settings that the family has of its own."""
    layers = settings["num_hidden_layers"]

    def maybe(name: str, *choices: Any, chance: float = 0.5) -> None:
        if rng.random() < chance:
            settings[name] = rng.choice(choices)

    if family in ("mistral", "mixtral", "starcoder2", "phi3", "qwen3_moe"):
        maybe("sliding_window", *WINDOWS, chance=0.9)
    if family in ("mixtral", "gpt_oss", "qwen3_moe"):
        settings["num_local_experts"] = rng.choice([2, 4, 5])
        settings["num_experts_per_tok"] = rng.choice([1, 2])
    if family == "qwen3_moe":
        settings["moe_intermediate_size"] = rng.choice([16, 24])
        maybe("norm_topk_prob", True, False)
        maybe("mlp_only_layers", [], [0], [1])
        maybe("decoder_sparse_step", 1, 2)
        maybe("use_sliding_window", True, False)
    if family in ("qwen2", "qwen3", "smollm3"):
        maybe("use_sliding_window", True, False, chance=0.8)
        maybe("sliding_window", *WINDOWS, chance=0.8)
        maybe("max_window_layers", 0, 1, 2, 9)
        if settings.get("use_sliding_window") and settings.get("sliding_window"):
            maybe("layer_types", layer_types(rng, layers))
    if family == "smollm3":
        maybe("no_rope_layers", [rng.choice([0, 1]) for _ in range(layers)])
        maybe("no_rope_layer_interval", 2, 3)
    if family in ("gemma", "gemma2", "gemma3_text"):
        name = "hidden_act" if family == "gemma" else "hidden_activation"
        if "hidden_act" in settings:
            settings[name] = settings.pop("hidden_act")
    if family in ("gemma2", "gemma3_text"):
        settings["sliding_window"] = rng.choice([3, 9, 20, 100])
        maybe("query_pre_attn_scalar", 12, 64, 256)
        maybe("attn_logit_softcapping", None, 2.0, 50.0)
        maybe("final_logit_softcapping", None, 3.0, 30.0)
        maybe("layer_types", layer_types(rng, layers))
    if family == "gemma3_text":
        full = rotary(rng, 16, False)
        if full["rope_type"] == "longrope":
            full = {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0}
        settings["rope_parameters"] = {FULL: full, SLIDING: {"rope_type": "default", "rope_theta": 10000.0}}
        if "layer_types" not in settings:
            maybe("sliding_window_pattern", 2, 3, 6)
        maybe("use_bidirectional_attention", True, chance=0.1)
    if family == "granite":
        for name in ("embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling"):
            maybe(name, 0.22, 1.0, 3.0, chance=0.8)
    if family == "starcoder2":
        settings.pop("rms_norm_eps")
        maybe("use_bias", True, False)
        maybe("norm_epsilon", 1e-5, 1e-2)
    if family == "phi3" and settings.get("rope_parameters", {}).get("rope_type") == "longrope":
        settings["original_max_position_embeddings"] = settings["rope_parameters"]["original_max_position_embeddings"]
    if family == "gpt_oss":
        settings["sliding_window"] = rng.choice([5, 16, 128])
        maybe("layer_types", layer_types(rng, layers))
        maybe("swiglu_limit", 1.0, 7.0)


def mutations(rng: random.Random, config: dict[str, Any]) -> dict[str, Any]:
    """The file with one or two settings changed, taken out or added."""
    config = json.loads(json.dumps(config))
    layers = config["num_hidden_layers"]
    added: list[tuple[str, list[Any]]] = [
        ("hidden_act", ACTIVATIONS + ["mish", None]), ("hidden_activation", ACTIVATIONS + [None]),
        ("attention_bias", [True, False, None]), ("mlp_bias", [True, False]), ("use_bias", [True, False]),
        ("qkv_bias", [True]), ("sliding_window", WINDOWS), ("use_sliding_window", [True, False]),
        ("layer_types", [None, layer_types(rng, layers), [FULL] * layers, ["linear_attention"] * layers]),
        ("sliding_window_pattern", [2, 3]), ("_sliding_window_pattern", [2]), ("max_window_layers", [0, 1, 50]),
        ("partial_rotary_factor", [0.5, 1.0]), ("rope_theta", [100.0, 1e6, 10000]), ("rope_local_base_freq", [5000.0]),
        ("rope_scaling", [None, {"rope_type": "linear", "factor": 2.0}, {"type": "linear", "factor": 4.0},
                          {"type": "su", "short_factor": [1], "long_factor": [2]}, {"rope_type": "proportional"},
                          {"type": "ntk", "factor": 2.0}, {"rope_type": "yarn", "factor": 2.0},
                          {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32},
                          {"type": "mrope", "mrope_section": [2, 3, 3]}, {"rope_type": "default"}]),
        ("query_pre_attn_scalar", [64]), ("attn_logit_softcapping", [2.0, None]), ("final_logit_softcapping", [2.0]),
        ("logits_scaling", [2.0]), ("embedding_multiplier", [2.0]), ("residual_multiplier", [0.5]),
        ("attention_multiplier", [0.5]), ("logit_scale", [0.5]), ("tie_word_embeddings", [True, False]),
        ("rms_norm_eps", [1e-3, 0.1]), ("norm_epsilon", [1e-2]), ("layer_norm_eps", [1e-2]),
        ("norm_topk_prob", [True, False]), ("num_experts_per_tok", [1, 2]), ("num_local_experts", [3]),
        ("num_experts", [3]), ("head_dim", [8, None]), ("num_key_value_heads", [1, None]), ("qk_norm", [True]),
        ("use_qk_norm", [True]), ("clip_qkv", [1.0]), ("no_rope_layers", [[0] * layers]), ("no_rope_layer_interval", [2]),
        ("pretraining_tp", [2]), ("use_bidirectional_attention", [True, False]), ("is_causal", [False]),
        ("swiglu_limit", [1.0]), ("mlp_only_layers", [[0]]), ("decoder_sparse_step", [2]),
        ("original_max_position_embeddings", [16, 128]), ("max_position_embeddings", [256, 1024]), ("alibi", [True]),
        ("attention_dropout", [0.5]), ("scale_embeddings", [True]), ("is_decoder", [False]), ("mtp_num_layers", [1]),
        ("quantization_config", [{"quant_method": "gptq", "bits": 4}, {"quant_method": "awq", "bits": 4}]),
    ]
    for _ in range(rng.choice([1, 1, 2])):
        if rng.random() < 0.3:
            config.pop(rng.choice(sorted(set(config) - {"model_type"})))
        else:
            name, values = rng.choice(added)
            value = rng.choice(values)
            # Transformers 5 ignores the earlier spelling `type` in Gemma 3's rope_scaling; Fovea reads it, as 4 did.
            if config["model_type"].startswith("gemma3") and isinstance(value, dict) and "type" in value:
                continue
            config[name] = value
    return config


def losses_of_transformers(folder: pathlib.Path, tokens: list[int]) -> list[float]:
    """Raises if transformers refuses the folder or lacks weights."""
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    if info["missing_keys"] or info["mismatched_keys"]:
        raise ValueError(f"lacks {sorted(map(str, [*info['missing_keys'], *info['mismatched_keys']]))[:2]}")
    with torch.no_grad():
        logits = model.eval()(torch.tensor([tokens])).logits[0]
    return torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(tokens[1:]), reduction="none").tolist()


def losses_of_fovea(folder: pathlib.Path, tokens: list[int]) -> list[float] | str:
    """The losses, or the line of the error."""
    line = json.dumps({"context_tokens": tokens[:1], "continuation_tokens": tokens[1:]}) + "\n"
    result = subprocess.run([FOVEA, "score", "--model", str(folder), "--precision", "float32", "--threads", "1"], input=line,
                            capture_output=True, text=True)
    if result.returncode in (64, 65, 66) and result.stderr.count("\n") == 1:
        return result.stderr.strip().replace(str(folder), "")
    if result.returncode != 0:
        raise RuntimeError(f"exit code {result.returncode}: {result.stderr}")
    answer = json.loads(result.stdout)
    values = answer.get("log_probabilities", answer.get("logProbabilities"))
    return [-value for value in values]


def compare(folder: pathlib.Path, tokens: list[int]) -> tuple[str, str]:
    """The kind of the result, and what there is to say."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            expected = losses_of_transformers(folder, tokens)
    except Exception as error:  # transformers raises whatever it likes
        expected = f"{type(error).__name__}: {error}".splitlines()[0][:160]
    got = losses_of_fovea(folder, tokens)
    if isinstance(got, str):
        return "refused", got
    if isinstance(expected, str):
        return "failed", expected
    worst = max(abs(a - b) for a, b in zip(got, expected))
    if len(got) == len(expected) and worst <= TOLERANCE * max(1, *expected):
        return "equal", ""
    return "DIFFERS", f"by {worst:.2e} nat"


def cases(rng: random.Random, family: str, folder: pathlib.Path, mutation_count: int):
    """Stores one random model and gives the names of what to compare, each with config.json in place."""
    settings = common(rng, family)
    special(rng, family, settings)
    settings = {name: value for name, value in settings.items() if value != ABSENT}
    generator = torch.Generator().manual_seed(rng.randrange(1 << 30))
    try:
        config = transformers.AutoConfig.for_model(family, **settings)
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    except Exception as error:  # transformers raises whatever it likes
        raise NotMade(str(error)) from error
    make_golden.randomize(model, generator)
    model.save_pretrained(folder)
    layout_5 = json.loads((folder / "config.json").read_text())
    files = {"layout 5": layout_5}
    with contextlib.suppress(KeyError):
        files["layout 4"] = make_golden.layout_4(json.loads(json.dumps(layout_5)))
    for name, file in list(files.items()):
        for _ in range(mutation_count):
            changed = mutations(rng, file)
            difference = {key: changed.get(key, ABSENT) for key in {*file, *changed}
                          if file.get(key, ABSENT) != changed.get(key, ABSENT)}
            files[f"{name} with {json.dumps(difference, sort_keys=True)}"] = changed
    for name, file in files.items():
        (folder / "config.json").write_text(json.dumps(file))
        yield name, {key: value for key, value in file.items() if key in settings or key.startswith("rope")}


def main() -> None:
    parser = argparse.ArgumentParser(prog="Tools/compare families", description="Compares random tiny models.")
    parser.add_argument("--count", type=int, default=10, help="models of each family")
    parser.add_argument("--mutations", type=int, default=3, help="changed files of each model and layout")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="show what was refused or failed too")
    parser.add_argument("families", nargs="*", metavar="FAMILY", default=[])
    options = parser.parse_args()
    families = options.families or [
        "llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe", "gemma", "gemma2", "gemma3_text", "phi3", "granite",
        "olmo2", "smollm3", "starcoder2", "gpt_oss"]
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    differences = 0
    for family in families:
        counts: collections.Counter[str] = collections.Counter()
        for index in range(options.count):
            rng = random.Random(f"{family} {options.seed} {index}")
            tokens = [rng.randrange(3, VOCABULARY) for _ in range(LENGTH)]
            with tempfile.TemporaryDirectory() as name:
                folder = pathlib.Path(name)
                try:
                    for case, shown in cases(rng, family, folder, options.mutations):
                        kind, text = compare(folder, tokens)
                        counts[kind] += 1
                        if kind == "DIFFERS" or (options.verbose and kind != "equal"):
                            print(f"{family} {index}: {kind} {text}: {case}\n    {json.dumps(shown)}", flush=True)
                except NotMade as error:
                    counts["not made"] += 1
                    if options.verbose:
                        print(f"{family} {index}: not made: {error}", flush=True)
        differences += counts["DIFFERS"]
        print(f"{family}: {', '.join(f'{count} {kind}' for kind, count in sorted(counts.items()))}", flush=True)
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()

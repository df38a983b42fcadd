#!/usr/bin/env python3
"""Compares `fovea perplexity` in float32 with implementations of the same definitions on other engines.

chunked: llama.cpp (llama-cpp-python) on a float32 GGUF of the same weights, made here with the gguf package: the logits
of llama.cpp's low-level evaluation, summed as its perplexity tool does. strided and rolling: transformers in float32,
with windows cut by the code of transformers' documentation and of lm-eval.

usage: perplexity.py TEXT_OR_TOKENS [--model DIR] [--fovea PATH] [--methods chunked,strided,rolling] [--chunks 40]
                     [--tokens] [--tolerance-chunked 5e-4] [--tolerance 1e-4]

TEXT is tokenised by `fovea tokenize`; --tokens takes a file of ids instead, for a tokenizer that Fovea lacks. Exits
with 1 where a figure is further away than its tolerance. Needs the packages of requirements-evaluation.txt.
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from model_folder import model_folder

ROOT = pathlib.Path(__file__).resolve().parents[2]


def losses_of(logits, targets):
    """-log softmax(logits)[target] of each row, in float64."""
    losses = []
    for row, target in zip(logits, targets, strict=True):
        row = row.astype(np.float64)
        maximum = row.max()
        losses.append(np.log(np.exp(row - maximum).sum()) + maximum - row[target])
    return np.array(losses)


def figures(losses):
    """Perplexity with llama.cpp's standard error."""
    count = len(losses)
    mean = float(np.mean(losses))
    variance = max(0.0, float(np.mean(np.square(losses))) - mean * mean)
    return math.exp(mean), math.exp(mean) * math.sqrt(variance / (count - 1)), count


# MARK: llama.cpp


def chunked_losses(model_dir, tokens, begin, length, limit):
    """llama.cpp's perplexity: the second half of each chunk, its first token replaced."""
    import llama_cpp
    from gguf_checkpoint import write_gguf

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.gguf"
        write_gguf(model_dir, path, "float32")
        model = llama_cpp.Llama(
            str(path), n_ctx=length, n_batch=length, n_ubatch=length, logits_all=True, verbose=False,
            type_k=llama_cpp.GGML_TYPE_F32, type_v=llama_cpp.GGML_TYPE_F32, n_threads=2, n_threads_batch=2)
        losses = []
        first = length // 2
        for index in range(min(limit, len(tokens) // length)):
            chunk = list(tokens[index * length:(index + 1) * length])
            if begin is not None:
                chunk[0] = begin
            model.reset()
            model.eval(chunk)
            losses.append(losses_of(model.scores[first:length - 1], chunk[first + 1:]))
        model.close()
    return np.concatenate(losses)


# MARK: transformers


class Transformers:
    """A checkpoint in float32 with eager attention."""

    def __init__(self, model_dir):
        import torch
        from transformers import AutoModelForCausalLM

        self.torch = torch
        self.model = AutoModelForCausalLM.from_pretrained(
            model_dir, dtype=torch.float32, attn_implementation="eager").eval()

    def losses(self, inputs, targets):
        """Of the last len(targets) positions."""
        with self.torch.inference_mode():
            logits = self.model(self.torch.tensor([inputs])).logits[0, -len(targets):]
        return losses_of(logits.numpy(), targets)


def strided_losses(model, tokens, length, stride, limit):
    """The windows of transformers' documentation (perplexity of fixed-length models), each new token once."""
    losses = []
    previous_end = 0
    for begin in list(range(0, len(tokens), stride))[:limit]:
        end = min(begin + length, len(tokens))
        target_length = end - previous_end
        window = tokens[begin:end]
        # The labels are shifted inside the model, so the window's first token is never scored.
        targets = window[max(1, len(window) - target_length):]
        losses.append(model.losses(window[:-1], targets))
        previous_end = end
        if end == len(tokens):
            break
    return np.concatenate(losses)


def rolling_losses(model, tokens, prefix, length, limit):
    """lm-eval's windows, by its own code."""
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

    windows = [make_disjoint_window(w) for w in get_rolling_token_windows(tokens, prefix, length, 1)]
    return np.concatenate([model.losses((context + target)[:-1], target) for context, target in windows[:limit]])


# MARK: Comparison


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text")
    parser.add_argument("--model", type=model_folder, default=ROOT / "Models/storyteller-15m")
    parser.add_argument("--fovea", default=str(ROOT / ".build/release/fovea"))
    parser.add_argument("--methods", default="chunked,strided,rolling")
    parser.add_argument("--chunks", type=int, default=40)
    parser.add_argument("--tokens", action="store_true")
    parser.add_argument("--tolerance-chunked", type=float, default=5e-4)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    options = parser.parse_args()
    config = json.loads((options.model / "config.json").read_text())
    begin = config.get("bos_token_id")

    def fovea(*arguments):
        result = subprocess.run([options.fovea, *map(str, arguments)], capture_output=True, text=True, check=True)
        return result.stdout

    if options.tokens:
        tokens = [int(word) for word in pathlib.Path(options.text).read_text().replace(",", " ").split()]
    else:
        text = fovea("tokenize", "--file", options.text, "--model", options.model, "--json")
        tokens = json.loads(text)["ids"]
    bare = tokens[1:] if tokens and tokens[0] == begin else tokens
    length = config["max_position_embeddings"]
    long = min(length, 1024)
    model = None
    failures = 0
    for method in options.methods.split(","):
        arguments = ["--method", method, "--chunks", options.chunks]
        ids = bare if method == "rolling" else tokens
        if method == "chunked":
            arguments += ["--prefix-token", begin, "--context-length", 512]
            reference = chunked_losses(options.model, ids, begin, 512, options.chunks)
            name, tolerance = "llama.cpp", options.tolerance_chunked
        else:
            model = model or Transformers(options.model)
            arguments += ["--context-length", long]
            name, tolerance = "transformers", options.tolerance
            if method == "strided":
                arguments += ["--stride", long // 2]
                reference = strided_losses(model, ids, long, long // 2, options.chunks)
            else:
                reference = rolling_losses(model, ids, begin, long, options.chunks)
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write(" ".join(map(str, ids)))
            file.flush()
            ours = json.loads(fovea(
                "perplexity", "--tokens", file.name, "--model", options.model, "--precision", "float32", "--json",
                *arguments))
        perplexity, error, count = figures(reference)
        difference = abs(ours["perplexity"] - perplexity) / perplexity
        verdict = "ok" if difference <= tolerance and count == ours["tokens"] else "FAR"
        failures += verdict != "ok"
        print(f"{method}: {name} {perplexity:.6f} ± {error:.5f} over {count} tokens; Fovea {ours['perplexity']:.6f} "
              f"± {ours['standard_error']:.5f} over {ours['tokens']} in {ours['windows']} windows; "
              f"relative difference {difference:.1e}, at most {tolerance:.0e}: {verdict}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

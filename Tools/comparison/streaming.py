#!/usr/bin/env python3
"""Holds `fovea perplexity --method streaming` against what it stands for, on a long text.

usage: streaming.py TEXT WORK [--model DIR] [--fovea PATH] [--cache 256] [--sinks 4] [--tokens 110000]
                    [--recompute 5000] [--every 1] [--reference 0] [--precision native] [--plain]

Evaluates the first --tokens tokens with a streaming cache, and with --plain also with a window of the same size without
sinks; prints the perplexity of every tenth of the text and the peak memory of a tenth and of the whole. Then, on every
--every-th of the first --recompute positions, recomputes the window of the last --cache tokens anew for each token
(`--method strided --stride 1`), and for the first --reference tokens compares token by token with
streaming_reference.py (transformers; both in float32). WORK keeps files of single tokens, for --curve, and states, from
which an interrupted recomputation goes on. Exits with 1 where perplexities differ by more than 3 % or a token by more
than 1e-3 nat.
"""

import argparse
import json
import math
import os
import pathlib
import subprocess
import sys

from model_folder import model_folder

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(command):
    """Standard output as JSON, and the peak resident memory in MiB."""
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    return json.loads(text), usage.ru_maxrss / 1024


def losses(path):
    """Loss by position."""
    rows = [line.split("\t") for line in path.read_text().splitlines()[1:]]
    return {int(row[1]): float(row[3]) for row in rows}


def perplexity(values):
    values = list(values)
    return math.exp(sum(values) / len(values))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--model", type=model_folder, default=ROOT / "Models/storyteller-15m")
    parser.add_argument("--fovea", default=str(ROOT / ".build/release/fovea"))
    parser.add_argument("--cache", type=int, default=256)
    parser.add_argument("--sinks", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=110_000)
    parser.add_argument("--recompute", type=int, default=5000)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--reference", type=int, default=0)
    parser.add_argument("--precision", default="native")
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    base = [options.fovea, "perplexity", "--model", options.model, "--json"]
    ids = json.loads(subprocess.run(
        [options.fovea, "tokenize", "--file", options.text, "--model", options.model, "--json"], check=True,
        capture_output=True, text=True).stdout)["ids"]
    prefix = f"{options.model.name}-{options.cache}"
    failures = 0

    def stream(sinks, count, precision, name):
        tokens = options.work / f"{prefix}-ids-{count}.txt"
        tokens.write_text(" ".join(map(str, ids[:count])))
        return run([*base, "--tokens", tokens, "--method", "streaming", "--max-cache-size", options.cache,
                    "--sink-tokens", sinks, "--precision", precision, "--per-token", options.work / f"{name}.tsv"])

    found = {}
    for sinks in [options.sinks] + ([0] if options.plain else []) if options.tokens else []:
        name = f"{prefix}-{sinks}"
        _, small = stream(sinks, options.tokens // 10, options.precision, "short")
        report, memory = stream(sinks, options.tokens, options.precision, name)
        found = found or losses(options.work / f"{name}.tsv")
        values = list(losses(options.work / f"{name}.tsv").values())
        tenth = len(values) // 10
        tenths = " ".join(f"{perplexity(values[i * tenth:(i + 1) * tenth]):.2f}" for i in range(10))
        print(f"{options.model.name}, {sinks} + {options.cache - sinks}, {options.precision}: perplexity "
              f"{report['perplexity']:.4f} ± {report['standard_error']:.4f} over {report['tokens']} tokens, "
              f"{'finite' if all(map(math.isfinite, values)) else 'NOT FINITE'}; by tenths {tenths}; peak memory "
              f"{small:.1f} MiB for {options.tokens // 10} tokens, {memory:.1f} for {options.tokens}; "
              f"{report['tokens_per_second']:.0f} tokens/s", flush=True)

    if options.recompute:
        tokens = options.work / f"{prefix}-ids-{options.recompute}.txt"
        tokens.write_text(" ".join(map(str, ids[:options.recompute])))
        path = options.work / f"{prefix}-recomputed-{options.every}.tsv"
        # As many inputs as the cache holds, and the token that they predict; a window must fit in the model's context.
        limit = json.loads((options.model / "config.json").read_text())["max_position_embeddings"]
        run([*base, "--tokens", tokens, "--method", "strided", "--stride", "1", "--context-length",
             min(options.cache + 1, limit), "--precision", options.precision, "--shard", f"1/{options.every}", "--state",
             path.with_suffix(".state"), "--state-interval", "10", "--per-token", path])
        recomputed = {position: loss for position, loss in losses(path).items() if position > options.cache}
        found = found or losses(options.work / f"{prefix}-{options.sinks}.tsv")
        ours, theirs = perplexity(found[position] for position in recomputed), perplexity(recomputed.values())
        good = abs(ours / theirs - 1) <= 0.03
        failures += not good
        print(f"{options.model.name}, positions {options.cache + 1} to {options.recompute - 1}, every {options.every}: "
              f"streaming {ours:.4f}, recomputed {theirs:.4f}, {100 * (ours / theirs - 1):+.2f} %: "
              f"{'ok' if good else 'FAR'}", flush=True)

    if options.reference:
        report, _ = stream(options.sinks, options.reference, "float32", f"{prefix}-float32")
        ours = losses(options.work / f"{prefix}-float32.tsv")
        tokens = options.work / f"{prefix}-ids-{options.reference}.txt"
        output = subprocess.run(
            [sys.executable, pathlib.Path(__file__).with_name("streaming_reference.py"), "--model", options.model,
             "--tokens", tokens, "--cache", str(options.cache), "--sinks", str(options.sinks)],
            check=True, stdout=subprocess.PIPE, text=True).stdout
        differences = [abs(ours[index + 1] - float(line)) for index, line in enumerate(output.split())]
        good = len(differences) == report["tokens"] and max(differences) <= 1e-3
        failures += not good
        print(f"{options.model.name}, {options.sinks} + {options.cache - options.sinks}, float32: worst difference from "
              f"transformers {max(differences):.1e} nat, mean {sum(differences) / len(differences):.1e}, over "
              f"{len(differences)} tokens: {'ok' if good else 'FAR'}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

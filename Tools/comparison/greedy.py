"""Compares greedy continuations with transformers' in float32, on real weights. See Tools/compare.

Each of 20 prompts is continued by 64 tokens, end-of-text tokens or not. Where the two part, the logits that transformers
gives to both choices are shown: a tie is a difference within rounding, TIE of the largest logit's magnitude.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys

import torch
import transformers

from model_folder import model_folder

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOVEA = os.environ.get("FOVEA_EXECUTABLE", str(ROOT / ".build/release/fovea"))
TIE = 1e-4
STORY = "The lighthouse keeper counted the ships each evening and wrote their names into a long grey book. "
PROMPTS = [
    "Once upon a time", "The capital of France is", "def fibonacci(n):\n    ", "1, 1, 2, 3, 5, 8, 13,",
    "Die Hauptstadt von Deutschland ist", "Il était une fois, dans un petit village,", "今天天气很好，我们",
    "The quick brown fox jumps over the lazy dog. The", "Dear Sir or Madam,\n\nI am writing to", "Q: What is 12 * 12?\nA:",
    "<html>\n  <head>\n    <title>", "SELECT name, age FROM users WHERE", "In quantum mechanics, the uncertainty principle",
    "😀 😃 😄", "Shopping list:\n- milk\n- eggs\n-", "To be, or not to be, that is", "{\"name\": \"Alice\", \"age\": 30, \"city\":",
    "Привет! Как", STORY * 12, STORY * 40,
]


def fovea(folder: pathlib.Path, tokens: list[int], count: int) -> list[int]:
    result = subprocess.run(
        [FOVEA, "generate", "--model", str(folder), "--precision", "float32", "--temperature", "0", "--ignore-eos", "--json",
         "--repetition-penalty", "1", "--max-tokens", str(count), "--prompt-tokens", ",".join(map(str, tokens))],
        capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(result.stderr.strip())
    return [token["id"] for token in json.loads(result.stdout)["tokens"]]


@torch.no_grad()
def reference(model: transformers.PreTrainedModel, prompts: list[list[int]], count: int) -> list[list[int]]:
    """Continues prompts together, with padding on the left."""
    longest = max(map(len, prompts))
    tokens = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    cache, chosen = None, []
    for _ in range(count):
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -tokens.shape[1]:]
        answer = model(tokens, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
                       logits_to_keep=1)
        cache, tokens = answer.past_key_values, answer.logits[:, -1].argmax(-1, keepdim=True)
        chosen.append(tokens[:, 0].tolist())
        mask = torch.cat([mask, torch.ones_like(tokens)], 1)
    return [list(row) for row in zip(*chosen)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="Tools/compare greedy", description="Compares greedy continuations.")
    parser.add_argument("--model", required=True, type=model_folder, metavar="DIR")
    parser.add_argument("--tokens", type=int, default=64, help="tokens of each continuation")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)
    model = transformers.AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()

    prompts = [tokenizer(prompt).input_ids for prompt in PROMPTS]
    expected: dict[int, list[int]] = {}
    short = [index for index, prompt in enumerate(prompts) if len(prompt) <= 64]
    for group in [short] + [[index] for index in range(len(prompts)) if index not in short]:
        expected |= zip(group, reference(model, [prompts[index] for index in group], options.tokens))

    equal, ties, others = 0, 0, 0
    for index, prompt in enumerate(prompts):
        got, wanted = fovea(options.model, prompt, options.tokens), expected[index]
        if got == wanted:
            equal += 1
            continue
        place = next(i for i, (a, b) in enumerate(zip(got, wanted)) if a != b)
        with torch.no_grad():
            logits = model(torch.tensor([prompt + wanted[:place]]), logits_to_keep=1).logits[0, -1]
        gap, largest = abs(float(logits[wanted[place]] - logits[got[place]])), float(logits.abs().max())
        ties += gap <= TIE * largest
        others += gap > TIE * largest
        print(f"{PROMPTS[index][:40]!r} parts at token {place}: {wanted[place]} and {got[place]}, whose logits differ by "
              f"{gap:.2e} of {largest:.1f}")
    print(f"{options.model.name}: of {len(prompts)} prompts ({sum(map(len, prompts))} tokens, the longest {max(map(len, prompts))}) "
          f"{equal} continue by the same {options.tokens} tokens, {ties} part at a tie, {others} differ")
    sys.exit(1 if others else 0)


if __name__ == "__main__":
    main()

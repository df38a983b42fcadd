#!/usr/bin/env python3
"""What transformers computes, in float32 and token by token, with a cache of bounded size.

    python Tools/comparison/streaming_reference.py --model DIR --tokens tokens.json --cache 1024 --sinks 4 > nll.txt

The definition that Fovea's caches are held against, written down as plainly as it can be: the cache keeps the keys
before rotary positions turn them, drops the oldest that is no sink when there are more than `--cache` (the token at
hand counts), and turns all keys and the query anew for every token:

    streaming   by their indices inside the cache (StreamingLLM, arXiv 2309.17453)
    rotating    by their positions in the text

A layer with a window sees those nearer to the query than its window, counted as above. `--tokens` is a JSON list of token
ids, or one id a line. For every token from the second on it prints its negative log-likelihood in nats, one a line.

Models of the kind of llama (llama, mistral, qwen2, qwen3, phi3, smollm3 and others whose attention calls
apply_rotary_pos_emb with one pair of cosines and sines).
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, Cache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS


class BoundedCache(Cache):
    """Unturned keys and values of each layer, the oldest dropped but for the sinks."""

    def __init__(self, size: int, sinks: int):
        super().__init__(layers=[])
        self.size, self.sinks = size, sinks
        self.rows: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self.positions: list[int] = []

    def begin(self, position: int) -> None:
        """Notes the position of the token that is evaluated next."""
        self.positions.append(position)
        if len(self.positions) > self.size:
            del self.positions[self.sinks]

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_: Any, **__: Any):
        """Adds one token's key and value to a layer; returns all that is kept."""
        if layer_idx in self.rows:
            old = self.rows[layer_idx]
            keys, values = torch.cat([old[0], keys], 2), torch.cat([old[1], values], 2)
        if keys.shape[2] > self.size:
            keys, values = (
                torch.cat([rows[:, :, : self.sinks], rows[:, :, self.sinks + 1 :]], 2) for rows in (keys, values))
        self.rows[layer_idx] = keys, values
        return keys, values

    def get_seq_length(self, *_: Any, **__: Any) -> int:
        return 0

    def get_mask_sizes(self, *_: Any, **__: Any) -> tuple[int, int]:
        return 1, 0

    @property
    def is_sliding(self) -> list[bool]:
        return []


class BoundedModel:
    """A model of transformers whose attention reads a BoundedCache."""

    def __init__(self, folder: str, size: int, sinks: int, policy: str):
        self.model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager").eval()
        self.size, self.sinks, self.policy = size, sinks, policy
        self.cache = BoundedCache(size, sinks)
        module = sys.modules[type(self.model.model.layers[0].self_attn).__module__]
        # The modules are shared by all models of the process: what they had first is what turns.
        if not hasattr(module, "turn_by_positions"):
            module.turn_by_positions = module.apply_rotary_pos_emb
            module.apply_rotary_pos_emb = lambda queries, keys, *_, **__: (queries, keys)
        self.turn = module.turn_by_positions
        ALL_ATTENTION_FUNCTIONS.register("bounded", self.attend)
        self.model.config._attn_implementation = "bounded"
        self.angles: tuple[torch.Tensor, torch.Tensor] | None = None
        self.places = torch.zeros(0)

    def attend(self, module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: Any,
               scaling: float, sliding_window: int | None = None, **_: Any):
        """softmax(scaling * q * k) * v of one query over what the cache keeps."""
        cosine, sine = self.angles
        query = self.turn(query, query, cosine[:, -1:], sine[:, -1:])[0]
        key = self.turn(key, key, cosine, sine)[0]
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
        scores = query @ key.transpose(2, 3) * scaling
        if sliding_window is not None:
            scores[..., self.places[-1] - self.places >= sliding_window] = -torch.inf
        return (torch.softmax(scores, -1) @ value).transpose(1, 2), None

    @torch.no_grad()
    def negative_log_likelihoods(self, tokens: list[int], show: Any = None) -> list[float]:
        """Those of every token from the second on."""
        result = []
        for position, (token, target) in enumerate(zip(tokens, tokens[1:])):
            self.cache.begin(position)
            places = list(range(len(self.cache.positions))) if self.policy == "streaming" else self.cache.positions
            self.places = torch.tensor(places)
            self.angles = self.model.model.rotary_emb(torch.zeros(1, dtype=torch.float32), self.places[None])
            logits = self.model(
                torch.tensor([[token]]), past_key_values=self.cache, use_cache=True,
                position_ids=torch.tensor([[0]])).logits[0, -1]
            result.append(float(torch.logsumexp(logits, 0) - logits[target]))
            if show:
                show(result[-1])
        return result


def read_tokens(path: pathlib.Path) -> list[int]:
    """A JSON list, or one id a line."""
    text = path.read_text()
    return json.loads(text) if text.lstrip().startswith("[") else [int(line) for line in text.split()]


def main() -> None:
    """Prints what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder in Hugging Face layout")
    parser.add_argument("--tokens", required=True, type=pathlib.Path, help="JSON list of token ids, or one a line")
    parser.add_argument("--cache", required=True, type=int, help="positions held, the token at hand included")
    parser.add_argument("--sinks", type=int, default=4, help="how many of the first tokens are kept")
    parser.add_argument("--policy", choices=("streaming", "rotating"), default="streaming")
    parser.add_argument("--count", type=int, help="stop after so many tokens")
    parser.add_argument("--threads", type=int, help="threads of torch")
    arguments = parser.parse_args()
    if not 0 <= arguments.sinks < arguments.cache:
        parser.error(f"--sinks is {arguments.sinks}, expected 0 to {arguments.cache - 1}")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    transformers.logging.set_verbosity_error()
    model = BoundedModel(arguments.model, arguments.cache, arguments.sinks, arguments.policy)
    model.negative_log_likelihoods(
        read_tokens(arguments.tokens)[: arguments.count], show=lambda nll: print(f"{nll:.7f}", flush=True))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Makes the reference of the tests of rotating and streaming caches, with the tiny models of this folder.

    python Tools/golden/make_bounded.py Tests/FoveaModelsTests/Fixtures

bounded-caches.json is a list of cases: `model` (a golden folder), `policy`, `max_size`, `sink_tokens`, `tokens`, and `nll`,
that of token i + 1 given what the cache keeps of tokens 0...i, in nats; see Tools/comparison/streaming_reference.py.
"""

from __future__ import annotations

import json
import pathlib
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "comparison"))
from streaming_reference import BoundedModel  # noqa: E402

LENGTH = 220
# Model, policy, cache size, sinks. The window of mistral_window, 9, is smaller than the first of its caches, ends among the
# sinks of the second and is larger than the third.
CASES = [
    ("llama", "streaming", 48, 4), ("llama", "streaming", 33, 0), ("llama", "rotating", 48, 4), ("llama", "rotating", 9, 8),
    ("llama_yarn", "streaming", 40, 3), ("phi3_long", "streaming", 20, 4),
    ("mistral_window", "streaming", 32, 4), ("mistral_window", "streaming", 12, 6), ("mistral_window", "streaming", 7, 4),
    ("mistral_window", "rotating", 12, 6), ("mistral_window", "rotating", 7, 4),
]


def main() -> None:
    """Writes the file into the folder that the command line names."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    cases = []
    for name, policy, size, sinks in CASES:
        model = BoundedModel(str(folder / "golden" / name), size, sinks, policy)
        generator = torch.Generator().manual_seed(len(cases))
        tokens = torch.randint(3, model.model.config.vocab_size, (LENGTH,), generator=generator).tolist()
        nll = [round(x, 6) for x in model.negative_log_likelihoods(tokens)]
        cases.append(
            {"model": name, "policy": policy, "max_size": size, "sink_tokens": sinks, "tokens": tokens, "nll": nll})
        print(f"{name} {policy} {size} {sinks}: mean {sum(nll) / len(nll):.3f} nat")
    (folder / "bounded-caches.json").write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()

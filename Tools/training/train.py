#!/usr/bin/env python3
"""Step 4: train the decoder from scratch on the encoded corpus.

    python train.py --data data --out run --minutes 12        (or --steps N)

Every training context starts at the BOS of a document and runs on over the following documents, so the
model sees all positions up to the context length. bf16 autocast, AdamW, linear warm-up, cosine decay.
With --minutes the number of steps is set from the measured speed of the first steps.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import pathlib
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model import Config, Llama

BOS = 1
FINAL_RATE = 0.01  # of the peak learning rate
PACE_BEGIN, PACE_END = 10, 60  # the steps between which the speed is measured for --minutes
PACE_MARGIN = 1.01  # time for validation
LOG_EVERY = 100
EVALUATION_CONTEXT_LIMIT = 10_000


class Corpus:
    """Contexts of sequence_length + 1 tokens: offsets on a grid, moved back to the start of their document."""

    def __init__(self, path: pathlib.Path, sequence_length: int, device: str) -> None:
        self.tokens = torch.from_numpy(np.fromfile(path, np.uint16).astype(np.int32)).to(device)
        self.sequence_length = sequence_length
        self.starts = (self.tokens == BOS).nonzero()[:, 0]
        if len(self.tokens) <= sequence_length + 1 or not len(self.starts):
            raise SystemExit(f"{path}: {len(self.tokens)} tokens with {len(self.starts)} documents are too few for "
                             f"contexts of {sequence_length} tokens")

    def contexts(self, generator: torch.Generator | None = None) -> Tensor:
        """Offsets of one epoch, in random order with a random phase, or without a generator in order."""
        last = len(self.tokens) - self.sequence_length - 1
        phase = int(torch.randint(self.sequence_length, (1,), generator=generator)) if generator else 0
        offsets = torch.arange(phase, last, self.sequence_length)
        if generator:
            offsets = offsets[torch.randperm(len(offsets), generator=generator)]
        offsets = offsets.to(self.tokens.device)
        return self.starts[torch.searchsorted(self.starts, offsets, right=True).clamp_min(1) - 1]

    def batch(self, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens and their successors, each [len(offsets), sequence_length]."""
        block = self.tokens[offsets[:, None] + torch.arange(self.sequence_length + 1, device=offsets.device)].long()
        return block[:, :-1], block[:, 1:]


@torch.no_grad()
def evaluate(model: nn.Module, corpus: Corpus, batch_size: int) -> float:
    """Mean loss per token over validation contexts of full length."""
    total, count = 0.0, 0
    for offsets in corpus.contexts()[:EVALUATION_CONTEXT_LIMIT].split(batch_size):
        if len(offsets) < batch_size and count:
            break  # keep the shape, so that nothing is compiled again
        tokens, targets = corpus.batch(offsets)
        total += model(tokens, targets).double().sum().item()
        count += targets.numel()
    return total / count


def learning_rate(step: int, step_count: int, peak: float, warmup: int) -> float:
    """Linear warm-up, then cosine decay to FINAL_RATE of the peak."""
    if step < warmup:
        return peak * (step + 1) / warmup
    decayed = 0.5 * (1 + math.cos(math.pi * (step - warmup) / (step_count - warmup)))
    return peak * (FINAL_RATE + (1 - FINAL_RATE) * decayed)


def make_optimizer(model: nn.Module, arguments: argparse.Namespace, device: str) -> torch.optim.AdamW:
    """Weight decay on matrices only."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    return torch.optim.AdamW(
        [{"params": matrices, "weight_decay": arguments.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=arguments.learning_rate, betas=(0.9, 0.95), eps=1e-8, fused=device == "cuda")


def train(model: Llama, training: Corpus, validation: Corpus, arguments: argparse.Namespace, device: str) -> None:
    """Trains the model in place and writes a checkpoint after every evaluation."""
    batch_tokens = arguments.batch_size * arguments.sequence_length
    parameter_count = sum(p.numel() for p in model.parameters())
    optimizer = make_optimizer(model, arguments, device)
    run = torch.compile(model, dynamic=False) if device == "cuda" else model
    autocast = torch.autocast(device, torch.bfloat16)
    generator = torch.Generator().manual_seed(arguments.seed)
    queue = training.contexts(generator)
    step, step_count, begin, mark = 0, arguments.steps, time.time(), 0.0
    log: list[tuple[int, float]] = []

    def save(loss: float) -> None:
        seen = step * batch_tokens
        torch.save({"config": dataclasses.asdict(model.config), "model": model.state_dict()}, arguments.out / "ckpt.pt")
        info: dict[str, Any] = dict(
            parameters=parameter_count, steps=step, planned_steps=step_count, tokens_seen=seen,
            train_tokens=len(training.tokens), valid_tokens=len(validation.tokens), epochs=seen / len(training.tokens),
            batch_tokens=batch_tokens, learning_rate=arguments.learning_rate, warmup=arguments.warmup,
            weight_decay=arguments.weight_decay, valid_loss=loss, minutes=(time.time() - begin) / 60, log=log)
        (arguments.out / "train.json").write_text(json.dumps(info, indent=1))

    while step < step_count:
        while len(queue) < arguments.batch_size:
            queue = torch.cat([queue, training.contexts(generator)])
        offsets, queue = queue[:arguments.batch_size], queue[arguments.batch_size:]
        rate = learning_rate(step, step_count, arguments.learning_rate, arguments.warmup)
        for group in optimizer.param_groups:
            group["lr"] = rate
        tokens, targets = training.batch(offsets)
        with autocast:
            loss = run(tokens, targets).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        if step in (PACE_BEGIN, PACE_END):
            loss.item()  # wait for the device
            if step == PACE_END and arguments.minutes:
                pace = (time.time() - mark) / (PACE_END - PACE_BEGIN)
                step_count = int((60 * arguments.minutes - (time.time() - begin)) / (pace * PACE_MARGIN)) + step
                print(f"{pace * 1000:.1f} ms/step, {batch_tokens / pace:,.0f} tokens/s, {step_count} steps", flush=True)
            mark = time.time()
        if step % LOG_EVERY == 0 or step == step_count:
            print(f"step {step:6d}  loss {loss.item():.4f}  lr {rate:.2e}  {time.time() - begin:.0f} s", flush=True)
        if step % arguments.evaluate_every == 0 or step == step_count:
            model.eval()
            with autocast:
                validation_loss = evaluate(run, validation, arguments.batch_size)
            model.train()
            log.append((step, validation_loss))
            print(f"step {step:6d}  validation loss {validation_loss:.4f}  "
                  f"perplexity {math.exp(validation_loss):.3f}", flush=True)
            save(validation_loss)


def parse_arguments() -> tuple[argparse.Namespace, Config]:
    """The command line, and the model's configuration out of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=pathlib.Path, help="folder that tokenizer.py wrote")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder for ckpt.pt and train.json")
    parser.add_argument("--minutes", type=float, help="time to train for; sets the number of steps")
    parser.add_argument("--steps", type=int, default=5000, help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=256, help="contexts per step (default: %(default)s)")
    parser.add_argument("--sequence-length", type=int, default=1024, help="tokens of a context (default: %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=3e-3, help="peak (default: %(default)s)")
    parser.add_argument("--warmup", type=int, default=200, help="steps (default: %(default)s)")
    parser.add_argument("--weight-decay", type=float, default=0.1, help="default: %(default)s")
    parser.add_argument("--evaluate-every", type=int, default=500, help="steps (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--model", default="{}", help="JSON object of changes to the model configuration")
    arguments = parser.parse_args()
    for name in ("steps", "batch_size", "sequence_length", "evaluate_every"):
        if getattr(arguments, name) <= 0:
            parser.error(f"--{name.replace('_', '-')} must be positive, not {getattr(arguments, name)}")
    try:
        config = Config(**{"context_length": arguments.sequence_length, **json.loads(arguments.model)})
    except (json.JSONDecodeError, TypeError) as error:
        parser.error(f"--model: {error}")
    for name in ("train.bin", "valid.bin"):
        if not (arguments.data / name).is_file():
            parser.error(f"--data: there is no {arguments.data / name}; tokenizer.py writes it")
    return arguments, config


def main() -> None:
    """Trains on the GPU where there is one, else on the CPU."""
    arguments, config = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(arguments.seed)
    torch.set_float32_matmul_precision("high")
    model = Llama(config).to(device)
    training, validation = (
        Corpus(arguments.data / f"{name}.bin", arguments.sequence_length, device) for name in ("train", "valid"))
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(training.tokens):,} training tokens, "
          f"{len(validation.tokens):,} validation tokens", flush=True)
    train(model, training, validation, arguments, device)


if __name__ == "__main__":
    main()

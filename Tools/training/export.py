#!/usr/bin/env python3
"""Step 5: write the trained model in the Hugging Face layout, and check it.

    python export.py --run run --data data --out model [--check]

Writes config.json, generation_config.json, model-0000X-of-0000N.safetensors with their index,
tokenizer.model and tokenizer_config.json. --check loads the folder with transformers,
compares its loss with the training code's, measures the loss on data/valid.txt and samples some text.
"""

from __future__ import annotations

import argparse
import json
import math
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

import sentencepiece
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from model import Config, Llama

BOS, EOS = 1, 2
LARGEST_LOSS_DIFFERENCE = 1e-3  # between the training code and transformers, nats
LOSS_CONTEXT_COUNT = 8
SAMPLED_TOKEN_COUNT = 400
OPENINGS = ["Once upon a time,", "Lily had a little dog named Max.", "One day, a small turtle found a red balloon.",
            "\"Where are you going?\" asked the owl.", "Tom was afraid of the dark.",
            "Question: What is rain?\nAnswer:"]


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes `value` as indented JSON with a newline at the end."""
    path.write_text(json.dumps(value, indent=2) + "\n")


def write_shards(state: dict[str, Tensor], out: pathlib.Path, shard_bytes: int) -> int:
    """Tensors in order, a new shard whenever the next one would not fit; returns the bytes of all tensors."""
    shards: list[dict[str, Tensor]] = [{}]
    for name, tensor in state.items():
        if shards[-1] and sum(t.nbytes for t in shards[-1].values()) + tensor.nbytes > shard_bytes:
            shards.append({})
        shards[-1][name] = tensor
    weight_map = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file(shard, out / file, metadata={"format": "pt"})
        weight_map.update({name: file for name in shard})
    total_size = sum(tensor.nbytes for tensor in state.values())
    write_json(out / "model.safetensors.index.json",
               {"metadata": {"total_size": total_size}, "weight_map": dict(sorted(weight_map.items()))})
    return total_size


def write_configs(config: Config, out: pathlib.Path) -> None:
    """config.json, generation_config.json and tokenizer_config.json."""
    write_json(out / "config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": config.vocabulary_size,
        "hidden_size": config.hidden_size, "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.layer_count, "num_attention_heads": config.head_count,
        "num_key_value_heads": config.key_value_head_count, "head_dim": config.head_dimension, "hidden_act": "silu",
        "max_position_embeddings": config.context_length, "rope_theta": config.rotary_base, "rope_scaling": None,
        "rms_norm_eps": config.norm_epsilon, "initializer_range": config.initializer_range,
        "tie_word_embeddings": True, "attention_bias": False, "attention_dropout": 0.0, "mlp_bias": False,
        "pretraining_tp": 1, "use_cache": True, "bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": None,
        "torch_dtype": "bfloat16"})
    write_json(out / "generation_config.json", {
        "bos_token_id": BOS, "eos_token_id": EOS, "do_sample": True, "temperature": 0.7, "top_k": 40, "top_p": 0.95,
        "max_new_tokens": SAMPLED_TOKEN_COUNT})
    write_json(out / "tokenizer_config.json", {
        "tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False, "bos_token": "<s>",
        "eos_token": "</s>", "unk_token": "<unk>", "pad_token": None, "legacy": True,
        "model_max_length": config.context_length, "clean_up_tokenization_spaces": False, "sp_model_kwargs": {}})


def document_loss(model: nn.Module, processor: sentencepiece.SentencePieceProcessor, texts: Sequence[str],
                  device: str) -> dict[str, float]:
    """Each document alone, after a BOS, without an EOS: nats per token and per byte, and perplexity."""
    nats, token_count, byte_count = 0.0, 0, 0
    for text in texts:
        tokens = torch.tensor([[BOS] + processor.encode(text)], device=device)
        logits = model(tokens).logits[0, :-1].float()
        nats += F.cross_entropy(logits, tokens[0, 1:], reduction="sum").item()
        token_count += tokens.shape[1] - 1
        byte_count += len(text.encode())
    return dict(tokens=token_count, bytes=byte_count, nats_per_token=nats / token_count,
                perplexity=math.exp(nats / token_count), bits_per_byte=nats / byte_count / math.log(2),
                byte_perplexity=math.exp(nats / byte_count))


def compare_losses(ours: Llama, theirs: nn.Module, documents: Sequence[list[int]], context: int, device: str) -> None:
    """The loss of the training code and of transformers on the same contexts; exits where they differ."""
    tokens = torch.tensor([token for document in documents for token in [BOS, *document, EOS]], device=device)
    if len(tokens) <= context:
        raise SystemExit(f"--context: valid.txt has {len(tokens)} tokens, too few for a context of {context}")
    blocks = tokens.unfold(0, context + 1, context)[:LOSS_CONTEXT_COUNT]
    our_loss = ours(blocks[:, :-1], blocks[:, 1:]).mean().item()
    their_loss = F.cross_entropy(theirs(blocks[:, :-1]).logits.flatten(0, 1), blocks[:, 1:].flatten()).item()
    print(f"loss of the training code {our_loss:.6f}, of transformers {their_loss:.6f}")
    if not abs(our_loss - their_loss) < LARGEST_LOSS_DIFFERENCE:
        raise SystemExit("the exported model is not the trained one")


def compare_tokenizers(out: pathlib.Path, texts: Sequence[str], documents: Sequence[list[int]]) -> None:
    """Says how transformers' tokenizer fares; the model itself does not need it, so nothing fails."""
    from transformers import AutoTokenizer
    try:
        tokenizer = AutoTokenizer.from_pretrained(out)
    except (OSError, ValueError, ImportError) as error:
        print("transformers' tokenizer does not load:", error)
        return
    same = sum(tokenizer(text)["input_ids"] == [BOS, *document] for text, document in zip(texts, documents))
    print(f"transformers' tokenizer: {same} of {len(texts)} documents encoded as by SentencePiece")


@torch.no_grad()
def check(arguments: argparse.Namespace, model: Llama,
          processor: sentencepiece.SentencePieceProcessor) -> dict[str, Any]:
    """The figures of the model card, and texts that the exported model writes."""
    from transformers import AutoModelForCausalLM
    device = "cuda" if torch.cuda.is_available() else "cpu"
    texts = (arguments.data / "valid.txt").read_text().strip().split("\n\n")
    documents = processor.encode(texts)
    exported, info = AutoModelForCausalLM.from_pretrained(arguments.out, dtype=torch.float32, output_loading_info=True)
    exported = exported.to(device).eval()
    print("loaded as", type(exported).__name__, {kind: names for kind, names in info.items() if names})
    compare_losses(model.to(device).eval(), exported, documents, arguments.context, device)
    compare_tokenizers(arguments.out, texts, documents)
    float32 = document_loss(exported, processor, texts, device)
    bfloat16 = document_loss(exported.to(torch.bfloat16), processor, texts, device)
    exported.float()

    def continuation(opening: str, **sampling: Any) -> str:
        tokens = torch.tensor([[BOS] + processor.encode(opening)], device=device)
        written = exported.generate(tokens, max_new_tokens=SAMPLED_TOKEN_COUNT, **sampling)
        return processor.decode(written[0].tolist())

    torch.manual_seed(1)
    samples = [continuation(opening, do_sample=True, temperature=0.7, top_k=40, top_p=0.95) for opening in OPENINGS]
    greedy = continuation(OPENINGS[0], do_sample=False, temperature=None, top_k=None, top_p=None)
    return dict(documents=len(texts), float32=float32, bfloat16=bfloat16, greedy=greedy, samples=samples)


def parse_arguments() -> argparse.Namespace:
    """The command line; names a file that is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, type=pathlib.Path, help="folder that train.py wrote")
    parser.add_argument("--data", required=True, type=pathlib.Path, help="folder that tokenizer.py wrote")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder of the model to write")
    parser.add_argument("--shard-bytes", type=int, default=15_400_000, help="largest shard (default: %(default)s)")
    parser.add_argument("--context", type=int, default=1024,
                        help="tokens in each sequence that the two losses are taken on (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="load the model with transformers and measure it")
    arguments = parser.parse_args()
    for path in (arguments.run / "ckpt.pt", arguments.data / "tokenizer.model"):
        if not path.is_file():
            parser.error(f"there is no {path}")
    return arguments


def main() -> None:
    """Rounds the weights to bfloat16 and writes the folder."""
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    saved = torch.load(arguments.run / "ckpt.pt", map_location="cpu")
    config = Config(**saved["config"])
    state = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in saved["model"].items()}
    model = Llama(config)
    model.load_state_dict({name: tensor.float() for name, tensor in state.items()})  # the rounded weights
    total_size = write_shards(state, arguments.out, arguments.shard_bytes)
    write_configs(config, arguments.out)
    tokenizer_path = arguments.data / "tokenizer.model"
    shutil.copyfile(tokenizer_path, arguments.out / "tokenizer.model")
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {total_size:,} bytes of weights")
    if arguments.check:
        result = check(arguments, model, sentencepiece.SentencePieceProcessor(model_file=str(tokenizer_path)))
        print(json.dumps({name: result[name] for name in ("documents", "float32", "bfloat16")}, indent=1))
        for text in [result["greedy"], *result["samples"]]:
            print("-" * 80 + "\n" + text)
        write_json(arguments.run / "check.json", result)


if __name__ == "__main__":
    main()

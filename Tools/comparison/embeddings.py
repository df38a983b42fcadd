"""Embeds the same texts with Fovea, sentence-transformers, ONNX Runtime and llama.cpp, in turns. See Tools/compare."""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from sentence_transformers import SentenceTransformer  # noqa: E402

from embedding_peers import Fovea, LlamaCpp, OnnxRuntime, RoundedFovea, SentenceTransformers  # noqa: E402
from embedding_texts import cut_texts, varied_texts  # noqa: E402
from model_folder import model_folder  # noqa: E402

# The least cosine of a text's vector to sentence-transformers'.
LEAST_COSINE = 0.99999
# llama.cpp's attention keeps keys and values in float16 unless told otherwise, and its own order of sums.
LEAST_COSINES = {"llama.cpp": 0.9999, "fovea, bfloat16": 0.999}


def compare_vectors(name: str, got: np.ndarray, expected: np.ndarray) -> None:
    lengths = np.linalg.norm(got, axis=1) * np.linalg.norm(expected, axis=1)
    cosines = (got * expected).sum(1, dtype=np.float64) / np.maximum(lengths, 1e-30)
    least, worst = LEAST_COSINES.get(name, LEAST_COSINE), int(cosines.argmin())
    print(f"{name}: {len(got)} texts, cosine to sentence-transformers at least {cosines[worst]:.7f}, largest difference "
          f"{np.abs(got - expected).max():.1e}", file=sys.stderr)
    if not cosines[worst] >= least:
        raise SystemExit(f"{name}: text {worst} has cosine {cosines[worst]:.6f}, expected {least}")


def check(folder: pathlib.Path, model: SentenceTransformer, options: argparse.Namespace) -> None:
    """Ids and vectors of many texts, then the ways in which a model may pool, prompt and cut."""
    texts = varied_texts(options.texts, 2)
    fovea = Fovea(folder, options)
    ids = fovea.token_ids(texts)
    expected = model.tokenizer(texts, truncation=True, max_length=options.max_length)["input_ids"]
    different = [index for index, (got, wanted) in enumerate(zip(ids, expected, strict=True)) if got != wanted]
    print(f"{len(texts) - len(different)} of {len(texts)} texts of {min(map(len, ids))} to {max(map(len, ids))} tokens "
          "have the tokenizer's ids", file=sys.stderr)
    vectors = model.encode(texts, batch_size=16, show_progress_bar=False)
    for variant in (fovea, RoundedFovea(folder, options, "int16")):
        compare_vectors(variant.name, variant.embed(texts), vectors)
    if different:
        raise SystemExit(f"text {different[0]}, {texts[different[0]][:40]!r}, has other ids")
    check_variants(folder, texts[:150], options)


def check_variants(folder: pathlib.Path, texts: list[str], options: argparse.Namespace) -> None:
    modes = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
    prompts = {"prompts": {"query": "Represent this sentence: "}, "default_prompt_name": "query"}
    variants = [(mode, {"pooling_mode": mode}, {}) for mode in modes]
    variants += [("all modes", {"pooling_mode": modes}, {}), ("default prompt", {"pooling_mode": "mean"}, prompts)]
    variants += [(f"{mode} without the prompt", {"pooling_mode": mode, "include_prompt": False}, prompts)
                 for mode in ("cls", "max", "mean", "weightedmean", "lasttoken")]
    for name, pooling, settings in variants:
        with tempfile.TemporaryDirectory() as temporary:
            target = pathlib.Path(temporary, "model")
            shutil.copytree(folder, target, copy_function=os.symlink)
            for path, content in (("1_Pooling/config.json", {"embedding_dimension": 384, **pooling}),
                                  ("config_sentence_transformers.json", settings)):
                (target / path).unlink(missing_ok=True)
                (target / path).write_text(json.dumps(content))
            model = SentenceTransformer(str(target), device="cpu")
            fovea = Fovea(target, options)
            compare_vectors(name, fovea.embed(texts), model.encode(texts, show_progress_bar=False))
            cut = SentenceTransformer(str(target), device="cpu", truncate_dim=100)
            compare_vectors(f"{name}, 100 values", fovea.embed(texts, "--dimensions", "100"),
                            cut.encode(texts, show_progress_bar=False, normalize_embeddings=True))


def measure(peers: list, texts: list[str], rounds: int, single: bool) -> dict:
    seconds = {peer.name: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            seconds[peer.name].append(peer.time(texts, single))
    own = [peer.name for peer in peers if isinstance(peer, Fovea)]
    return {"seconds": {name: statistics.median(values) for name, values in seconds.items()},
            "ratios": {name: {fovea: spread(seconds[fovea], values) for fovea in own}
                       for name, values in seconds.items() if name not in own}}


def spread(own: list[float], others: list[float]) -> dict:
    ratios = sorted(other / mine for mine, other in zip(own, others))
    return {"median": statistics.median(ratios), "minimum": ratios[0], "maximum": ratios[-1]}


def show(title: str, result: dict, unit) -> None:
    print(title)
    for name, seconds in result["seconds"].items():
        ratios = ", ".join(f"{fovea.removeprefix('fovea, ')} {ratio['median']:.2f}x [{ratio['minimum']:.2f}–{ratio['maximum']:.2f}]"
                           for fovea, ratio in result["ratios"].get(name, {}).items())
        print(f"  {name:24} {unit(seconds):>24}   {ratios}".rstrip(), flush=True)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="Tools/compare embeddings", description=__doc__)
    parser.add_argument("--model", type=model_folder, required=True, help="a folder of sentence-transformers: BERT, mean")
    parser.add_argument("--check", action="store_true", help="compare ids and vectors of varied texts; time nothing")
    parser.add_argument("--peers", default="int16,bfloat16,sentence-transformers,onnxruntime,llama.cpp")
    parser.add_argument("--texts", type=int, help="default: 2000, with --check 1000")
    parser.add_argument("--batch", default="8,16,32", help="texts a batch of those that pad: each takes its best")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="write JSON")
    options = parser.parse_args()
    options.peers = options.peers.split(",")
    options.batch = [int(size) for size in options.batch.split(",")]
    options.texts = options.texts or (1000 if options.check else 2000)
    return options


def load_peers(folder: pathlib.Path, model: SentenceTransformer, options: argparse.Namespace) -> list:
    peers = [Fovea(folder, options)]
    peers += [RoundedFovea(folder, options, name) for name in ("int16", "bfloat16") if name in options.peers]
    for kind in (SentenceTransformers, OnnxRuntime, LlamaCpp):
        if kind.name not in options.peers:
            continue
        try:
            peers.append(kind(folder, model, options))
        except (ImportError, RuntimeError) as error:
            print(f"{kind.name}: left out: {error}", file=sys.stderr)
    return peers


def main() -> None:
    options = parse_options()
    torch.set_num_threads(options.threads)
    folder = options.model.resolve()
    model = SentenceTransformer(str(folder), device="cpu")
    options.max_length = model.max_seq_length
    if options.check:
        check(folder, model, options)
        return
    peers = load_peers(folder, model, options)
    texts = cut_texts(options.texts, model.tokenizer, 1)
    tokens = sum(map(len, model.tokenizer(texts, truncation=True, max_length=options.max_length)["input_ids"]))
    sample = texts[:50] + varied_texts(50, 2)
    expected = model.encode(sample, show_progress_bar=False)
    for peer in peers:
        compare_vectors(peer.name, peer.embed(sample), expected)
    batches = {}
    for peer in peers:
        if not isinstance(peer, Fovea):
            peer.tune(texts[:200], options.batch)
            batches[peer.name] = peer.batch
    many = measure(peers, texts, options.rounds, single=False)
    short = measure(peers, ["A short text to embed."], options.rounds, single=True)
    if options.json:
        print(json.dumps({"model": folder.name, "threads": options.threads, "texts": len(texts), "tokens": tokens,
                          "batches": batches, "many": many, "short": short}))
        return
    shown = ", ".join(f"{size} {name}" for name, size in batches.items() if size)
    print(f"{folder.name}, float32, threads: {options.threads}; texts a batch: {shown}\n")
    show(f"{len(texts)} texts of {tokens} tokens", many,
         lambda seconds: f"{len(texts) / seconds:.1f} texts/s, {tokens / seconds:.0f} tokens/s")
    show("one text of 8 tokens", short, lambda seconds: f"{seconds * 1000:.2f} ms")


if __name__ == "__main__":
    main()

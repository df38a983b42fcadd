#!/usr/bin/env python3
"""Step 3: train a SentencePiece tokenizer on the corpus and encode the corpus with it.

    python tokenizer.py --texts stories.jsonl answers.jsonl --out data

Writes data/tokenizer.model (Llama-style BPE with byte fallback; an existing one is used as it is),
data/train.bin and data/valid.bin (uint16 ids, every document as BOS ... EOS) and data/valid.txt.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import multiprocessing.pool
import os
import pathlib
import random
import time
from collections.abc import Sequence

import numpy as np
import sentencepiece

HOLD_OUT = 100  # every 100th document is for validation
DOCUMENTS_PER_JOB = 2000
LARGEST_VOCABULARY = 1 << 16  # ids are stored as uint16

processor: sentencepiece.SentencePieceProcessor  # one a process, set by load_processor


def read_documents(paths: Sequence[str]) -> list[str]:
    """All documents, in random order."""
    documents = []
    for path in paths:
        with open(path) as file:
            for line_number, line in enumerate(file, 1):
                try:
                    documents.append(json.loads(line))
                except json.JSONDecodeError as error:
                    raise SystemExit(f"{path}:{line_number}: not a JSON string: {error}")
        print(f"{path}: {len(documents):,} documents so far", flush=True)
    random.Random(0).shuffle(documents)
    return documents


def train(texts: Sequence[str], vocabulary_size: int) -> bytes:
    """A serialized SentencePiece model."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(line for text in texts for line in text.split("\n")), model_writer=model,
        model_type="bpe", vocab_size=vocabulary_size, character_coverage=1.0, byte_fallback=True, split_digits=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, allow_whitespace_only_pieces=True,
        add_dummy_prefix=True, unk_id=0, bos_id=1, eos_id=2, pad_id=-1, unk_surface=" \u2047 ",
        max_sentence_length=8192, hard_vocab_limit=True, num_threads=os.cpu_count(), minloglevel=1)
    return model.getvalue()


def load_processor(path: pathlib.Path) -> None:
    """Sets this process's tokenizer."""
    global processor
    processor = sentencepiece.SentencePieceProcessor(model_file=str(path))


def encode(texts: Sequence[str]) -> np.ndarray:
    """The ids of all documents in a row, each as BOS ... EOS."""
    documents = processor.encode(texts, out_type=int, add_bos=True, add_eos=True)
    return np.concatenate([np.array(tokens, np.uint16) for tokens in documents])


def take(texts: Sequence[str], limit: float, separator_size: int) -> list[str]:
    """The first texts that fit into `limit` characters, with a separator after each."""
    taken, size = [], 0
    for text in texts:
        if size + len(text) > limit:
            break
        taken.append(text)
        size += len(text) + separator_size
    return taken


def training_sample(texts: Sequence[str], limit: float) -> list[str]:
    """The first texts, up to and with the one that goes over `limit` characters."""
    sample, size = [], 0
    for text in texts:
        sample.append(text)
        size += len(text)
        if size > limit:
            break
    return sample


def write_tokens(pool: multiprocessing.pool.Pool, texts: Sequence[str], path: pathlib.Path) -> None:
    """Encodes the documents into a file of uint16."""
    jobs = [texts[i:i + DOCUMENTS_PER_JOB] for i in range(0, len(texts), DOCUMENTS_PER_JOB)]
    tokens = np.concatenate(pool.map(encode, jobs, chunksize=1))
    tokens.tofile(path)
    size = sum(map(len, texts))
    print(f"{path.stem}: {len(texts):,} documents, {size:,} bytes, {len(tokens):,} tokens, "
          f"{size / (len(tokens) - 2 * len(texts)):.2f} bytes/token", flush=True)


def main() -> None:
    """Trains where there is no tokenizer yet, encodes, and checks that the validation texts survive a round trip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", required=True, nargs="+", help="files of one JSON string per line")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder to write")
    parser.add_argument("--vocabulary-size", type=int, default=8192, help="pieces (default: %(default)s)")
    parser.add_argument("--sample-mb", type=float, default=30, help="text the tokenizer is trained on")
    parser.add_argument("--valid-kb", type=float, default=300, help="size of valid.txt")
    arguments = parser.parse_args()
    if not 0 < arguments.vocabulary_size <= LARGEST_VOCABULARY:
        parser.error(f"--vocabulary-size must be 1 to {LARGEST_VOCABULARY}, not {arguments.vocabulary_size}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    model_path = arguments.out / "tokenizer.model"

    documents = read_documents(arguments.texts)
    valid = documents[::HOLD_OUT]
    rest = [text for i, text in enumerate(documents) if i % HOLD_OUT]
    if not rest:
        parser.error(f"--texts: {len(documents)} documents are too few to hold one in {HOLD_OUT} out")
    if not model_path.exists():
        begin = time.time()
        sample = training_sample(rest, arguments.sample_mb * 1e6)
        model_path.write_bytes(train(sample, arguments.vocabulary_size))
        print(f"tokenizer trained on {sum(map(len, sample)) / 1e6:.1f} MB in {time.time() - begin:.0f} s", flush=True)

    with multiprocessing.Pool(None, load_processor, (model_path,)) as pool:
        write_tokens(pool, rest, arguments.out / "train.bin")
        write_tokens(pool, valid, arguments.out / "valid.bin")
    shown = take(valid, arguments.valid_kb * 1000, separator_size=2)
    (arguments.out / "valid.txt").write_text("\n\n".join(shown) + "\n")

    load_processor(model_path)
    for text in shown:
        if processor.decode(processor.encode(text)) != text:
            raise SystemExit(f"{model_path}: this document does not survive a round trip: {text!r}")


if __name__ == "__main__":
    main()

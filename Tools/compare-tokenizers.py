#!/usr/bin/env python3
"""Compares `fovea tokenize` with the Python packages sentencepiece and tokenizers.

Makes thousands of strings of all kinds, among them invalid UTF-8 and a text of 1 MB, and compares the token ids and the
decoded text for each. Each MODEL is a SentencePiece .model file or a tokenizer.json; without any, the bundled tokenizer
and those that the Python package mistral-common ships are taken.

    Tools/compare-tokenizers.py --fovea .build/release/fovea [--count 6000] [--seed 1] [--special] [--write FILE]
                                [MODEL ...]

--special adds and reads special tokens, for tokenizer.json; else their spelling is text. --write keeps the strings with the reference's answers as JSON lines, for the fixtures of the tests.
"""

import argparse
import glob
import json
import os
import random
import subprocess
import sys
import tempfile
import time

WORDS = (
    "once upon a time there was little girl named Lily who loved to play outside 1234567 3.14159 don't it's "
    "Straße naïve café cafe\u0301 Ελληνικά русский язык 日本語 東京 한국어 العربية עברית हिन्दी ไทย Tiếng Việt "
    "ﬁ ﬂ Ⅻ ① ㌀ ﷺ ＡＢＣ ｶﾞ ½ ² ™ … “quoted” «guillemets» — – "
    "[INST] [/INST] <s> </s> <unk> <pad> <0x0A> <0xFF> ▁ ▁▁ <|im_start|> [REF] [control_8] "
    "<|im_end|> <|endoftext|> <bos> <eos> <start_of_turn> <end_of_turn> <unused7> <mask> [CLS] [SEP] [MASK] "
    "def f(x): return x**2 if(a<b){c++;} http://example.com/?q=1&r=%20 #include <stdio.h>"
).split(" ")
EMOJI = ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "👨🏿‍🚀", "❤️", "1️⃣", "🫠", "\u200d", "\ufe0f"]
SPACES = [" ", "  ", "   ", " " * 7, " " * 16, " " * 40, "\n", "\n\n", "\r\n", "\t", "\t\t\t", "\u00a0", "\u2003",
          "\u3000", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\u200b", "\ufeff"]
BROKEN = [b"\xff", b"\xfe\xff", b"\x80", b"\xbf\xbf", b"\xc0\x80", b"\xc3", b"\xe2\x96", b"\xe2\x28\xa1", b"\xed\xa0\x80",
          b"\xf0\x9f\x98", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xf0\x80\x80\x80", b"\xe0\x80\xaf"]


def random_character(rng):
    kind = rng.random()
    if kind < 0.3:
        return chr(rng.randrange(0x20, 0x7F))
    if kind < 0.4:
        return chr(rng.randrange(0x00, 0x20))
    if kind < 0.6:
        return chr(rng.randrange(0x80, 0x800))
    code = rng.randrange(0x800, 0x10000) if kind < 0.85 else rng.randrange(0x10000, 0x110000)
    return chr(code) if not 0xD800 <= code < 0xE000 else "\ufffd"


def make_text(rng):
    """A string of one of several kinds, as bytes."""
    kind = rng.randrange(7)
    if kind == 0:
        return "".join(random_character(rng) for _ in range(rng.randrange(40))).encode()
    if kind == 1:
        return " ".join(rng.choice(WORDS) for _ in range(rng.randrange(30))).encode()
    if kind == 2:
        return "".join(rng.choice(WORDS + SPACES * 3) for _ in range(rng.randrange(30))).encode()
    if kind == 3:
        return "".join(rng.choice(EMOJI + SPACES + WORDS) for _ in range(rng.randrange(20))).encode()
    if kind == 4:
        return "".join(rng.choice(SPACES) for _ in range(rng.randrange(12))).encode()
    if kind == 5:
        parts = [rng.choice(BROKEN) if rng.random() < 0.4 else rng.choice(WORDS + EMOJI + SPACES).encode()
                 for _ in range(rng.randrange(1, 15))]
        return b"".join(parts)
    return bytes(rng.randrange(256) for _ in range(rng.randrange(40)))


def make_texts(seed, count):
    rng = random.Random(seed)
    texts = [b"", b" ", b"  ", b"\x00", b"a\x00b", "▁".encode(), " ▁ ".encode(), b"x" * 5000, " é".encode() * 500]
    texts += [make_text(rng) for _ in range(count - len(texts))]
    return texts


def long_text(seed):
    """About 1 MB of mixed text."""
    rng = random.Random(seed)
    parts, size = [], 0
    while size < 1_000_000:
        parts.append(rng.choice(WORDS + EMOJI + ["\n", "  "]) + " ")
        size += len(parts[-1].encode())
    return "".join(parts).encode()


def request(data):
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"bytes": list(data)}


def answers_of_fovea(fovea, model, requests, special):
    """The answers, and the seconds that the command took."""
    with tempfile.TemporaryDirectory() as folder:
        name = "tokenizer.json" if model.endswith(".json") else "tokenizer.model"
        os.symlink(os.path.abspath(model), os.path.join(folder, name))
        lines = "".join(json.dumps(r) + "\n" for r in requests)
        start = time.monotonic()
        options = [] if special else ["--no-special"]
        result = subprocess.run([fovea, "tokenize", "--model", folder, *options, "--json-lines", "-"],
                                input=lines.encode(), stdout=subprocess.PIPE, check=True)
        seconds = time.monotonic() - start
    return [json.loads(line) for line in result.stdout.decode().split("\n") if line], seconds


class SentencePiece:
    """The package sentencepiece, which takes bytes that are not UTF-8 too."""

    def __init__(self, model):
        import sentencepiece

        self.name = f"sentencepiece {sentencepiece.__version__}"
        self.processor = sentencepiece.SentencePieceProcessor(model_file=model)

    def answer(self, text, asked):
        ids = self.processor.encode(text if "bytes" in asked else asked["text"])
        return {"ids": ids, "text": self.processor.decode(ids)}


class Tokenizers:
    """The package tokenizers. Special tokens are added and read if `special`, else neither, as with --no-special."""

    def __init__(self, model, special):
        import tokenizers

        self.name = f"tokenizers {tokenizers.__version__}"
        self.tokenizer = tokenizers.Tokenizer.from_file(model)
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.tokenizer.encode_special_tokens = not special
        self.special = special

    def answer(self, text, asked):
        ids = self.tokenizer.encode(text.decode(errors="replace"), add_special_tokens=self.special).ids
        return {"ids": ids, "text": self.tokenizer.decode(ids)}


def compare(fovea, model, texts, write, special):
    if special and not model.endswith(".json"):
        sys.exit(f"{model}: --special is for tokenizer.json; sentencepiece reads no special tokens")
    reference = Tokenizers(model, special) if model.endswith(".json") else SentencePiece(model)
    requests = [request(text) for text in texts]
    answers, seconds = answers_of_fovea(fovea, model, requests, special)
    if len(answers) != len(texts):
        sys.exit(f"{model}: {len(answers)} answers to {len(texts)} strings")
    differences = 0
    for text, asked, got in zip(texts, requests, answers):
        expected = reference.answer(text, asked)
        if write:
            write.write(json.dumps({**asked, **expected}, separators=(",", ":")) + "\n")
        if got != expected:
            differences += 1
            if differences <= 5:
                print(f"  {asked}\n    expected {expected}\n    got      {got}"[:2000])
    byte_count = sum(map(len, texts))
    print(f"{model}: {len(texts)} strings, {byte_count} bytes, {differences} differ from {reference.name}, "
          f"{seconds:.2f} s")
    return differences


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fovea", default=".build/release/fovea")
    parser.add_argument("--count", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=argparse.FileType("w"))
    parser.add_argument("--special", action="store_true", help="add and read special tokens")
    parser.add_argument("--no-long-text", action="store_true", help="leave out the text of 1 MB")
    parser.add_argument("models", nargs="*", metavar="MODEL")
    options = parser.parse_args()

    models = options.models
    if not models:
        import mistral_common

        data = os.path.join(os.path.dirname(mistral_common.__file__), "data")
        models = ["Models/storyteller-15m/tokenizer.model"] + sorted(glob.glob(data + "/*.model.v*"))
    texts = make_texts(options.seed, options.count)
    if not options.no_long_text:
        texts.append(long_text(options.seed))
    if sum(compare(options.fovea, model, texts, options.write, options.special) for model in models):
        sys.exit(1)


if __name__ == "__main__":
    main()

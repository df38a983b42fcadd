#!/usr/bin/env python3
"""Makes Tests/FoveaTokenizersTests/Fixtures: small SentencePiece models and what the references answer for them.

    Tools/make-tokenizer-fixtures.py                   the models, and sentencepiece's answers (sentencepiece 0.2)
    Tools/make-tokenizer-fixtures.py --llama           the answers of LlamaTokenizer, without models
                                                       (transformers 4.46, whose class still is a SentencePiece one)
    Tools/make-tokenizer-fixtures.py --nfkc FOLDER     two models with the large NFKC maps, to compare by hand
"""

import argparse
import importlib.util
import json
import os
import random
import shutil
import sys
import tempfile

FIXTURES = "Tests/FoveaTokenizersTests/Fixtures"
BUNDLED = "Models/storyteller-15m/tokenizer.model"
WORDS = (
    "the a little girl boy dog went to big house and saw tree river she he said happy then run jump over under blue "
    "red café naïve Straße 日本 東京 русский язык don't it's 123 45 6.7 [X] once upon time there was very old man who "
    "lived with his cat in small village near sea"
).split()
# Overlaps, an empty replacement, one of two characters and shared ends, so that the trie is no tree.
RULES = "ff10\t30\nff11\t31\nff21\t61\n61 62\t7a\n61\t62 62\n3000\t20\n2126\t3a9\n200b\t\n65 301\te9\n61 301\te1\n"


def train(folder, name, **options):
    import sentencepiece

    corpus = os.path.join(folder, "corpus.txt")
    rng = random.Random(5)
    with open(corpus, "w") as file:
        for _ in range(6000):
            file.write(" ".join(rng.choice(WORDS) for _ in range(rng.randrange(4, 20))) + ".\n")
    sentencepiece.SentencePieceTrainer.train(
        input=corpus, model_prefix=os.path.join(folder, name), minloglevel=2, hard_vocab_limit=False, num_threads=1,
        **options)
    # The trainer keeps the paths of its inputs, which belong in no file of ours.
    from_trainer = os.path.join(folder, name + ".model")
    data = open(from_trainer, "rb").read()
    open(from_trainer, "wb").write(without_field(without_field(data, 2, (1, 2)), 3, (6,)))


def fields(data):
    """Number, wire type, raw bytes and payload of each field of a protobuf message."""
    position = 0

    def varint():
        nonlocal position
        result = shift = 0
        while True:
            byte = data[position]
            position += 1
            result |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return result

    while position < len(data):
        start = position
        key = varint()
        length = {1: 8, 5: 4}.get(key & 7, 0)
        if key & 7 == 0:
            varint()
        elif key & 7 == 2:
            length = varint()
        position += length
        yield key >> 3, key & 7, data[start:position], data[position - length:position]


def encoded_varint(value):
    result = b""
    while value >= 128:
        result += bytes([value & 127 | 128])
        value >>= 7
    return result + bytes([value])


def without_field(data, message, numbers):
    result = b""
    for number, wire_type, raw, payload in fields(data):
        if number == message and wire_type == 2:
            payload = b"".join(inner for inner_number, _, inner, _ in fields(payload) if inner_number not in numbers)
            raw = encoded_varint(number << 3 | 2) + encoded_varint(len(payload)) + payload
        result += raw
    return result


def train_small(folder):
    identity = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
    train(folder, "bpe-bytes", model_type="bpe", vocab_size=600, byte_fallback=True, pad_id=3, control_symbols=["<ctl>"],
          user_defined_symbols=["\n", "\n\n", "\n\n\n", "<sep>", "▁▁"], **identity)
    train(folder, "bpe-no-prefix", model_type="bpe", vocab_size=600, byte_fallback=True, add_dummy_prefix=False,
          split_digits=True, allow_whitespace_only_pieces=True, **identity)
    train(folder, "bpe-suffix", model_type="bpe", vocab_size=300, normalization_rule_name="identity",
          treat_whitespace_as_suffix=True)
    train(folder, "unigram-bytes", model_type="unigram", vocab_size=500, byte_fallback=True,
          user_defined_symbols=["\n", "<sep>"], **identity)
    rules = os.path.join(folder, "rules.tsv")
    open(rules, "w").write(RULES)
    train(folder, "unigram-rules", model_type="unigram", vocab_size=160, normalization_rule_tsv=rules,
          user_defined_symbols=["<sep>", "[X]"], control_symbols=["<ctl>"])
    return ["bpe-bytes", "bpe-no-prefix", "bpe-suffix", "unigram-bytes", "unigram-rules"]


def hash_of(ids):
    """64-bit FNV-1a over the ids, four little-endian bytes each."""
    result = 0xCBF29CE484222325
    for id in ids:
        for byte in id.to_bytes(4, "little"):
            result = (result ^ byte) * 0x100000001B3 % 2**64
    return result


def write_answers(name, model, count):
    """The reference's ids and text for strings, and its text for random ids, which need not come from any string."""
    import sentencepiece

    spec = importlib.util.spec_from_file_location("compare", os.path.join(os.path.dirname(__file__), "compare-tokenizers.py"))
    compare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(compare)
    reference = sentencepiece.SentencePieceProcessor(model_file=model)
    with open(f"{FIXTURES}/{name}.jsonl", "w") as file:
        def write(value):
            file.write(json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n")

        texts = [text for text in compare.make_texts(7, 4 * count) if len(text) < 90][:count]
        for text in texts:
            asked = compare.request(text)
            ids = reference.encode(text if "bytes" in asked else asked["text"])
            write({**asked, "ids": ids, "decoded": reference.decode(ids)})
        repeated = "Once upon a time, a café in 東京 sold  123 cakes.\n👩‍👩‍👧‍👦 "
        times = 1_000_000 // len(repeated.encode())
        ids = reference.encode(repeated * times)
        write({"text": repeated, "times": times, "count": len(ids), "hash": str(hash_of(ids))})
        rng = random.Random(11)
        special = list(range(3)) + [i for i in range(reference.vocab_size()) if reference.is_byte(i)]
        for _ in range(count):
            ids = [rng.choice(special) if rng.random() < 0.5 else rng.randrange(reference.vocab_size())
                   for _ in range(rng.randrange(1, 16))]
            write({"ids": ids, "decoded": reference.decode(ids)})


LLAMA_TEXTS = [
    "", " ", "  ", "Hello", " Hello", "  Hello", "Hello  ", "▁Hello", "▁ Hello", "\nHello", "Hello\n", "a\n\nb", "</s>", "<s>",
    "<s>Hello", "<s> Hello", "<s>  Hello", "Hello</s>", "Hello </s>", "Hello</s> ", "Hello</s>there", "Hello </s> there",
    "Hello  </s>  there", "</s></s>", " </s>", "  </s>", "</s> </s>", "<unk>", "a<unk>b", "a <unk> b", "<s", "<<s>>", "</s",
    "<s>Once</s><s>upon</s>", "é</s>日本", "日本</s> 🎉", "<|user|>Hi<|end|>", "<|user|> Hi <|end|> there", "x<left>y", "x  <left>  y",
    "x<right>y", "x \n <right> \n y", "<left><right>", " <left> ", "\u3000<left>\u00a0<right>\u2003y", "<plain>", "a<plain>b",
    "a <plain> b", "<plain>x", "<pla", "<plain><plainer>", "<plainer>", "[PAD]", "<sep>", "a<sep>b", "<ctl>",
    "Hello\u2581World", "\x00", "tab\there", "Once upon a time</s>", "<s>[INST] Hi [/INST]</s>",
]
ADDED = {
    "700": {"content": "<|user|>", "special": True, "lstrip": False, "rstrip": False, "single_word": False, "normalized": False},
    "701": {"content": "<|end|>", "special": True, "lstrip": False, "rstrip": False, "single_word": False, "normalized": False},
    "702": {"content": "<left>", "special": True, "lstrip": True, "rstrip": False, "single_word": False, "normalized": False},
    "703": {"content": "<right>", "special": True, "lstrip": False, "rstrip": True, "single_word": False, "normalized": False},
    "704": {"content": "<plain>", "special": False, "lstrip": False, "rstrip": False, "single_word": False, "normalized": False},
    "705": {"content": "<plainer>", "special": False, "lstrip": False, "rstrip": False, "single_word": False, "normalized": False},
}


def write_llama_answers():
    from transformers import LlamaTokenizer

    base = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    with open(f"{FIXTURES}/llama.jsonl", "w") as file:
        for model in ["bpe-bytes", "bpe-no-prefix", "unigram-rules"]:
            # transformers numbers added tokens from the end of the vocabulary on.
            first = sum(1 for number, _, _, _ in fields(open(f"{FIXTURES}/{model}.model", "rb").read()) if number == 1)
            added = {str(first + i): value for i, value in enumerate(ADDED.values())}
            for extra in [
                {},
                {"legacy": True, "add_eos_token": True},
                {"legacy": False},
                {"legacy": False, "add_prefix_space": False, "add_bos_token": False},
                {"legacy": True, "added_tokens_decoder": added, "additional_special_tokens": ["<|user|>", "<|end|>"]},
                {"legacy": False, "added_tokens_decoder": added, "additional_special_tokens": ["<|user|>", "<|end|>"]},
            ]:
                configuration = {**base, **extra}
                with tempfile.TemporaryDirectory() as folder:
                    shutil.copy(f"{FIXTURES}/{model}.model", folder + "/tokenizer.model")
                    json.dump(configuration, open(folder + "/tokenizer_config.json", "w"))
                    reference = LlamaTokenizer.from_pretrained(folder)
                    answers = [reference.encode(text) for text in LLAMA_TEXTS]
                file.write(json.dumps(
                    {"model": model, "configuration": json.dumps(configuration), "texts": LLAMA_TEXTS, "ids": answers},
                    separators=(",", ":")) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama", action="store_true")
    parser.add_argument("--nfkc", metavar="FOLDER")
    options = parser.parse_args()
    if options.llama:
        write_llama_answers()
    elif options.nfkc:
        train(options.nfkc, "unigram-nmt-nfkc", model_type="unigram", vocab_size=200, normalization_rule_name="nmt_nfkc",
              user_defined_symbols=["<sep>", "[X]", "  "])
        train(options.nfkc, "bpe-nfkc-cf", model_type="bpe", vocab_size=250, normalization_rule_name="nfkc_cf")
    else:
        with tempfile.TemporaryDirectory() as folder:
            for name in train_small(folder):
                shutil.copy(os.path.join(folder, name + ".model"), FIXTURES)
                write_answers(name, f"{FIXTURES}/{name}.model", 60)
        write_answers("storyteller", BUNDLED, 200)


if __name__ == "__main__":
    main()

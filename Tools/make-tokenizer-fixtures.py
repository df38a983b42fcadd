#!/usr/bin/env python3
"""Makes Tests/FoveaTokenizersTests/Fixtures: small SentencePiece models and what the references answer for them.

    Tools/make-tokenizer-fixtures.py                   the models, and sentencepiece's answers (sentencepiece 0.2)
    Tools/make-tokenizer-fixtures.py --llama           the answers of LlamaTokenizer, without models
                                                       (transformers 4.46, whose class still is a SentencePiece one)
    Tools/make-tokenizer-fixtures.py --json            the tokenizer.json files, and the answers of the package tokenizers
                                                       (0.23)
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


LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")


def json_tokenizers():
    """Small tokenizers of every kind by name, trained on WORDS."""
    from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                            trainers)

    rng = random.Random(5)
    corpus = [" ".join(rng.choice(WORDS) for _ in range(rng.randrange(4, 20))) + "." for _ in range(3000)]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    split = lambda pattern, behavior, **options: pre_tokenizers.Split(pattern, behavior, **options)

    def trained(model, trainer, size, **parts):
        tokenizer = Tokenizer(model)
        for name, part in parts.items():
            setattr(tokenizer, name, part)
        tokenizer.train_from_iterator(corpus, trainer)
        return tokenizer

    def byte_level_tokenizer(pre_tokenizer, **parts):
        trainer = trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, show_progress=False,
                                      special_tokens=["<s>", "</s>", "<|end|>"])
        return trained(models.BPE(**parts.pop("model", {})), trainer, 420, pre_tokenizer=pre_tokenizer,
                       decoder=decoders.ByteLevel(), **parts)

    tokenizers = {}
    gpt2 = byte_level_tokenizer(pre_tokenizers.ByteLevel(add_prefix_space=True))
    gpt2.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    gpt2.add_tokens([AddedToken("<left>", lstrip=True), AddedToken("<right>", rstrip=True), AddedToken("[X]", single_word=True),
                     AddedToken("<plain>", normalized=True), AddedToken("<plainer>", normalized=False)])
    gpt2.add_special_tokens([AddedToken("<both>", lstrip=True, rstrip=True, special=True)])
    tokenizers["gpt2"] = gpt2
    llama3 = byte_level_tokenizer(pre_tokenizers.Sequence([split(Regex(LLAMA3), "isolated"), byte_level]),
                                  model={"ignore_merges": True})
    llama3.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 0)])])
    tokenizers["llama3"] = llama3
    tokenizers["qwen2"] = byte_level_tokenizer(
        pre_tokenizers.Sequence([split(Regex(QWEN2), "isolated"), byte_level]), normalizer=normalizers.NFC())
    tokenizers["digits"] = byte_level_tokenizer(pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]))

    bytes_of = [f"<0x{byte:02X}>" for byte in range(256)]
    spaces = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    fallback = trained(
        models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"),
        trainers.BpeTrainer(vocab_size=560, special_tokens=["<unk>", "<s>", "</s>"] + bytes_of, show_progress=False), 560,
        pre_tokenizer=split(" ", "merged_with_previous"), normalizer=None)
    fallback.pre_tokenizer = pre_tokenizers.Metaspace(split=True)
    fallback.train_from_iterator(corpus, trainers.BpeTrainer(
        vocab_size=560, special_tokens=["<unk>", "<s>", "</s>"] + bytes_of, show_progress=False))
    # As in files from the hub: no pre-tokenizer, and the bytes are no added tokens.
    value = json.loads(fallback.to_str())
    value["pre_tokenizer"] = None
    value["added_tokens"] = value["added_tokens"][:3]
    fallback = Tokenizer.from_str(json.dumps(value))
    fallback.normalizer = spaces
    fallback.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    fallback.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizers["byte-fallback"] = fallback

    def unknown_trainer(**options):
        return trainers.BpeTrainer(vocab_size=250, special_tokens=["<unk>"], show_progress=False, **options)

    tokenizers["metaspace-first"] = trained(
        models.BPE(unk_token="<unk>", fuse_unk=True), unknown_trainer(), 250,
        pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="first"), decoder=decoders.Metaspace(prepend_scheme="first"))
    tokenizers["metaspace-first"].add_tokens(["<plain>"])
    tokenizers["word-suffix"] = trained(
        models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"), unknown_trainer(end_of_word_suffix="</w>"), 250,
        normalizer=normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]),
        pre_tokenizer=pre_tokenizers.Sequence([
            split(Regex(r"'s|'t|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"), "removed", invert=True)]),
        decoder=decoders.BPEDecoder("</w>"))
    tokenizers["prefix"] = trained(
        models.BPE(unk_token="<unk>", continuing_subword_prefix="@@"), unknown_trainer(continuing_subword_prefix="@@"), 250,
        normalizer=normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Strip(), normalizers.Nmt()]),
        pre_tokenizer=pre_tokenizers.Sequence([
            pre_tokenizers.Whitespace(), split(Regex("[aeiou]"), "merged_with_next"), split("t", "merged_with_previous"),
            pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.Digits(False)]))
    tokenizers["prefix"].decoder = decoders.WordPiece(prefix="@@", cleanup=False)
    bert = trained(
        models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20),
        trainers.WordPieceTrainer(vocab_size=250, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
                                  show_progress=False), 250,
        normalizer=normalizers.BertNormalizer(), pre_tokenizer=pre_tokenizers.BertPreTokenizer(),
        decoder=decoders.WordPiece())
    bert.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizers["bert"] = bert

    model = open(f"{FIXTURES}/unigram-rules.model", "rb").read()
    rules = [inner for number, _, _, payload in fields(model) if number == 3
             for inner_number, _, _, inner in fields(payload) if inner_number == 2]
    unigram = trained(
        models.Unigram(), trainers.UnigramTrainer(vocab_size=220, special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
                                                  unk_token="<unk>", show_progress=False), 220,
        normalizer=normalizers.Sequence([normalizers.Precompiled(rules[0]), normalizers.Replace(Regex(" {2,}"), " ")]),
        pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]),
        decoder=decoders.Metaspace())
    unigram.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizers["unigram"] = unigram
    return tokenizers


JSON_TEXTS = LLAMA_TEXTS + [
    "a[X]b [X] [X]", "x <both> y<both>", "<left> <right> [X]", "don't DON'T I'll they'Ve", "1234567890 12 3.14", "a\r\nb\r\n\r\n",
    "e\u0301 \u00e9 \u1e69 s\u0323\u0307", "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab", "ﬁ Ⅻ ㌀ ½", "fooBAR_baz-qux", "a" * 30,
]


def write_json_answers():
    spec = importlib.util.spec_from_file_location("compare", os.path.join(os.path.dirname(__file__), "compare-tokenizers.py"))
    compare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(compare)
    texts = list(dict.fromkeys(JSON_TEXTS))
    for data in compare.make_texts(9, 800):
        if len(texts) < 150 and len(data) < 60 and "text" in compare.request(data) and data.decode() not in texts:
            texts.append(data.decode())
    folder = FIXTURES + "/json"
    os.makedirs(folder, exist_ok=True)
    json.dump(texts, open(folder + "/texts.json", "w"), indent=0)
    for name, tokenizer in json_tokenizers().items():
        value = json.loads(tokenizer.to_str())
        json.dump(value, open(f"{folder}/{name}.tokenizer.json", "w"), ensure_ascii=False, separators=(",", ":"))
        ids = [tokenizer.encode(text).ids for text in texts]
        repeated = "Once upon a time, a café in 東京 sold  123 cakes.\n👩‍👩‍👧‍👦 "
        times = 1_000_000 // len(repeated.encode())
        long = tokenizer.encode(repeated * times).ids
        json.dump({"repeated": repeated, "times": times, "count": len(long), "hash": str(hash_of(long)), "ids": ids, "decoded": [tokenizer.decode(i) for i in ids],
                   "kept": [tokenizer.decode(i, skip_special_tokens=False) for i in ids[:40]]},
                  open(f"{folder}/{name}.answers.json", "w"), ensure_ascii=False, separators=(",", ":"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--nfkc", metavar="FOLDER")
    options = parser.parse_args()
    if options.llama:
        write_llama_answers()
    elif options.json:
        write_json_answers()
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

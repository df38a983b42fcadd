"""Texts for comparisons of embedding models."""

import pathlib
import random

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "Tests/FoveaModelsTests/Fixtures/storyteller-15m-validation.txt"

SPECIAL = [
    "", " ", "   \t ", "\n", "\r\n\r\n", "\u00a0", "\u3000", "\u200b", "\ufeff", "\u00ad", "\x01\x7f", "\ufffd", ".", "a",
    "don't, can't; won't!", "ﬁ ligature ﬀ", "e\u0301 combined", "é composed", "İstanbul ıI", "Straße GROẞ", "ΣΊΣΥΦΟΣ",
    "北京 is the capital", "🙂👩‍👩‍👧 emoji 🇩🇪 👍🏽", "شكرا جزيلا", "Ωμέγα", "नमस्ते दुनिया", "สวัสดีชาวโลก", "안녕하세요 세계", "한글",
    "こんにちは、世界。カタカナ", "[CLS] [SEP] [MASK] [UNK] [PAD]", "<s> </s>", "tab\tand  spaces ", "1,234.56 € ≠ £3½",
    "https://example.org/a?b=c&d=%20#e", "def f(x): return x**2  # code", "a_b-c.d/e\\f", "x" * 100, "x" * 101, "y" * 5000,
]
SCRIPTS = [
    (0x20, 0x7E), (0xA1, 0x24F), (0x250, 0x2FF), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x52F), (0x531, 0x58F),
    (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F), (0x10A0, 0x10FF), (0x1100, 0x11FF),
    (0x1E00, 0x1EFF), (0x2000, 0x206F), (0x20A0, 0x20BF), (0x2100, 0x214F), (0x2200, 0x22FF), (0x3000, 0x303F),
    (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFB00, 0xFB4F), (0xFE00, 0xFE6F),
    (0xFF00, 0xFFEF), (0x1D400, 0x1D7FF), (0x1F300, 0x1FAFF), (0x20000, 0x2A6DF), (0x2F800, 0x2FA1F),
]


def cut_texts(count: int, tokenizer, seed: int) -> list[str]:
    """Pieces of a real text, of 5 to 256 tokens, all lengths alike."""
    generator = random.Random(seed)
    words = SOURCE.read_text().split()
    texts, first = [], 0
    while len(texts) < count:
        length = generator.randint(5, 256)
        part = words[first:first + length]
        if len(part) < length:
            first = 0
            continue
        ids = tokenizer(" ".join(part))["input_ids"]
        while len(ids) > length and len(part) > 1:
            part = part[:len(part) - max(1, (len(ids) - length) // 2)]
            ids = tokenizer(" ".join(part))["input_ids"]
        texts.append(" ".join(part))
        first += len(part)
    return texts


def varied_texts(count: int, seed: int) -> list[str]:
    """Empty, blank, of 1 to 2,000 words, of many scripts and of any code points, with words of thousands of letters."""
    generator = random.Random(seed)
    words = SOURCE.read_text().split()

    def prose(length: int) -> str:
        first = generator.randrange(len(words) - length)
        return " ".join(words[first:first + length])

    def script(length: int) -> str:
        first, last = generator.choice(SCRIPTS)
        return "".join(chr(generator.randint(first, last)) for _ in range(length))

    def anything(length: int) -> str:
        codes = (generator.randint(1, 0x10FFFF) for _ in range(length))
        return "".join(chr(code) for code in codes if not 0xD800 <= code <= 0xDFFF)

    kinds = [
        lambda: prose(int(2000 ** generator.random())),
        lambda: " ".join(script(generator.randint(1, 12)) for _ in range(generator.randint(1, 60))),
        lambda: " ".join(generator.choice([prose(1), script(3)]) for _ in range(generator.randint(1, 200))),
        lambda: script(generator.randint(1, 400)),
        lambda: anything(generator.randint(1, 80)),
        lambda: "".join(generator.choice(words) for _ in range(generator.randint(10, 400))),
    ]
    texts = SPECIAL + [prose(length) for length in (1, 2, 1000, 1999, 2000)]
    while len(texts) < count:
        texts.append(kinds[len(texts) % len(kinds)]())
    return texts[:count]

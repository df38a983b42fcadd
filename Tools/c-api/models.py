#!/usr/bin/env python3
"""Models, tokenizers, sessions and embedders from Python, with ctypes only: models.py [FOLDER] [--json].

Everything is checked on the way; `--json` prints the results instead of a talk about them. Where transformers and torch
are installed, tokens, logits and text are compared with theirs.
"""

import importlib.util
import json
import math
import pathlib
import sys

import fovea

PROMPT = "Once upon a time, there was a little robot"
TEXTS = ["The cat sat on the mat.", "Tom drove his car. 🚗", "", "A kitten slept."]


def require(condition: bool, what: str) -> None:
    """Ends the program if something is not as it must be."""
    if not condition:
        raise SystemExit(f"models.py: {what}")


def status_of(action) -> int:
    """The status of a call that must fail."""
    try:
        action()
    except fovea.FoveaError as error:
        require(str(error) != "", "an error without a text")
        return error.status
    raise SystemExit("models.py: a call that must fail did not")


def rows(matrix) -> list:
    """The rows of a matrix, be it NumPy's or a memoryview."""
    return matrix.tolist()


def generate(model: fovea.Model) -> dict:
    """Generates a text, then checks it token by token."""
    session = model.session()
    pieces = []
    result = session.generate(
        PROMPT, max_tokens=30, temperature=0, on_piece=lambda text, token: pieces.append(text))
    require("".join(pieces) == result.text, "the pieces are not the text")
    tokens = session.tokens
    require(tokens[result.prompt_token_count:] == result.tokens, "the session does not hold what was generated")

    # What was generated is the likeliest token each time, in one evaluation of the whole text.
    session.trim(0)
    logits = rows(session.evaluate(tokens, logits="all"))
    for index in range(result.prompt_token_count, len(tokens)):
        row = logits[index - 1]
        require(row.index(max(row)) == tokens[index], f"token {index} is not the likeliest")
    # The same bits token by token.
    session.reset()
    require(len(session) == 0, "a session is not empty after reset")
    for index, token in enumerate(tokens[:8]):
        require(rows(session.evaluate([token]))[0] == logits[index], f"logits {index} differ token by token")

    stopped = model.session().generate(PROMPT, max_tokens=100, temperature=0, on_piece=lambda *_: False)
    require((stopped.finish_reason, len(stopped.tokens)) == ("cancelled", 1), "the callback did not end the text")
    sampled = [model.session().generate(PROMPT, max_tokens=10, temperature=1, seed=5).text for _ in range(2)]
    require(sampled[0] == sampled[1], "the same seed gave two texts")
    return {"prompt": PROMPT, "tokens": tokens, "text": result.text, "last_logits": logits[-1]}


def tokenize(tokenizer: fovea.Tokenizer) -> None:
    """Text to tokens and back, at once and token by token."""
    text = "Tom said: “Ünïcode, 🚗!”"
    tokens = tokenizer.encode(text)
    require(tokenizer.decode(tokens) == text, "a text does not come back")
    require(len(tokenizer.encode(text, add_special_tokens=False)) < len(tokens), "no special token was added")
    detokenizer = tokenizer.detokenizer()
    pieces = [*map(detokenizer.append, tokens), detokenizer.finish()]
    require("".join(pieces) == text, "a text does not come back in pieces")
    require(tokenizer.piece(1) == "<s>", "token 1 is not <s>")


def embed(folder: str) -> list:
    """Embeds texts in one batch."""
    with fovea.Embedder(folder) as embedder:
        vectors, truncated = embedder.embed(TEXTS, normalize=True)
        vectors = rows(vectors)
        require(truncated == [0] * len(TEXTS), "a short text was truncated")
        require(all(abs(math.hypot(*vector) - 1) < 1e-5 for vector in vectors), "a vector's length is not 1")
        short = rows(embedder.embed(TEXTS[:1], dimensions=8, normalize=False).vectors)
        require(len(short[0]) == 8, "dimensions were not cut")
        long = embedder.embed(["word " * 5000])
        require(long.truncated_token_counts[0] > 0, "a long text was not truncated")
        refused = status_of(lambda: embedder.embed(["word " * 5000], refuse_truncation=True))
        require(refused == 7, "status of truncation")
        require(status_of(lambda: embedder.embed(TEXTS, prompt_name="nobody")) == 1, "status of an unknown prompt")
    require(status_of(lambda: embedder.embed(TEXTS)) == 4, "status of a closed embedder")
    return vectors


def attend() -> None:
    """The attention op on plain memory: one head, two keys, of which the first query sees one."""
    queries, keys = [[1.0, 0.0], [0.5, 2.0]], [[1.0, -1.0], [0.0, 1.0]]
    flat = [fovea.array.array("f", sum(matrix, [])) for matrix in (queries, keys, [[1.0, 2.0], [3.0, 5.0]])]
    output = fovea.array.array("f", [0.0] * 4)
    views = [memoryview(values).cast("B").cast("f", (1, 1, 2, 2)) for values in (*flat, output)]
    fovea.attention(*views[:3], 1.0, views[3], mask="causal")
    weight = 1 / (1 + math.exp(2.0 - (0.5 - 2.0)))
    expected = [1.0, 2.0, weight * 1 + (1 - weight) * 3, weight * 2 + (1 - weight) * 5]
    require(all(abs(a - b) < 1e-5 for a, b in zip(output, expected)), f"attention gave {list(output)}")


def compare(folder: str) -> None:
    """Tokens, logits and text against transformers, in float32."""
    if not all(map(importlib.util.find_spec, ("torch", "transformers"))):
        print("transformers and torch are not installed: no comparison")
        return
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    reference = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model = fovea.Model(folder, precision="float32")
    tokens = model.tokenizer.encode(PROMPT)
    require(tokens == tokenizer(PROMPT)["input_ids"], "the tokens differ from transformers'")
    with torch.no_grad():
        expected = reference(torch.tensor([tokens])).logits[0]
        # Straight into PyTorch's memory.
        logits = model.session().evaluate_into(tokens, torch.empty_like(expected), logits="all")
        difference = (logits - expected).abs().max().item()
        ids = reference.generate(torch.tensor([tokens]), max_new_tokens=30, do_sample=False)[0].tolist()
    require(difference <= 1e-4, f"logits differ from transformers' by {difference:.1e}")
    text = model.session().generate(PROMPT, max_tokens=30, temperature=0)
    require(ids[len(tokens):] == text.tokens, "the text differs from transformers'")
    print(f"as transformers: {len(tokens)} tokens, logits within {difference:.1e}, 30 generated tokens the same")


def main() -> None:
    """Runs everything on one folder."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--json"]
    bundled = pathlib.Path(__file__).resolve().parents[2] / "Models/storyteller-15m"
    folder = arguments[0] if arguments else str(bundled)
    model = fovea.Model(folder)
    tokenize(model.tokenizer)
    results = generate(model) | {"vectors": embed(folder)}
    attend()
    require(status_of(lambda: fovea.Model("/nowhere")) == 6, "status of a missing folder")
    require(status_of(lambda: model.session().evaluate([10**6])) == 1, "status of a token out of the vocabulary")
    if "--json" in sys.argv:
        print(json.dumps(results | {"properties": model.properties}))
        return
    print(f"{PROMPT}{results['text']}")
    print(f"{len(results['vectors'])} vectors of {len(results['vectors'][0])} values")
    compare(folder)


if __name__ == "__main__":
    main()

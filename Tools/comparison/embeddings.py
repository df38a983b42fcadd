"""Embeds the same texts with Fovea, sentence-transformers, ONNX Runtime and llama.cpp, in turns. See Tools/compare."""

import argparse
import ctypes
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from sentence_transformers import SentenceTransformer  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOVEA = os.environ.get("FOVEA_EXECUTABLE", str(ROOT / ".build/release/fovea"))
WORK = ROOT / ".build-compare/embeddings"
SOURCE = ROOT / "Tests/FoveaModelsTests/Fixtures/storyteller-15m-validation.txt"
# The least cosine of a text's vector to sentence-transformers'.
LEAST_COSINE = 0.99999
# llama.cpp's attention keeps keys and values in float16 unless told otherwise, and its own order of sums.
LEAST_COSINES = {"llama.cpp": 0.9999}


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


def varied_texts(seed: int) -> list[str]:
    """Empty, long, and of many scripts."""
    generator = random.Random(seed)
    words = SOURCE.read_text().split()
    texts = ["", " ", "a", "Ünïcödé strings with àccénts", "北京 is the capital", "🙂👩‍👩‍👧 emoji", "شكرا جزيلا", "Ωμέγα",
             "tab\tand  spaces ", "don't, can't; won't!", "ﬁ ligature", "e\u0301 combined", "\u00ad soft hyphen"]
    for length in (1, 10, 100, 250, 500, 2000):
        first = generator.randrange(len(words) - length)
        texts.append(" ".join(words[first:first + length]))
    return texts


class Fovea:
    """The executable; each turn is a process, whose loading is not timed."""

    name = "fovea"

    def __init__(self, folder: pathlib.Path, tokenizer, options: argparse.Namespace):
        self.folder, self.tokenizer, self.options = folder, tokenizer, options
        # A build that cannot read the tokenizer gets token ids.
        self.takes_texts = subprocess.run([FOVEA, "embed", "x", "--model", str(folder)], capture_output=True).returncode == 0
        if not self.takes_texts:
            print("this fovea does not read the model's tokenizer: it gets token ids", file=sys.stderr)

    def run(self, *arguments: str) -> str:
        result = subprocess.run([FOVEA, *arguments, "--model", str(self.folder), "--threads",
                                 str(self.options.threads)], capture_output=True, text=True)
        if result.returncode != 0:
            raise RuntimeError(result.stderr.strip())
        return result.stdout

    def write(self, texts: list[str], path: pathlib.Path, jsonl: bool) -> list[str]:
        """Writes the texts, or their ids; gives the flags that say which."""
        if not self.takes_texts:
            limit = self.options.max_length
            rows = self.tokenizer(texts, truncation=True, max_length=limit)["input_ids"]
            path.write_text("".join(" ".join(map(str, row)) + "\n" for row in rows))
            return ["--tokens"]
        if jsonl:
            path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
            return ["--jsonl"]
        path.write_text("".join(text + "\n" for text in texts))
        return []

    def embed(self, texts: list[str]) -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            source, target = pathlib.Path(folder, "texts"), pathlib.Path(folder, "vectors.npy")
            flags = self.write(texts, source, jsonl=True)
            self.run("embed", "--file", str(source), "--format", "npy", "--output", str(target), *flags)
            return np.load(target)

    def time(self, texts: list[str], single: bool) -> float:
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder, "texts")
            flags = self.write(texts, source, jsonl=False)
            counts = ["-r", "0", "--single", "100"] if single else ["-r", "1", "--single", "0"]
            report = json.loads(self.run("bench", "embed", str(source), "--json", *counts, *flags))
            return report["single_text_seconds"] if single else len(texts) / report["texts_per_second"]


class Peer:
    """A library in this process: `embed` takes texts and gives a matrix."""

    def time(self, texts: list[str], single: bool) -> float:
        if not single:
            start = time.perf_counter()
            self.embed(texts)
            return time.perf_counter() - start
        times = []
        for _ in range(60):
            start = time.perf_counter()
            self.embed(texts)
            times.append(time.perf_counter() - start)
        return statistics.median(times[10:])


class SentenceTransformers(Peer):
    name = "sentence-transformers"

    def __init__(self, folder: pathlib.Path, model: SentenceTransformer, options: argparse.Namespace):
        self.model, self.batch = model, options.batch

    def embed(self, texts: list[str]) -> np.ndarray:
        return self.model.encode(texts, batch_size=self.batch, show_progress_bar=False)


class OnnxRuntime(Peer):
    """The model as PyTorch exports it and ONNX Runtime's transformer optimizer fuses it; sorted by length, padded."""

    name = "onnxruntime"

    def __init__(self, folder: pathlib.Path, model: SentenceTransformer, options: argparse.Namespace):
        import onnxruntime

        self.tokenizer, self.batch, self.max_length = model.tokenizer, options.batch, options.max_length
        path = WORK / f"{folder.name}.onnx"
        if not path.exists():
            export(model, path)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.threads
        # Spinning threads would take the cores of the next library.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "1")
        settings.add_session_config_entry("session.force_spinning_stop", "1")
        self.session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])

    def embed(self, texts: list[str]) -> np.ndarray:
        order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
        result = None
        for first in range(0, len(order), self.batch):
            indices = order[first:first + self.batch]
            inputs = self.tokenizer([texts[index] for index in indices], padding=True, truncation=True,
                                    max_length=self.max_length, return_tensors="np")
            mask = inputs["attention_mask"].astype(np.int64)
            states = self.session.run(None, {"input_ids": inputs["input_ids"].astype(np.int64),
                                             "attention_mask": mask})[0]
            weights = mask[..., None].astype(np.float32)
            vectors = (states * weights).sum(1) / weights.sum(1)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            if result is None:
                result = np.empty((len(texts), vectors.shape[1]), np.float32)
            result[indices] = vectors
        return result


def export(model: SentenceTransformer, path: pathlib.Path) -> None:
    class States(torch.nn.Module):
        def __init__(self, encoder: torch.nn.Module):
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    from onnxruntime.transformers import optimizer

    path.parent.mkdir(parents=True, exist_ok=True)
    encoder = model[0].auto_model
    example = torch.ones(2, 16, dtype=torch.long)
    axes = {0: "texts", 1: "tokens"}
    plain = path.with_suffix(".plain.onnx")
    torch.onnx.export(States(encoder).eval(), (example, example), str(plain),
                      input_names=["input_ids", "attention_mask"], output_names=["states"], opset_version=17,
                      dynamic_axes={"input_ids": axes, "attention_mask": axes, "states": axes}, dynamo=False)
    config = encoder.config
    fused = optimizer.optimize_model(str(plain), model_type="bert", num_heads=config.num_attention_heads,
                                     hidden_size=config.hidden_size)
    fused.save_model_to_file(str(path))


class LlamaCpp(Peer):
    """llama.cpp by its C functions, on a float32 GGUF without a vocabulary: token ids in, means of states out."""

    name = "llama.cpp"

    def __init__(self, folder: pathlib.Path, model: SentenceTransformer, options: argparse.Namespace):
        import llama_cpp

        self.library, self.tokenizer, self.max_length = llama_cpp, model.tokenizer, options.max_length
        path = WORK / f"{folder.name}.gguf"
        if not path.exists():
            write_gguf(folder, path)
        self.silence = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self.silence, ctypes.c_void_p())
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        if not self.model:
            raise RuntimeError(f"llama.cpp does not load {path}")
        parameters = llama_cpp.llama_context_default_params()
        self.limit = 2048
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = self.limit
        parameters.n_seq_max = 64
        parameters.kv_unified = True
        parameters.n_threads = parameters.n_threads_batch = options.threads
        parameters.embeddings = True
        parameters.pooling_type = llama_cpp.LLAMA_POOLING_TYPE_MEAN
        self.context = llama_cpp.llama_init_from_model(self.model, parameters)
        self.width = llama_cpp.llama_model_n_embd(self.model)

    def embed(self, texts: list[str]) -> np.ndarray:
        rows = self.tokenizer(texts, truncation=True, max_length=self.max_length)["input_ids"]
        order = sorted(range(len(rows)), key=lambda index: -len(rows[index]))
        result = np.empty((len(texts), self.width), np.float32)
        while order:
            count, tokens = 0, 0
            while count < min(len(order), 64) and tokens + len(rows[order[count]]) <= self.limit:
                tokens += len(rows[order[count]])
                count += 1
            self.decode(order[:count], rows, tokens, result)
            order = order[count:]
        return result / np.linalg.norm(result, axis=1, keepdims=True)

    def decode(self, indices: list[int], rows: list[list[int]], count: int, result: np.ndarray) -> None:
        library = self.library
        batch = library.llama_batch_init(count, 0, 1)
        batch.n_tokens = count
        i = 0
        for sequence, index in enumerate(indices):
            for position, token in enumerate(rows[index]):
                batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, position, 1, 1
                batch.seq_id[i][0] = sequence
                i += 1
        if library.llama_encode(self.context, batch) != 0:
            raise RuntimeError("llama_encode failed")
        for sequence, index in enumerate(indices):
            values = library.llama_get_embeddings_seq(self.context, sequence)
            result[index] = np.ctypeslib.as_array(values, shape=(self.width,))
        library.llama_batch_free(batch)


def write_gguf(folder: pathlib.Path, path: pathlib.Path) -> None:
    import gguf
    from safetensors.torch import load_file

    config = json.loads((folder / "config.json").read_text())
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(str(path), "bert")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_token_type_count(config["type_vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    names = {"embeddings.word_embeddings": "token_embd", "embeddings.position_embeddings": "position_embd",
             "embeddings.token_type_embeddings": "token_types", "embeddings.LayerNorm": "token_embd_norm"}
    parts = {"attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
             "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
             "intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm"}
    for layer in range(config["num_hidden_layers"]):
        names |= {f"encoder.layer.{layer}.{part}": f"blk.{layer}.{name}" for part, name in parts.items()}
    for name, tensor in load_file(folder / "model.safetensors").items():
        stem, _, kind = name.rpartition(".")
        if stem in names:
            writer.add_tensor(f"{names[stem]}.{kind}", tensor.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def check(peers: list, texts: list[str]) -> None:
    """The vectors must agree before anything is timed."""
    expected = peers[1].embed(texts)
    for peer in peers:
        got = peer.embed(texts)
        cosines = (got * expected).sum(1) / np.maximum(
            np.linalg.norm(got, axis=1) * np.linalg.norm(expected, axis=1), 1e-30)
        least = LEAST_COSINES.get(peer.name, LEAST_COSINE)
        worst = int(cosines.argmin())
        print(f"{peer.name}: cosine to sentence-transformers at least {cosines[worst]:.7f}, largest difference "
              f"{np.abs(got - expected).max():.1e}", file=sys.stderr)
        if not cosines[worst] >= least:
            raise SystemExit(f"{peer.name}: text {worst} has cosine {cosines[worst]:.6f}, expected {least}")


def measure(peers: list, texts: list[str], rounds: int, single: bool) -> dict:
    seconds = {peer.name: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            seconds[peer.name].append(peer.time(texts, single))
    ratios = {name: sorted(other / own for own, other in zip(seconds["fovea"], values))
              for name, values in seconds.items() if name != "fovea"}
    return {"seconds": {name: statistics.median(values) for name, values in seconds.items()},
            "ratios": {name: {"median": statistics.median(values), "minimum": values[0], "maximum": values[-1]}
                       for name, values in ratios.items()}}


def show(title: str, result: dict, unit) -> None:
    print(title)
    for name, seconds in result["seconds"].items():
        ratio = result["ratios"].get(name)
        faster = f"   fovea {ratio['median']:.2f}x [{ratio['minimum']:.2f}–{ratio['maximum']:.2f}]" if ratio else ""
        print(f"  {name:24} {unit(seconds):>24}{faster}", flush=True)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="Tools/compare embeddings", description=__doc__)
    parser.add_argument("--model", type=pathlib.Path, required=True, help="a folder of sentence-transformers: BERT, mean")
    parser.add_argument("--peers", default="sentence-transformers,onnxruntime,llama.cpp")
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=32, help="texts a batch of the others that pad")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="write JSON")
    options = parser.parse_args()
    options.peers = options.peers.split(",")
    return options


def main() -> None:
    options = parse_options()
    torch.set_num_threads(options.threads)
    folder = options.model.resolve()
    model = SentenceTransformer(str(folder), device="cpu")
    options.max_length = model.max_seq_length
    peers = [Fovea(folder, model.tokenizer, options)]
    for kind in (SentenceTransformers, OnnxRuntime, LlamaCpp):
        if kind.name not in options.peers and kind is not SentenceTransformers:
            continue
        try:
            peers.append(kind(folder, model, options))
        except (ImportError, RuntimeError) as error:
            print(f"{kind.name}: left out: {error}", file=sys.stderr)
    texts = cut_texts(options.texts, model.tokenizer, 1)
    tokens = sum(map(len, model.tokenizer(texts, truncation=True, max_length=options.max_length)["input_ids"]))
    check(peers, texts[:200] + varied_texts(2))
    many = measure(peers, texts, options.rounds, single=False)
    short = measure(peers, ["A short text to embed."], options.rounds, single=True)
    if options.json:
        print(json.dumps({"model": folder.name, "threads": options.threads, "texts": len(texts), "tokens": tokens,
                          "batch": options.batch, "many": many, "short": short}))
        return
    print(f"{folder.name}, float32, threads: {options.threads}, batches of {options.batch} where texts are padded\n")
    show(f"{len(texts)} texts of {tokens} tokens", many,
         lambda seconds: f"{len(texts) / seconds:.1f} texts/s, {tokens / seconds:.0f} tokens/s")
    show("one text of 8 tokens", short, lambda seconds: f"{seconds * 1000:.2f} ms")


if __name__ == "__main__":
    main()

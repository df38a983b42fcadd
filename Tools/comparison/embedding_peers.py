"""The libraries that Tools/compare embeddings compares; each embeds texts and says how long that took."""

import argparse
import ctypes
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy as np
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOVEA = os.environ.get("FOVEA_EXECUTABLE", str(ROOT / ".build/release/fovea"))
WORK = ROOT / ".build-compare/embeddings"


class Fovea:
    """The executable; each turn is a process, whose loading is not timed."""

    name = "fovea"

    def __init__(self, folder: pathlib.Path, options: argparse.Namespace):
        self.folder, self.threads = folder, options.threads

    def run(self, *arguments: str) -> str:
        result = subprocess.run([FOVEA, *arguments, "--model", str(self.folder), "--threads", str(self.threads)],
                                capture_output=True, text=True)
        if result.returncode != 0:
            raise RuntimeError(result.stderr.strip())
        return result.stdout

    def embed(self, texts: list[str], *options: str) -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            source, target = pathlib.Path(folder, "texts"), pathlib.Path(folder, "vectors.npy")
            source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
            self.run("embed", "--file", str(source), "--jsonl", "--format", "npy", "--output", str(target), *options)
            return np.load(target)

    def token_ids(self, texts: list[str]) -> list[list[int]]:
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder, "texts")
            source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
            output = self.run("embed", "--file", str(source), "--jsonl", "--token-ids")
            return [json.loads(line)["token_ids"] for line in output.splitlines()]

    def time(self, texts: list[str], single: bool) -> float:
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder, "texts")
            source.write_text("".join(text + "\n" for text in texts))
            counts = ["-r", "0", "--single", "100"] if single else ["-r", "1", "--single", "0"]
            report = json.loads(self.run("bench", "embed", str(source), "--json", *counts))
            return report["single_text_seconds"] if single else len(texts) / report["texts_per_second"]


class RoundedFovea(Fovea):
    """With the factors of products rounded: to integers of 16 bits, or to bfloat16 with its dot instruction."""

    def __init__(self, folder: pathlib.Path, options: argparse.Namespace, precision: str):
        super().__init__(folder, options)
        self.precision, self.name = precision, f"fovea, {precision}"

    def run(self, *arguments: str) -> str:
        return super().run(*arguments, "--precision", self.precision)


class Peer:
    """A library in this process: `embed` takes texts and gives a matrix."""

    # Texts a batch, of those that pad.
    batch = None

    def tune(self, texts: list[str], batches: list[int]) -> None:
        """Takes the size of batches that suits the library best."""
        if self.batch is None:
            return
        self.batch = batches[0]
        self.embed(texts[:32])
        seconds = {}
        for self.batch in batches:
            seconds[self.batch] = self.time(texts, single=False)
        self.batch = min(seconds, key=seconds.get)

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
        self.model, self.batch = model, 32

    def embed(self, texts: list[str]) -> np.ndarray:
        return self.model.encode(texts, batch_size=self.batch, show_progress_bar=False)


class OnnxRuntime(Peer):
    """The model as PyTorch exports it and ONNX Runtime's transformer optimizer fuses it; sorted by length, padded."""

    name = "onnxruntime"

    def __init__(self, folder: pathlib.Path, model: SentenceTransformer, options: argparse.Namespace):
        import onnxruntime

        self.tokenizer, self.batch, self.max_length = model.tokenizer, 32, options.max_length
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

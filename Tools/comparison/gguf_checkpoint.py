"""A Hugging Face checkpoint in other types: as safetensors for Fovea, as GGUF with the same values for llama.cpp."""

import ctypes
import json
import pathlib
import shutil

import gguf
import llama_cpp
import numpy as np
import torch
from safetensors.torch import load_file, save_file

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
GGUF_TYPES = {
    "float32": gguf.GGMLQuantizationType.F32,
    "bfloat16": gguf.GGMLQuantizationType.BF16,
    "float16": gguf.GGMLQuantizationType.F16,
}
# What llama-quantize makes of a float32 file by these names.
QUANTISED = {"8bit": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0, "4bit": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0}

LLAMA_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
GEMMA_NAMES = LLAMA_NAMES | {
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}


def tensors_of(folder: pathlib.Path) -> dict[str, torch.Tensor]:
    tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(path)
    return tensors


def write_safetensors(folder: pathlib.Path, target: pathlib.Path, type_name: str) -> pathlib.Path:
    """The checkpoint with every tensor in one type; made once."""
    if not (target / "config.json").exists():
        target.mkdir(parents=True, exist_ok=True)
        save_file({name: x.to(TYPES[type_name]).contiguous() for name, x in tensors_of(folder).items()},
                  target / "model.safetensors")
        for path in folder.iterdir():
            if path.suffix in (".json", ".model") and "safetensors" not in path.name and path.name != "config.json":
                shutil.copy(path, target)
        shutil.copy(folder / "config.json", target)
    return target


def permuted(x: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of queries or keys from halves to neighbours, as llama.cpp turns them in Llama."""
    return x.reshape(heads, 2, x.shape[0] // heads // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def write_gguf(folder: pathlib.Path, target: pathlib.Path, type_name: str) -> pathlib.Path:
    """The checkpoint as GGUF without a vocabulary: it is driven by token ids. Made once."""
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    if type_name in QUANTISED:
        source = write_gguf(folder, target.with_name("float32.gguf"), "float32")
        parameters = llama_cpp.llama_model_quantize_default_params()
        parameters.ftype = QUANTISED[type_name]
        if llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(parameters)) != 0:
            raise RuntimeError(f"llama.cpp does not quantise {source}")
        return target
    config = json.loads((folder / "config.json").read_text())
    kind = config["model_type"]
    is_gemma = kind.startswith("gemma3")
    if kind not in ("llama", "gemma3_text"):
        raise ValueError(f"{folder}: no conversion of '{kind}' to GGUF here")
    partial = target.with_suffix(".partial")
    writer = gguf.GGUFWriter(partial, "gemma3" if is_gemma else "llama")
    heads, width = config["num_attention_heads"], config["hidden_size"]
    key_heads = config.get("num_key_value_heads", heads)
    dimension = config.get("head_dim") or width // heads
    rope = config.get("rope_parameters") or {}
    base = (rope.get("full_attention") or rope).get("rope_theta") or config.get("rope_theta") or 10000.0
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(width)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(key_heads)
    writer.add_key_length(dimension)
    writer.add_value_length(dimension)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(base)
    writer.add_rope_dimension_count(dimension)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    if is_gemma:
        writer.add_sliding_window(config["sliding_window"])
    names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    for index in range(config["num_hidden_layers"]):
        for source, name in (GEMMA_NAMES if is_gemma else LLAMA_NAMES).items():
            names[f"model.layers.{index}.{source}"] = f"blk.{index}.{name}"
    for name, x in tensors_of(folder).items():
        stem = name.removesuffix(".weight")
        if stem == "lm_head" and config.get("tie_word_embeddings"):
            continue
        if not is_gemma and stem.endswith(("q_proj", "k_proj")):
            x = permuted(x, heads if stem.endswith("q_proj") else key_heads)
        values = x.float().numpy()
        if is_gemma and stem.endswith("norm"):
            values = values + 1
        # Vectors stay in float32, as llama.cpp's own converter leaves them.
        kind = GGUF_TYPES["float32" if x.ndim == 1 else type_name]
        data = gguf.quants.quantize(np.ascontiguousarray(values), kind)
        writer.add_tensor(names[stem] + ".weight", data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.rename(target)
    return target

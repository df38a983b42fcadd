    // The entries that every instruction set fills the same way, after ACTIVATION_CODES, QUANTIZED_LINEAR and
    // PACKED_LINEAR_INT16.
    .linear[FOVEA_FLOAT32] = {linear_f32_f32, linear_f32_f16, linear_f32_bf16},
    .linear[FOVEA_BFLOAT16] = {NULL, NULL, linear_bf16_bf16},
#ifdef LINEAR_TILE_ROWS
    .pack_rows[FOVEA_FLOAT32] = pack_rows_f32,
    .pack_rows[FOVEA_BFLOAT16] = pack_rows_bf16,
    .least_packed_rows = LINEAR_LEAST_PACKED_ROWS,
    .least_packed_rows_long = LINEAR_LEAST_PACKED_ROWS_LONG,
#endif
    .activation_codes = ACTIVATION_CODES,
    .quantized_linear = QUANTIZED_LINEAR,
    .packed_linear = packed_linear_float32,
    .packed_linear_int16 = PACKED_LINEAR_INT16,
    .round_int16 = round_int16,
    .pack_int16 = pack_int16,
    .rms_norm = rms_norm,
    .layer_norm = layer_norm,
    .activate = activate,
    .add_scaled = add_scaled,
    .soft_cap = soft_cap,
    .rotate = rotate,
    .convert = convert,
    .widen_boolean = widen_boolean,
    .log_sum_exp = log_sum_exp,
    .exponential = exponential,
    .pack_queries[FOVEA_TILE_FLOAT32] = pack_queries_float32,
    .pack_keys[FOVEA_TILE_FLOAT32] = pack_keys_float32,
    .pack_values[FOVEA_TILE_FLOAT32] = pack_values_float32,
    .attention[FOVEA_TILE_FLOAT32] = attention_float32,
    .attention_merge = attention_merge,
    .code_block = code_block,
    .coded_attention = coded_attention,
    .scale = scale,
#undef ACTIVATION_CODES
#undef QUANTIZED_LINEAR
#undef PACKED_LINEAR_INT16

// Many rows of activations: the codes of 32 columns are spread once, a vector for 4 codes of 16 columns, and all rows
// walk by them, 6 at a time.

// Spreads 64 bytes of each of 16 columns: lane c of spread[i] holds the bytes 4 * i … 4 * i + 3 of column c.
static inline __attribute__((always_inline)) void spread_bytes(V rows[16], __m512i *spread, size_t stride,
                                                               const bool is_half, const bool is_mxfp4) {
  const __m512i table = mxfp4_table();
  v_transpose(rows);
#pragma clang loop unroll(full)
  for (size_t i = 0; i < 16; i++) {
    __m512i bytes = _mm512_castps_si512(rows[i]);
    if (!is_half) {
      spread[i * stride] = bytes;
      continue;
    }
    __m512i low = low_nibbles(bytes), high = high_nibbles(bytes);
    if (is_mxfp4) low = _mm512_shuffle_epi8(table, low), high = _mm512_shuffle_epi8(table, high);
    spread[i * stride] = low;
    spread[(16 + i) * stride] = high;
  }
}

// The codes of 32 columns from `column` on, as [depth / 4, rounded up to chunks][2 vectors of 16 columns].
static void spread_codes(const fovea_quantized_linear *work, size_t column, __m512i *spread) {
  const fovea_quantized_matrix *weights = &work->weights;
  const bool is_half = weights->bits == 4, is_mxfp4 = weights->kind == FOVEA_MXFP4;
  const size_t byte_count = is_half ? work->depth / 2 : work->depth;
  for (size_t vector = 0; vector < 2; vector++) {
    for (size_t first = 0; first < byte_count; first += 64) {
      V rows[16];
      for (size_t c = 0; c < 16; c++) {
        const size_t row = held_column(work, column + 16 * vector + c);
        __m512i bytes;
        if (is_half || weights->bits == 8) {
          const uint8_t *p = weights->codes + (ptrdiff_t)row * weights->code_stride;
          __builtin_prefetch(p + TILE_COLUMNS * weights->code_stride + first);
          bytes = load_first_bytes(p + first, byte_count - first);
        } else {
          uint8_t codes[64] = {0};
          unpack_codes(weights, row, first, byte_count - first < 64 ? byte_count - first : 64, codes);
          bytes = _mm512_loadu_si512(codes);
        }
        rows[c] = _mm512_castsi512_ps(bytes);
      }
      __m512i *target = spread + vector + first / 64 * (is_half ? 32 : 16) * 2;
      if (!is_half) {
        spread_bytes(rows, target, 2, false, false);
      } else if (is_mxfp4) {
        spread_bytes(rows, target, 2, true, true);
      } else {
        spread_bytes(rows, target, 2, true, false);
      }
    }
  }
}

// The 8 steps of a block for `rows` rows and 32 columns.
static inline __attribute__((always_inline)) void multiply_tile(const fovea_quantized_linear *work, size_t row,
                                                                size_t column, const __m512i *spread,
                                                                const float *scales, const float *biases,
                                                                const int rows, const bool is_half) {
  const size_t blocks = work->depth / FOVEA_CODE_BLOCK, groups = work->depth / work->weights.group_size;
  const size_t blocks_per_group = work->weights.group_size / FOVEA_CODE_BLOCK;
  const size_t code_stride = fovea_code_stride(work->depth), bias_offset = scale_float_count(work, 16);
  const int8_t *codes = work->codes + row * code_stride;
  const float *activation_scales = work->scales + row * blocks, *sums = work->sums + row * groups;
  V total[TILE_ROWS][2];
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++) total[r][0] = total[r][1] = v_zero();
  size_t block = 0;
  for (size_t group = 0; group < groups; group++) {
    const V scale[2] = {v_load(scales + 16 * group), v_load(scales + 2 * bias_offset + 16 * group)};
    for (size_t i = 0; i < blocks_per_group; i++, block++) {
      __m512i dots[TILE_ROWS][2];
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) dots[r][0] = dots[r][1] = _mm512_setzero_si512();
      const size_t first = is_half ? block / 4 * 128 + block % 4 * 16 : block * FOVEA_CODE_BLOCK;
      const __m512i *steps = spread + first / 4 * 2;
#pragma clang loop unroll(full)
      for (int step = 0; step < 8; step++) {
        const int offset = is_half && step >= 4 ? 64 + 4 * (step - 4) : 4 * step;
        const __m512i weights[2] = {steps[offset / 2], steps[offset / 2 + 1]};
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
          int32_t four;
          memcpy(&four, codes + (size_t)r * code_stride + first + (size_t)offset, 4);
          const __m512i activation = _mm512_set1_epi32(four);
          dots[r][0] = _mm512_dpbusd_epi32(dots[r][0], weights[0], activation);
          dots[r][1] = _mm512_dpbusd_epi32(dots[r][1], weights[1], activation);
        }
      }
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) {
        const float activation_scale = activation_scales[(size_t)r * blocks + block];
        total[r][0] = add_block(dots[r][0], scale[0], activation_scale, total[r][0]);
        total[r][1] = add_block(dots[r][1], scale[1], activation_scale, total[r][1]);
      }
    }
  }
  V bias_total[TILE_ROWS][2];
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++) bias_total[r][0] = bias_total[r][1] = v_zero();
  for (size_t group = 0; group < groups; group++) {
    const V bias[2] = {v_load(biases + 16 * group), v_load(biases + 2 * bias_offset + 16 * group)};
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      const V sum = v_set1(sums[(size_t)r * groups + group]);
      bias_total[r][0] = v_fma(bias[0], sum, bias_total[r][0]);
      bias_total[r][1] = v_fma(bias[1], sum, bias_total[r][1]);
    }
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++) {
    store_outputs(work, row + (size_t)r, column, v_add(total[r][0], bias_total[r][0]));
    if (column + 16 < work->column_count)
      store_outputs(work, row + (size_t)r, column + 16, v_add(total[r][1], bias_total[r][1]));
  }
}

static inline __attribute__((always_inline)) void quantized_tiles_of(const fovea_quantized_linear *work,
                                                                     const bool is_half) {
  const size_t bias_offset = scale_float_count(work, 16);
  __m512i *spread = work->scratch;
  // Scales and biases of the first 16 columns, then of the next.
  float *scales = (float *)((char *)work->scratch + fovea_code_stride(work->depth) * TILE_COLUMNS);
  float *biases = scales + bias_offset;
  for (size_t column = 0; column < work->column_count; column += TILE_COLUMNS) {
    spread_codes(work, column, spread);
    transpose_scales(work, column, scales, biases);
    transpose_scales(work, column + 16, scales + 2 * bias_offset, biases + 2 * bias_offset);
    size_t row = 0;
    for (; row + TILE_ROWS <= work->row_count; row += TILE_ROWS)
      multiply_tile(work, row, column, spread, scales, biases, TILE_ROWS, is_half);
    for (; row + 2 <= work->row_count; row += 2)
      multiply_tile(work, row, column, spread, scales, biases, 2, is_half);
    for (; row < work->row_count; row++) multiply_tile(work, row, column, spread, scales, biases, 1, is_half);
  }
}

static void quantized_tiles(const fovea_quantized_linear *work) {
  if (work->weights.bits == 4) {
    quantized_tiles_of(work, true);
  } else {
    quantized_tiles_of(work, false);
  }
}

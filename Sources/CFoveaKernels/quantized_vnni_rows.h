// A few rows of activations: the weights of 16 columns go by four columns at a time, asked for as one stream out of
// memory, and leave one vector of partial integer sums a row for 64 bytes of all four; these are then added up, and meet
// their scales, for all 16 columns together. Memory rests meanwhile, so as much as possible is done while weights come.

// Bytes go by faster than nibbles, and are asked for once more so much further ahead: hints get lost where too many lines
// are under way already.
#define FURTHER_BYTES_AHEAD 4096

// Lane 4 * q + c of the result is the sum of the lanes 4 * q … 4 * q + 3 of s[c].
static inline __attribute__((always_inline)) __m512i add_quads(const __m512i s[4]) {
  __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(s[0], s[1]), _mm512_unpackhi_epi32(s[0], s[1]));
  __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(s[2], s[3]), _mm512_unpackhi_epi32(s[2], s[3]));
  return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

// dots[4 * r] = the partial sums of up to 64 bytes of a column with row r of the activations, whose codes for them begin
// at `activations`.
static inline __attribute__((always_inline)) void multiply_bytes(__m512i bytes, const int8_t *activations,
                                                                 size_t code_stride, __m512i *dots, const int rows,
                                                                 const bool is_half, const bool is_mxfp4) {
  __m512i low = bytes, high = bytes;
  if (is_half) low = low_nibbles(bytes), high = high_nibbles(bytes);
  if (is_mxfp4) {
    const __m512i table = mxfp4_table();
    low = _mm512_shuffle_epi8(table, low), high = _mm512_shuffle_epi8(table, high);
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++) {
    const int8_t *p = activations + (size_t)r * code_stride;
    dots[4 * r] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), low, _mm512_load_si512(p));
    if (is_half) dots[4 * r] = _mm512_dpbusd_epi32(dots[4 * r], high, _mm512_load_si512(p + 64));
  }
}

// Adds up the partial sums of one row and 16 columns, [4 groups of columns][steps], times their scales.
static inline __attribute__((always_inline)) void scale_partial_sums(const fovea_quantized_linear *work, size_t row,
                                                                     size_t column, const __m512i *partial,
                                                                     const float *scales, const float *biases,
                                                                     const bool is_half) {
  const size_t steps = ((is_half ? work->depth / 2 : work->depth) + 63) / 64;
  const size_t blocks = work->depth / FOVEA_CODE_BLOCK, groups = work->depth / work->weights.group_size;
  const size_t blocks_per_group = work->weights.group_size / FOVEA_CODE_BLOCK;
  const size_t blocks_per_step = (is_half ? 128 : 64) / FOVEA_CODE_BLOCK;
  const float *activation_scales = work->scales + row * blocks;
  const float *sums = work->sums + row * groups;
  V total = v_zero(), bias_total = v_zero();
  for (size_t group = 0; group < groups; group++)
    bias_total = v_fma(v_load(biases + 16 * group), v_set1(sums[group]), bias_total);
  for (size_t step = 0; step < steps; step++) {
    __m512i q[4], dots[4];
#pragma clang loop unroll(full)
    for (size_t i = 0; i < 4; i++) q[i] = partial[i * steps + step];
    __m512i even01 = _mm512_shuffle_i32x4(q[0], q[1], 0x88), odd01 = _mm512_shuffle_i32x4(q[0], q[1], 0xDD);
    __m512i even23 = _mm512_shuffle_i32x4(q[2], q[3], 0x88), odd23 = _mm512_shuffle_i32x4(q[2], q[3], 0xDD);
    if (is_half) {
      // Four lanes are a block.
      dots[0] = _mm512_shuffle_i32x4(even01, even23, 0x88);
      dots[1] = _mm512_shuffle_i32x4(odd01, odd23, 0x88);
      dots[2] = _mm512_shuffle_i32x4(even01, even23, 0xDD);
      dots[3] = _mm512_shuffle_i32x4(odd01, odd23, 0xDD);
    } else {
      // Eight lanes are a block.
      __m512i sums01 = _mm512_add_epi32(even01, odd01), sums23 = _mm512_add_epi32(even23, odd23);
      dots[0] = _mm512_shuffle_i32x4(sums01, sums23, 0x88);
      dots[1] = _mm512_shuffle_i32x4(sums01, sums23, 0xDD);
    }
#pragma clang loop unroll(full)
    for (size_t i = 0; i < blocks_per_step; i++) {
      size_t block = blocks_per_step * step + i;
      if (block >= blocks) break;
      total = add_block(dots[i], v_load(scales + 16 * (block / blocks_per_group)), activation_scales[block], total);
    }
  }
  store_outputs(work, row, column, v_add(total, bias_total));
}

static inline __attribute__((always_inline)) void quantized_rows_of(const fovea_quantized_linear *work, const int rows,
                                                                    const bool is_half, const bool is_mxfp4) {
  const fovea_quantized_matrix *weights = &work->weights;
  const size_t byte_count = is_half ? work->depth / 2 : work->depth;
  const size_t whole_steps = byte_count / 64, steps = (byte_count + 63) / 64, step_codes = is_half ? 128 : 64;
  const size_t code_stride = fovea_code_stride(work->depth);
  __m512i *partial = work->scratch;  // [rows][4 groups of columns][steps]
  float *scales = (float *)(partial + 4 * steps * (size_t)rows), *biases = scales + scale_float_count(work, 16);
  for (size_t column = 0; column < work->column_count; column += 16) {
    for (size_t first = 0; first < 16; first += 4) {
      const uint8_t *p[4];
#pragma clang loop unroll(full)
      for (size_t c = 0; c < 4; c++)
        p[c] = weights->codes + (ptrdiff_t)held_column(work, column + first + c) * weights->code_stride;
      const uint8_t *ahead = p[0] + bytes_ahead(work, 4);
      __m512i *sums = partial + first / 4 * steps, dots[4 * FEW_ROWS];
      size_t step = 0;
      for (; step < whole_steps; step++) {
#pragma clang loop unroll(full)
        for (size_t c = 0; c < 4; c++) {
          __builtin_prefetch(ahead + 64 * (4 * step + c));
          if (!is_half) __builtin_prefetch(ahead + 64 * (4 * step + c) + FURTHER_BYTES_AHEAD);
          multiply_bytes(_mm512_loadu_si512(p[c] + 64 * step), work->codes + step * step_codes, code_stride, dots + c,
                         rows, is_half, is_mxfp4);
        }
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) sums[4 * steps * (size_t)r + step] = add_quads(dots + 4 * r);
      }
      if (step == steps) continue;
#pragma clang loop unroll(full)
      for (size_t c = 0; c < 4; c++)
        multiply_bytes(load_first_bytes(p[c] + 64 * step, byte_count - 64 * step), work->codes + step * step_codes,
                       code_stride, dots + c, rows, is_half, is_mxfp4);
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) sums[4 * steps * (size_t)r + step] = add_quads(dots + 4 * r);
    }
    transpose_scales(work, column, scales, biases);
    for (int r = 0; r < rows; r++)
      scale_partial_sums(work, (size_t)r, column, partial + 4 * steps * (size_t)r, scales, biases, is_half);
  }
}

_Static_assert(FEW_ROWS == 4, "a case for each number of rows");
static inline __attribute__((always_inline)) void quantized_rows(const fovea_quantized_linear *work,
                                                                 const bool is_half, const bool is_mxfp4) {
  switch (work->row_count) {
    case 1: quantized_rows_of(work, 1, is_half, is_mxfp4); break;
    case 2: quantized_rows_of(work, 2, is_half, is_mxfp4); break;
    case 3: quantized_rows_of(work, 3, is_half, is_mxfp4); break;
    case 4: quantized_rows_of(work, 4, is_half, is_mxfp4); break;
    default: break;
  }
}

static void quantized_rows_4(const fovea_quantized_linear *work) { quantized_rows(work, true, false); }
static void quantized_rows_mxfp4(const fovea_quantized_linear *work) { quantized_rows(work, true, true); }
static void quantized_rows_8(const fovea_quantized_linear *work) { quantized_rows(work, false, false); }

// One row of activations. The weights of 4 columns go by side by side: their rows lie one after another in memory, and
// are read to the end before the next 4. Each 64 bytes of a column leave one vector of partial integer sums; those of 4
// columns are added up into one vector of whole ones. 16 columns meet their scales together.

#define ROW_PREFETCH_BYTES 4096

// Lane 4 * q + c of the result is the sum of the lanes 4 * q … 4 * q + 3 of s[c].
static inline __attribute__((always_inline)) __m512i add_quads(const __m512i s[4]) {
  __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(s[0], s[1]), _mm512_unpackhi_epi32(s[0], s[1]));
  __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(s[2], s[3]), _mm512_unpackhi_epi32(s[2], s[3]));
  return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

// The sums of 4 columns from `p` on over `count` bytes (at most 64) of each.
static inline __attribute__((always_inline)) __m512i multiply_columns(const uint8_t *p, ptrdiff_t stride, size_t count,
                                                                      const int8_t *activations, const bool is_half,
                                                                      const bool is_mxfp4) {
  const __m512i table = mxfp4_table(), even = _mm512_load_si512(activations);
  const __m512i odd = is_half ? _mm512_load_si512(activations + 64) : even;
  __m512i sums[4];
#pragma clang loop unroll(full)
  for (int c = 0; c < 4; c++) {
    __m512i bytes = load_first_bytes(p + c * stride, count);
    __builtin_prefetch(p + c * stride + ROW_PREFETCH_BYTES);
    if (!is_half) {
      sums[c] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), bytes, even);
      continue;
    }
    __m512i low = low_nibbles(bytes), high = high_nibbles(bytes);
    if (is_mxfp4) low = _mm512_shuffle_epi8(table, low), high = _mm512_shuffle_epi8(table, high);
    sums[c] = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(_mm512_setzero_si512(), low, even), high, odd);
  }
  return add_quads(sums);
}

static inline __attribute__((always_inline)) void quantized_row(const fovea_quantized_linear *work, const bool is_half,
                                                                const bool is_mxfp4) {
  const fovea_quantized_matrix *weights = &work->weights;
  const size_t byte_count = is_half ? work->depth / 2 : work->depth;
  const size_t whole_steps = byte_count / 64, steps = (byte_count + 63) / 64, step_codes = is_half ? 128 : 64;
  const size_t blocks = work->depth / FOVEA_CODE_BLOCK, groups = work->depth / weights->group_size;
  const size_t blocks_per_group = weights->group_size / FOVEA_CODE_BLOCK, blocks_per_step = step_codes / FOVEA_CODE_BLOCK;
  __m512i *quads = work->scratch;  // [steps][4 fours of columns]
  float *scales = (float *)(quads + 4 * steps), *biases = scales + (groups + 15) / 16 * 256;
  for (size_t column = 0; column < work->column_count; column += 16) {
    const size_t columns = work->column_count - column < 16 ? work->column_count - column : 16;
    for (size_t four = 0; four * 4 < columns; four++) {
      const uint8_t *p = weights->codes + (ptrdiff_t)(column + 4 * four) * weights->code_stride;
      // Columns past the last are the last again, or the first of four.
      const ptrdiff_t stride = 4 * four + 4 <= columns ? weights->code_stride : 0;
      if (stride == 0) {
        for (size_t c = 4 * four; c < columns; c++) {
          const uint8_t *own = weights->codes + (ptrdiff_t)(column + c) * weights->code_stride;
          for (size_t step = 0; step < steps; step++) {
            const int8_t *activations = work->codes + step * step_codes;
            __m512i sums = multiply_columns(own + 64 * step, 0, byte_count - 64 * step, activations, is_half, is_mxfp4);
            const __mmask16 lanes = (__mmask16)(0x1111u << (c - 4 * four));
            quads[4 * step + four] = _mm512_mask_mov_epi32(c == 4 * four ? sums : quads[4 * step + four], lanes, sums);
          }
        }
        continue;
      }
      size_t step = 0;
      for (; step < whole_steps; step++)
        quads[4 * step + four] =
            multiply_columns(p + 64 * step, stride, 64, work->codes + step * step_codes, is_half, is_mxfp4);
      if (step < steps)
        quads[4 * step + four] = multiply_columns(p + 64 * step, stride, byte_count - 64 * step,
                                                  work->codes + step * step_codes, is_half, is_mxfp4);
    }
    transpose_scales(work, column, scales, biases);
    V total = v_zero(), bias_total = v_zero();
    for (size_t group = 0; group < groups; group++)
      bias_total = v_fma(v_load(biases + 16 * group), v_set1(work->sums[group]), bias_total);
    for (size_t step = 0; step < steps; step++) {
      const __m512i *q = quads + 4 * step;
      __m512i dots[4];
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
        total = add_block(dots[i], v_load(scales + 16 * (block / blocks_per_group)), work->scales[block], total);
      }
    }
    store_outputs(work, 0, column, v_add(total, bias_total));
  }
}

static void quantized_row_4(const fovea_quantized_linear *work) { quantized_row(work, true, false); }
static void quantized_row_mxfp4(const fovea_quantized_linear *work) { quantized_row(work, true, true); }
static void quantized_row_8(const fovea_quantized_linear *work) { quantized_row(work, false, false); }

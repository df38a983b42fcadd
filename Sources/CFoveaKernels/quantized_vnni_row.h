// One row of activations: the weights of 16 columns go by one column after another, as one stream out of memory, and
// leave one vector of partial integer sums for every 64 bytes; these are then added up for all 16 columns together.

#define ROW_PREFETCH_BYTES 4096

// Lane 4 * q + c of the result is the sum of the lanes 4 * q … 4 * q + 3 of s[c * stride].
static inline __attribute__((always_inline)) __m512i add_quads(const __m512i *s, size_t stride) {
  __m512i a = s[0], b = s[stride], c = s[2 * stride], d = s[3 * stride];
  __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
  return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

static inline __attribute__((always_inline)) void quantized_row_4(const fovea_quantized_linear *work,
                                                                  const bool is_mxfp4) {
  const fovea_quantized_matrix *weights = &work->weights;
  const size_t byte_count = work->depth / 2, steps = (byte_count + 63) / 64;
  const size_t blocks = work->depth / FOVEA_CODE_BLOCK, groups = work->depth / weights->group_size;
  const size_t blocks_per_group = weights->group_size / FOVEA_CODE_BLOCK;
  const __m512i table = mxfp4_table();
  __m512i *partial = work->scratch;
  float *scales = (float *)(partial + 16 * steps), *biases = scales + (groups + 15) / 16 * 256;
  for (size_t column = 0; column < work->column_count; column += 16) {
    size_t columns = work->column_count - column < 16 ? work->column_count - column : 16;
    for (size_t c = 0; c < columns; c++) {
      const uint8_t *p = weights->codes + (ptrdiff_t)(column + c) * weights->code_stride;
      for (size_t step = 0; step < steps; step++) {
        __m512i bytes = load_first_bytes(p + 64 * step, byte_count - 64 * step);
        __builtin_prefetch(p + 64 * step + ROW_PREFETCH_BYTES);
        __m512i low = low_nibbles(bytes), high = high_nibbles(bytes);
        if (is_mxfp4) low = _mm512_shuffle_epi8(table, low), high = _mm512_shuffle_epi8(table, high);
        __m512i sum = _mm512_dpbusd_epi32(_mm512_setzero_si512(), low, _mm512_load_si512(work->codes + 128 * step));
        partial[c * steps + step] = _mm512_dpbusd_epi32(sum, high, _mm512_load_si512(work->codes + 128 * step + 64));
      }
    }
    transpose_scales(work, column, scales, biases);
    V total = v_zero();
    for (size_t step = 0; step < steps; step++) {
      __m512i quads[4], dots[4];
#pragma clang loop unroll(full)
      for (size_t i = 0; i < 4; i++) quads[i] = add_quads(partial + 4 * i * steps + step, steps);
      // Four columns of four blocks each become four blocks of 16 columns.
      __m512i even01 = _mm512_shuffle_i32x4(quads[0], quads[1], 0x88), odd01 = _mm512_shuffle_i32x4(quads[0], quads[1], 0xDD);
      __m512i even23 = _mm512_shuffle_i32x4(quads[2], quads[3], 0x88), odd23 = _mm512_shuffle_i32x4(quads[2], quads[3], 0xDD);
      dots[0] = _mm512_shuffle_i32x4(even01, even23, 0x88);
      dots[1] = _mm512_shuffle_i32x4(odd01, odd23, 0x88);
      dots[2] = _mm512_shuffle_i32x4(even01, even23, 0xDD);
      dots[3] = _mm512_shuffle_i32x4(odd01, odd23, 0xDD);
#pragma clang loop unroll(full)
      for (size_t i = 0; i < 4; i++) {
        size_t block = 4 * step + i, group = block / blocks_per_group;
        if (block >= blocks) break;
        total = add_block(dots[i], v_load(scales + 16 * group), work->scales[block], total);
        if ((block + 1) % blocks_per_group == 0)
          total = v_fma(v_load(biases + 16 * group), v_set1(work->sums[group]), total);
      }
    }
    store_outputs(work, 0, column, total);
  }
}

static void quantized_row_8(const fovea_quantized_linear *work) {
  const fovea_quantized_matrix *weights = &work->weights;
  const size_t byte_count = work->depth, steps = (byte_count + 63) / 64;
  const size_t blocks = work->depth / FOVEA_CODE_BLOCK, groups = work->depth / weights->group_size;
  const size_t blocks_per_group = weights->group_size / FOVEA_CODE_BLOCK;
  __m512i *partial = work->scratch;
  float *scales = (float *)(partial + 16 * steps), *biases = scales + (groups + 15) / 16 * 256;
  for (size_t column = 0; column < work->column_count; column += 16) {
    size_t columns = work->column_count - column < 16 ? work->column_count - column : 16;
    for (size_t c = 0; c < columns; c++) {
      const uint8_t *p = weights->codes + (ptrdiff_t)(column + c) * weights->code_stride;
      for (size_t step = 0; step < steps; step++) {
        __m512i bytes = load_first_bytes(p + 64 * step, byte_count - 64 * step);
        __builtin_prefetch(p + 64 * step + ROW_PREFETCH_BYTES);
        partial[c * steps + step] =
            _mm512_dpbusd_epi32(_mm512_setzero_si512(), bytes, _mm512_load_si512(work->codes + 64 * step));
      }
    }
    transpose_scales(work, column, scales, biases);
    V total = v_zero();
    for (size_t step = 0; step < steps; step++) {
      __m512i quads[4], dots[2];
#pragma clang loop unroll(full)
      for (size_t i = 0; i < 4; i++) quads[i] = add_quads(partial + 4 * i * steps + step, steps);
      // Two quads of lanes are one block.
      __m512i sums01 = _mm512_add_epi32(_mm512_shuffle_i32x4(quads[0], quads[1], 0x88),
                                        _mm512_shuffle_i32x4(quads[0], quads[1], 0xDD));
      __m512i sums23 = _mm512_add_epi32(_mm512_shuffle_i32x4(quads[2], quads[3], 0x88),
                                        _mm512_shuffle_i32x4(quads[2], quads[3], 0xDD));
      dots[0] = _mm512_shuffle_i32x4(sums01, sums23, 0x88);
      dots[1] = _mm512_shuffle_i32x4(sums01, sums23, 0xDD);
#pragma clang loop unroll(full)
      for (size_t i = 0; i < 2; i++) {
        size_t block = 2 * step + i, group = block / blocks_per_group;
        if (block >= blocks) break;
        total = add_block(dots[i], v_load(scales + 16 * group), work->scales[block], total);
        if ((block + 1) % blocks_per_group == 0)
          total = v_fma(v_load(biases + 16 * group), v_set1(work->sums[group]), total);
      }
    }
    store_outputs(work, 0, column, total);
  }
}

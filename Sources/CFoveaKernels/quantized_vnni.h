// Products with quantised weights by the byte dot instruction of AVX-512 VNNI; include after vector_avx512.h.
//
// A lane of the instruction takes 4 neighbouring bytes. Codes of 4 bits lie two a byte, so the activations for them lie
// apart in every 128: the 64 of the lower halves, then the 64 of the upper ones. Other widths take the natural order,
// those of 2, 3, 5 and 6 bits after widening. Rows of activations end in zeros up to a multiple of 128.
#include "quantized.h"

#define TILE_COLUMNS 32
#define TILE_ROWS 6
#define SCALE_PREFETCH_COLUMNS 32

static inline __m512i load_first_bytes(const uint8_t *p, size_t count) {
  if (count >= 64) return _mm512_loadu_si512(p);
  return _mm512_maskz_loadu_epi8((1ull << count) - 1, p);
}
static inline __m512i mxfp4_table(void) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)mxfp4_codes));
}
static inline __m512i low_nibbles(__m512i bytes) { return _mm512_and_si512(bytes, _mm512_set1_epi8(15)); }
static inline __m512i high_nibbles(__m512i bytes) { return low_nibbles(_mm512_srli_epi16(bytes, 4)); }

// MARK: Activations

static void activation_codes_row(const fovea_activation_codes *work, size_t row) {
  const size_t blocks = work->depth / FOVEA_CODE_BLOCK, blocks_per_group = work->group_size / FOVEA_CODE_BLOCK;
  const size_t width = work->input_element == FOVEA_FLOAT32 ? 4 : 2;
  const char *inputs = (const char *)work->inputs + (ptrdiff_t)row * work->input_stride * (ptrdiff_t)width;
  int8_t *codes = work->codes + row * fovea_code_stride(work->depth);
  float *sums = work->sums + row * (blocks / blocks_per_group);
  // Even bytes to the lower 16, odd ones to the upper.
  const __m256i split = _mm256_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15,  //
                                         0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
  for (size_t block = 0; block < blocks; block++) {
    const char *p = inputs + block * FOVEA_CODE_BLOCK * width;
    V x[2];
    for (int i = 0; i < 2; i++) {
      if (work->input_element == FOVEA_FLOAT32) x[i] = v_load((const float *)p + 16 * i);
      if (work->input_element == FOVEA_FLOAT16) x[i] = v_load_f16((const uint16_t *)p + 16 * i);
      if (work->input_element == FOVEA_BFLOAT16) x[i] = v_load_bf16((const uint16_t *)p + 16 * i);
    }
    // Infinities and NaN of either kind.
    bool spoiled = _mm512_fpclass_ps_mask(x[0], 0x99) | _mm512_fpclass_ps_mask(x[1], 0x99);
    float maximum = v_max_across(v_max(_mm512_abs_ps(x[0]), _mm512_abs_ps(x[1])));
    if (spoiled) maximum = 0;
    float inverse, scale = block_scale(maximum, &inverse);
    __m512i low = _mm512_cvtps_epi32(v_mul(x[0], v_set1(inverse))), high = _mm512_cvtps_epi32(v_mul(x[1], v_set1(inverse)));
    if (spoiled) {
      low = high = _mm512_setzero_si512();
      scale = NAN;
    }
    int32_t sum = _mm512_reduce_add_epi32(_mm512_add_epi32(low, high));
    __m256i bytes = _mm256_set_m128i(_mm512_cvtepi32_epi8(high), _mm512_cvtepi32_epi8(low));
    if (work->bits == 4) {
      bytes = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(bytes, split), 0xD8);
      int8_t *target = codes + block / 4 * 128 + block % 4 * 16;
      _mm_storeu_si128((__m128i *)target, _mm256_castsi256_si128(bytes));
      _mm_storeu_si128((__m128i *)(target + 64), _mm256_extracti128_si256(bytes, 1));
    } else {
      _mm256_storeu_si256((__m256i *)(codes + block * FOVEA_CODE_BLOCK), bytes);
    }
    work->scales[row * blocks + block] = scale;
    add_block_sum(sums + block / blocks_per_group, block % blocks_per_group == 0, scale, sum);
  }
  for (size_t block = blocks; block % 4 != 0; block++) {
    if (work->bits == 4) {
      int8_t *target = codes + block / 4 * 128 + block % 4 * 16;
      _mm_storeu_si128((__m128i *)target, _mm_setzero_si128());
      _mm_storeu_si128((__m128i *)(target + 64), _mm_setzero_si128());
    } else {
      _mm256_storeu_si256((__m256i *)(codes + block * FOVEA_CODE_BLOCK), _mm256_setzero_si256());
    }
  }
}

// MARK: Scales

// The elements of both halves of each lane, the lower first, as float32.
static inline __attribute__((always_inline)) void widen_pairs(V lanes, V *low, V *high, const fovea_element element) {
  __m512i pairs = _mm512_castps_si512(lanes);
  if (element == FOVEA_BFLOAT16) {
    *low = _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
    *high = _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32((int)0xFFFF0000)));
  } else {
    *low = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(pairs));
    *high = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(pairs, 16)));
  }
}

// Scales of mxfp4 out of exponents.
static inline V power_of_two(__m512i exponent) {
  __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(exponent, _mm512_set1_epi32(1)), 23);
  __m512i tiny = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000), exponent);
  __mmask16 is_tiny = _mm512_cmplt_epu32_mask(exponent, _mm512_set1_epi32(2));
  __mmask16 is_nan = _mm512_cmpeq_epu32_mask(exponent, _mm512_set1_epi32(255));
  __m512i bits = _mm512_mask_mov_epi32(normal, is_tiny, tiny);
  return _mm512_castsi512_ps(_mm512_mask_mov_epi32(bits, is_nan, _mm512_set1_epi32(0x7FC00000)));
}

// At most so many words of 4 bytes of a column are moved one by one: a transposition takes as long as about four of them.
#define MOST_SINGLE_WORDS 3

// The scales and biases of the groups from `first` on, as transpose_scales_of, whose offsets these are.
static inline __attribute__((always_inline)) void move_scale_words(const fovea_quantized_matrix *weights,
                                                                   const ptrdiff_t offsets[16], size_t first,
                                                                   size_t groups, float *scales, float *biases,
                                                                   const fovea_element element) {
  const size_t width = element == FOVEA_FLOAT32 ? 4 : 2;
  for (size_t group = first; group < groups; group += 4 / width) {
    uint32_t words[2][16] = {{0}};
    const size_t byte_count = (groups - group) * width < 4 ? 2 : 4;
    for (size_t c = 0; c < 16; c++) {
      const ptrdiff_t offset = (offsets[c] + (ptrdiff_t)group) * (ptrdiff_t)width;
      if (byte_count == 4) {
        memcpy(&words[0][c], (const char *)weights->scales + offset, 4);
        memcpy(&words[1][c], (const char *)weights->biases + offset, 4);
      } else {
        memcpy(&words[0][c], (const char *)weights->scales + offset, 2);
        memcpy(&words[1][c], (const char *)weights->biases + offset, 2);
      }
    }
    V scale = v_load((const float *)words[0]), bias = v_load((const float *)words[1]), high;
    if (element != FOVEA_FLOAT32) {
      // The scratch has room for an even number of groups.
      widen_pairs(scale, &scale, &high, element);
      v_store(scales + 16 * group + 16, high);
      widen_pairs(bias, &bias, &high, element);
      v_store(biases + 16 * group + 16, high);
    }
    v_store(scales + 16 * group, scale);
    v_store(biases + 16 * group, bias);
  }
}

// The scales and biases of 16 columns from `column` on, as [groups][16] float32; columns past the last repeat it. A row
// of the transposition is 32 bytes of scales, then 32 of biases.
static inline __attribute__((always_inline)) void transpose_scales_of(const fovea_quantized_linear *work,
                                                                      size_t column, float *scales, float *biases,
                                                                      const fovea_element element,
                                                                      const bool is_mxfp4) {
  const fovea_quantized_matrix *weights = &work->weights;
  const size_t groups = work->depth / weights->group_size, width = element == FOVEA_FLOAT32 ? 4 : 2;
  const size_t step = 32 / width;
  ptrdiff_t offsets[16];
  for (size_t c = 0; c < 16; c++)
    offsets[c] = (ptrdiff_t)held_column(work, column + c) * weights->scale_stride;
  for (size_t first = 0; first < groups; first += step) {
    const size_t count = groups - first < step ? groups - first : step;
    if (!is_mxfp4 && count * width <= 4 * MOST_SINGLE_WORDS) {
      move_scale_words(weights, offsets, first, groups, scales, biases, element);
      return;
    }
    const __mmask32 mask = (__mmask32)((1ull << (count * width)) - 1);
    V rows[16];
#pragma clang loop unroll(full)
    for (size_t c = 0; c < 16; c++) {
      ptrdiff_t offset = offsets[c] + (ptrdiff_t)first;
      __m256i low, high = _mm256_setzero_si256();
      // The next columns' scales are a stream of their own, too slow for the prefetchers.
      const ptrdiff_t ahead = offset + SCALE_PREFETCH_COLUMNS * weights->scale_stride;
      __builtin_prefetch((const char *)weights->scales + ahead * (ptrdiff_t)(is_mxfp4 ? 1 : width));
      if (!is_mxfp4) __builtin_prefetch((const char *)weights->biases + ahead * (ptrdiff_t)width);
      if (is_mxfp4) {
        low = _mm256_cvtepu8_epi16(_mm_maskz_loadu_epi8(first_lanes(count), (const uint8_t *)weights->scales + offset));
      } else {
        low = _mm256_maskz_loadu_epi8(mask, (const char *)weights->scales + offset * (ptrdiff_t)width);
        high = _mm256_maskz_loadu_epi8(mask, (const char *)weights->biases + offset * (ptrdiff_t)width);
      }
      rows[c] = _mm512_castsi512_ps(_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1));
    }
    v_transpose(rows);
    // Whole blocks are stored: the scratch has room for them.
    float *scale = scales + first * 16, *bias = biases + first * 16;
#pragma clang loop unroll(full)
    for (size_t i = 0; i < 8; i++) {
      if (element == FOVEA_FLOAT32) {
        v_store(scale + 16 * i, rows[i]);
        v_store(bias + 16 * i, rows[8 + i]);
        continue;
      }
      V low, high;
      if (is_mxfp4) {
        __m512i pairs = _mm512_castps_si512(rows[i]);
        low = power_of_two(_mm512_and_si512(pairs, _mm512_set1_epi32(0xFFFF)));
        high = power_of_two(_mm512_srli_epi32(pairs, 16));
        v_store(bias + 32 * i, v_mul(v_set1(-MXFP4_OFFSET), low));
        v_store(bias + 32 * i + 16, v_mul(v_set1(-MXFP4_OFFSET), high));
      } else {
        widen_pairs(rows[8 + i], &low, &high, element);
        v_store(bias + 32 * i, low);
        v_store(bias + 32 * i + 16, high);
        widen_pairs(rows[i], &low, &high, element);
      }
      v_store(scale + 32 * i, low);
      v_store(scale + 32 * i + 16, high);
    }
  }
}

static void transpose_scales(const fovea_quantized_linear *work, size_t column, float *scales, float *biases) {
  if (work->weights.kind == FOVEA_MXFP4) {
    transpose_scales_of(work, column, scales, biases, FOVEA_FLOAT16, true);
  } else if (work->weights.scale_element == FOVEA_FLOAT32) {
    transpose_scales_of(work, column, scales, biases, FOVEA_FLOAT32, false);
  } else if (work->weights.scale_element == FOVEA_BFLOAT16) {
    transpose_scales_of(work, column, scales, biases, FOVEA_BFLOAT16, false);
  } else {
    transpose_scales_of(work, column, scales, biases, FOVEA_FLOAT16, false);
  }
}

// total + one block's share.
static inline V add_block(__m512i dots, V weight_scale, float activation_scale, V total) {
  return v_fma(_mm512_cvtepi32_ps(dots), v_mul(weight_scale, v_set1(activation_scale)), total);
}

static inline void store_outputs(const fovea_quantized_linear *work, size_t row, size_t column, V total) {
  size_t count = work->column_count - column < 16 ? work->column_count - column : 16;
  float *out = work->outputs + (ptrdiff_t)row * work->output_stride + column;
  if (work->bias) total = v_add(total, v_load_first(work->bias + column, count));
  if (work->accumulates) total = v_add(v_load_first(out, count), total);
  v_store_first(out, total, count);
}

// Up to so many rows go by the weights as they lie; for more these are spread for tiles.
#define FEW_ROWS 4

#include "quantized_vnni_rows.h"
#include "quantized_vnni_tile.h"

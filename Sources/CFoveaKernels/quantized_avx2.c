// Products with quantised weights for AVX2, and the rounding of activations for them.
#if defined(__x86_64__)
#include "tables.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "quantized_bytes.h"

#define QUANTIZED_LINEAR fovea_quantized_linear_avx2
#define BYTE_DOT 0
#include "quantized_bytes_products.h"

static inline __m256 b_load_elements(const char *p, fovea_element element) {
  if (element == FOVEA_FLOAT32) return _mm256_loadu_ps((const float *)p);
  return b_widen(_mm_loadu_si128((const __m128i *)p), element);
}

static inline float b_max_across(__m256 x) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}

static void activation_codes_row(const fovea_activation_codes *work, size_t row) {
  const size_t blocks = work->depth / FOVEA_CODE_BLOCK, blocks_per_group = work->group_size / FOVEA_CODE_BLOCK;
  const size_t width = work->input_element == FOVEA_FLOAT32 ? 4 : 2;
  const char *inputs = (const char *)work->inputs + (ptrdiff_t)row * work->input_stride * (ptrdiff_t)width;
  int8_t *codes = work->codes + row * fovea_code_stride(work->depth);
  float *sums = work->sums + row * (blocks / blocks_per_group);
  const __m256 sign = _mm256_set1_ps(-0.0f);
  // Even bytes of each half to its lower 8, odd ones to the upper.
  const B split = _mm256_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15,  //
                                   0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
  for (size_t block = 0; block < blocks; block++) {
    __m256 x[4], maxima = _mm256_setzero_ps(), spoiled = _mm256_setzero_ps();
#pragma clang loop unroll(full)
    for (size_t i = 0; i < 4; i++) {
      x[i] = b_load_elements(inputs + (block * FOVEA_CODE_BLOCK + 8 * i) * width, work->input_element);
      maxima = _mm256_max_ps(maxima, _mm256_andnot_ps(sign, x[i]));
      // NaN where x is not finite.
      spoiled = _mm256_add_ps(spoiled, _mm256_mul_ps(x[i], _mm256_setzero_ps()));
    }
    const bool is_spoiled = _mm256_movemask_ps(_mm256_cmp_ps(spoiled, spoiled, _CMP_UNORD_Q)) != 0;
    const float maximum = is_spoiled ? 0 : b_max_across(maxima);
    float inverse, scale = block_scale(maximum, &inverse);
    B whole[4], sum = b_zero();
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) {
      whole[i] = is_spoiled ? b_zero() : _mm256_cvtps_epi32(_mm256_mul_ps(x[i], _mm256_set1_ps(inverse)));
      sum = _mm256_add_epi32(sum, whole[i]);
    }
    if (is_spoiled) scale = NAN;
    // Packing works in halves: their fours come out as 0, 4, 1, 5 and so on.
    B bytes = _mm256_packs_epi16(_mm256_packs_epi32(whole[0], whole[1]), _mm256_packs_epi32(whole[2], whole[3]));
    bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    if (work->bits == 4) bytes = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(bytes, split), 0xD8);
    _mm256_storeu_si256((B *)(codes + block * FOVEA_CODE_BLOCK), bytes);
    work->scales[row * blocks + block] = scale;
    add_block_sum(sums + block / blocks_per_group, block % blocks_per_group == 0, scale, b_sum_across(sum));
  }
}

void fovea_activation_codes_avx2(const fovea_activation_codes *work) {
  for (size_t row = 0; row < work->row_count; row++) activation_codes_row(work, row);
}
#pragma clang attribute pop
#endif

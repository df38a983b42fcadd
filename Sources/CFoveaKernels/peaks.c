// The peak loops of every instruction set, and the reading loop.
#include "include/fovea_peaks.h"
#include "tables.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define REGISTER "x"
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define NAME float32_avx2
#define V __m256
#define SET(x) _mm256_set1_ps(x)
#define MULTIPLY_ADD(a, x, y) _mm256_fmadd_ps(x, y, a)
#define OPERATIONS 16
#include "peak_template.h"

// The compiler would take the product, which is always the same, out of the loop.
static inline __attribute__((always_inline)) __m256i multiply_add_int16_avx2(__m256i a, __m256i x, __m256i y) {
  __m256i products;
  __asm__ volatile("vpmaddwd %2, %1, %0" : "=x"(products) : "x"(x), "x"(y));
  return _mm256_add_epi32(a, products);
}
#define NAME int16_avx2
#define V __m256i
#define SET(x) _mm256_set1_epi32(x)
#define MULTIPLY_ADD(a, x, y) multiply_add_int16_avx2(a, x, y)
#define OPERATIONS 32
#include "peak_template.h"
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx2,avxvnni"))), apply_to = function)
#define NAME int8_avx2
#define V __m256i
#define SET(x) _mm256_set1_epi32(x)
#define MULTIPLY_ADD(a, x, y) _mm256_dpbusd_avx_epi32(a, x, y)
#define OPERATIONS 64
#include "peak_template.h"

#define NAME int16_avxvnni
#define V __m256i
#define SET(x) _mm256_set1_epi32(x)
#define MULTIPLY_ADD(a, x, y) _mm256_dpwssd_avx_epi32(a, x, y)
#define OPERATIONS 32
#include "peak_template.h"
#pragma clang attribute pop
#undef REGISTER

#define REGISTER "v"
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512bf16,avx512vnni"))), apply_to = function)
#define NAME float32_avx512
#define V __m512
#define SET(x) _mm512_set1_ps(x)
#define MULTIPLY_ADD(a, x, y) _mm512_fmadd_ps(x, y, a)
#define OPERATIONS 32
#include "peak_template.h"

#define NAME bfloat16_avx512
#define V __m512
#define SET(x) _mm512_set1_ps(x)
#define OPERAND __m512bh
#define OPERANDS(x) (__m512bh) _mm512_set1_epi32(x)
#define MULTIPLY_ADD(a, x, y) _mm512_dpbf16_ps(a, x, y)
#define OPERATIONS 64
#include "peak_template.h"

#define NAME int8_avx512
#define V __m512i
#define SET(x) _mm512_set1_epi32(x)
#define MULTIPLY_ADD(a, x, y) _mm512_dpbusd_epi32(a, x, y)
#define OPERATIONS 128
#include "peak_template.h"

#define NAME int16_avx512vnni
#define V __m512i
#define SET(x) _mm512_set1_epi32(x)
#define MULTIPLY_ADD(a, x, y) _mm512_dpwssd_epi32(a, x, y)
#define OPERATIONS 64
#include "peak_template.h"

static inline __attribute__((always_inline)) __m512i multiply_add_int16_avx512(__m512i a, __m512i x, __m512i y) {
  __m512i products;
  __asm__ volatile("vpmaddwd %2, %1, %0" : "=v"(products) : "v"(x), "v"(y));
  return _mm512_add_epi32(a, products);
}
#define NAME int16_avx512
#define V __m512i
#define SET(x) _mm512_set1_epi32(x)
#define MULTIPLY_ADD(a, x, y) multiply_add_int16_avx512(a, x, y)
#define OPERATIONS 64
#include "peak_template.h"
#pragma clang attribute pop
#undef REGISTER

fovea_peak_loop fovea_peak_loop_of(const fovea_kernels *kernels, fovea_peak peak) {
  if (kernels == &fovea_kernels_scalar || !fovea_kernels_supported(kernels)) return NULL;
  const bool is_wide = kernels != &fovea_kernels_avx2 && kernels != &fovea_kernels_avxvnni;
  switch (peak) {
    case FOVEA_PEAK_FLOAT32: return is_wide ? float32_avx512 : float32_avx2;
    case FOVEA_PEAK_BFLOAT16: return kernels == &fovea_kernels_avx512bf16 ? bfloat16_avx512 : NULL;
    case FOVEA_PEAK_INT8:
      if (kernels == &fovea_kernels_avxvnni) return int8_avx2;
      return is_wide && kernels != &fovea_kernels_avx512 ? int8_avx512 : NULL;
    case FOVEA_PEAK_INT16:
      if (!is_wide) return kernels == &fovea_kernels_avxvnni ? int16_avxvnni : int16_avx2;
      return kernels == &fovea_kernels_avx512 ? int16_avx512 : int16_avx512vnni;
  }
  return NULL;
}

#elif defined(__aarch64__)
#include <arm_neon.h>

#define REGISTER "w"
#define NAME float32_neon
#define V float32x4_t
#define SET(x) vdupq_n_f32(x)
#define MULTIPLY_ADD(a, x, y) vfmaq_f32(a, x, y)
#define OPERATIONS 8
#include "peak_template.h"
#undef REGISTER

#define REGISTER "w"
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#define NAME int8_dotprod
#define V int32x4_t
#define SET(x) vdupq_n_s32(x)
#define OPERAND int8x16_t
#define OPERANDS(x) vdupq_n_s8(x)
#define MULTIPLY_ADD(a, x, y) vdotq_s32(a, x, y)
#define OPERATIONS 32
#include "peak_template.h"
#pragma clang attribute pop
#undef REGISTER

fovea_peak_loop fovea_peak_loop_of(const fovea_kernels *kernels, fovea_peak peak) {
  if (kernels == &fovea_kernels_scalar || !fovea_kernels_supported(kernels)) return NULL;
  if (peak == FOVEA_PEAK_INT8) return kernels == &fovea_kernels_dotprod ? int8_dotprod : NULL;
  return peak == FOVEA_PEAK_FLOAT32 ? float32_neon : NULL;
}

#else

fovea_peak_loop fovea_peak_loop_of(const fovea_kernels *kernels, fovea_peak peak) {
  (void)kernels;
  (void)peak;
  return NULL;
}

#endif

// Eight sums let loads overlap: 16 bytes a cycle are more than any memory delivers to one core.
static inline __attribute__((always_inline)) uint64_t read_memory(const uint64_t *words, size_t count,
                                                                  const bool asks_ahead) {
  uint64_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
  for (size_t i = 0; i < count; i += 8) {
    if (asks_ahead) {
      __builtin_prefetch(words + i + 4096 / 8);
      __builtin_prefetch(words + i + (4096 + 16384) / 8, 0, 2);
    }
    a += words[i], b += words[i + 1], c += words[i + 2], d += words[i + 3];
    e += words[i + 4], f += words[i + 5], g += words[i + 6], h += words[i + 7];
  }
  return a + b + c + d + e + f + g + h;
}

uint64_t fovea_read_memory(const void *bytes, size_t byte_count, bool asks_ahead) {
  return asks_ahead ? read_memory(bytes, byte_count / 8, true) : read_memory(bytes, byte_count / 8, false);
}

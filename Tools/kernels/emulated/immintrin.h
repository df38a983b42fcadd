// <immintrin.h> for a machine without AVX-512, AVX-VNNI and their kin: SIMDe computes those instructions by others, and
// what SIMDe 0.7.4 lacks of them is written here, lane by lane. Slow; for `run avx512` only.
#ifndef EMULATED_IMMINTRIN_H
#define EMULATED_IMMINTRIN_H
#include_next <immintrin.h>

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <math.h>
#include <simde/x86/avx512.h>
#include <stdint.h>
#include <string.h>

// Macros with parameters would not be found where the kernels hand on a function's name.
#undef _mm512_add_epi32
#define _mm512_add_epi32 simde_mm512_add_epi32
#undef _mm512_madd_epi16
#define _mm512_madd_epi16 simde_mm512_madd_epi16

#define EMULATED static inline __attribute__((always_inline, unused))
typedef int16_t lanes_int16 __attribute__((vector_size(32)));
typedef int8_t lanes_int8 __attribute__((vector_size(16)));
typedef uint16_t lanes_uint16 __attribute__((vector_size(32)));
typedef uint32_t lanes_uint32 __attribute__((vector_size(64)));
typedef int32_t lanes_int32 __attribute__((vector_size(64)));
typedef int32_t lanes_int32x8 __attribute__((vector_size(32)));
typedef double lanes_double __attribute__((vector_size(64)));
typedef float lanes_float __attribute__((vector_size(64)));
typedef float lanes_floatx8 __attribute__((vector_size(32)));

// Loads and stores of the lanes of a mask touch no other memory.
#define EMULATED_MASKED_LOAD(name, vector, element, mask)              \
  EMULATED vector emulated_##name(mask lanes, const void *p) {         \
    element buffer[sizeof(vector) / sizeof(element)] = {0};            \
    for (size_t i = 0; i < sizeof(vector) / sizeof(element); i++)      \
      if (lanes >> i & 1) buffer[i] = ((const element *)p)[i];         \
    vector result;                                                     \
    memcpy(&result, buffer, sizeof result);                            \
    return result;                                                     \
  }
EMULATED_MASKED_LOAD(maskz_loadu_ps, __m512, float, uint16_t)
EMULATED_MASKED_LOAD(maskz_loadu_epi16, __m512i, int16_t, uint32_t)
EMULATED_MASKED_LOAD(maskz_loadu_epi8, __m512i, int8_t, uint64_t)
EMULATED_MASKED_LOAD(256_maskz_loadu_epi16, __m256i, int16_t, uint16_t)
EMULATED_MASKED_LOAD(256_maskz_loadu_epi8, __m256i, int8_t, uint32_t)
EMULATED_MASKED_LOAD(128_maskz_loadu_epi8, __m128i, int8_t, uint16_t)
#define _mm512_maskz_loadu_ps emulated_maskz_loadu_ps
#define _mm512_maskz_loadu_epi16 emulated_maskz_loadu_epi16
#define _mm512_maskz_loadu_epi8 emulated_maskz_loadu_epi8
#define _mm256_maskz_loadu_epi16 emulated_256_maskz_loadu_epi16
#define _mm256_maskz_loadu_epi8 emulated_256_maskz_loadu_epi8
#define _mm_maskz_loadu_epi8 emulated_128_maskz_loadu_epi8

EMULATED void emulated_mask_storeu_ps(void *p, uint16_t lanes, __m512 x) {
  for (int i = 0; i < 16; i++)
    if (lanes >> i & 1) ((float *)p)[i] = ((lanes_float)x)[i];
}
EMULATED void emulated_mask_storeu_epi16(void *p, uint16_t lanes, __m256i x) {
  for (int i = 0; i < 16; i++)
    if (lanes >> i & 1) ((int16_t *)p)[i] = ((lanes_int16)x)[i];
}
#define _mm512_mask_storeu_ps emulated_mask_storeu_ps
#define _mm256_mask_storeu_epi16 emulated_mask_storeu_epi16

// Comparisons.
#define EMULATED_COMPARISON(name, lanes, operator)                     \
  EMULATED uint16_t emulated_##name(__m512i a, __m512i b) {            \
    uint16_t mask = 0;                                                 \
    for (int i = 0; i < 16; i++)                                       \
      mask |= (uint16_t)((((lanes)a)[i] operator((lanes)b)[i]) << i);  \
    return mask;                                                       \
  }
EMULATED_COMPARISON(cmpeq_epu32_mask, lanes_uint32, ==)
EMULATED_COMPARISON(cmplt_epu32_mask, lanes_uint32, <)
EMULATED_COMPARISON(cmplt_epi32_mask, lanes_int32, <)
#define _mm512_cmpeq_epu32_mask emulated_cmpeq_epu32_mask
#define _mm512_cmplt_epu32_mask emulated_cmplt_epu32_mask
#define _mm512_cmplt_epi32_mask emulated_cmplt_epi32_mask

// Of the classes: 0x01 quiet NaN, 0x80 signalling NaN, 0x08 infinity, 0x10 its negative.
EMULATED uint16_t emulated_fpclass_ps_mask(__m512 x, int classes) {
  uint16_t mask = 0;
  for (int i = 0; i < 16; i++) {
    float lane = ((lanes_float)x)[i];
    bool is_in = (classes & 0x81 && lane != lane) || (classes & 0x08 && lane == INFINITY) ||
                 (classes & 0x10 && lane == -INFINITY);
    mask |= (uint16_t)(is_in << i);
  }
  return mask;
}
#define _mm512_fpclass_ps_mask emulated_fpclass_ps_mask

// Conversions.
#define EMULATED_CONVERSION(name, result, from, to, argument, count, value)       \
  EMULATED result emulated_##name(argument x) {                                   \
    to converted;                                                                 \
    for (int i = 0; i < count; i++) converted[i] = value(((from)x)[i]);           \
    return (result)converted;                                                     \
  }
#define EMULATED_SAME(x) (x)
EMULATED_CONVERSION(cvtepi32_epi16, __m256i, lanes_int32, lanes_int16, __m512i, 16, (int16_t))
EMULATED_CONVERSION(cvtepi32_epi8, __m128i, lanes_int32, lanes_int8, __m512i, 16, (int8_t))
EMULATED_CONVERSION(cvtepi32_ps, __m512, lanes_int32, lanes_float, __m512i, 16, (float))
EMULATED_CONVERSION(cvtepu16_epi32, __m512i, lanes_uint16, lanes_int32, __m256i, 16, EMULATED_SAME)
EMULATED_CONVERSION(cvtps_epi32, __m512i, lanes_float, lanes_int32, __m512, 16, (int32_t)nearbyintf)
EMULATED_CONVERSION(cvtps_pd, __m512d, lanes_floatx8, lanes_double, __m256, 8, EMULATED_SAME)
#define _mm512_cvtepi32_epi16 emulated_cvtepi32_epi16
#define _mm512_cvtepi32_epi8 emulated_cvtepi32_epi8
#define _mm512_cvtepi32_ps emulated_cvtepi32_ps
#define _mm512_cvtepu16_epi32 emulated_cvtepu16_epi32
#define _mm512_cvtps_epi32 emulated_cvtps_epi32
#define _mm512_cvtps_pd emulated_cvtps_pd

EMULATED __m512 emulated_join(__m256 low, __m256 high) {
  __m512 x;
  memcpy(&x, &low, 32);
  memcpy((char *)&x + 32, &high, 32);
  return x;
}
EMULATED __m256 emulated_half(__m512 x, int half) {
  __m256 part;
  memcpy(&part, (const char *)&x + 32 * half, 32);
  return part;
}
#define _mm512_extractf32x8_ps(x, half) emulated_half(x, half)
EMULATED __m512 emulated_cvtph_ps(__m256i x) {
  return emulated_join(
      _mm256_cvtph_ps(_mm256_extracti128_si256(x, 0)), _mm256_cvtph_ps(_mm256_extracti128_si256(x, 1)));
}
#define _mm512_cvtph_ps emulated_cvtph_ps
#define _mm512_cvtps_ph(x, rounding) \
  _mm256_set_m128i(_mm256_cvtps_ph(emulated_half(x, 1), rounding), _mm256_cvtps_ph(emulated_half(x, 0), rounding))
// To nearest, ties to even, subnormals as zeros, as the instruction does.
EMULATED __m256i emulated_cvtneps_pbh(__m512 x) {
  lanes_uint16 narrow;
  for (int i = 0; i < 16; i++) {
    uint32_t bits = ((lanes_uint32)x)[i];
    if ((bits & 0x7fffffff) > 0x7f800000) narrow[i] = (uint16_t)(bits >> 16 | 0x40);
    else if ((bits & 0x7f800000) == 0) narrow[i] = (uint16_t)(bits >> 16 & 0x8000);
    else narrow[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
  return (__m256i)narrow;
}
#define _mm512_cvtneps_pbh emulated_cvtneps_pbh

// Sums across lanes, in the order of the compilers' own.
EMULATED float emulated_reduce_add_ps(__m512 x) {
  __m256 half = _mm256_add_ps(emulated_half(x, 0), emulated_half(x, 1));
  __m128 quarter = _mm_add_ps(_mm256_extractf128_ps(half, 0), _mm256_extractf128_ps(half, 1));
  return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}
EMULATED double emulated_reduce_add_pd(__m512d x) {
  lanes_double d = (lanes_double)x;
  return ((d[0] + d[4]) + (d[2] + d[6])) + ((d[1] + d[5]) + (d[3] + d[7]));
}
EMULATED int32_t emulated_reduce_add_epi32(__m512i x) {
  uint32_t sum = 0;
  for (int i = 0; i < 16; i++) sum += ((lanes_uint32)x)[i];
  return (int32_t)sum;
}
EMULATED float emulated_reduce_max_ps(__m512 x) {
  float most = ((lanes_float)x)[0];
  for (int i = 1; i < 16; i++) most = most > ((lanes_float)x)[i] ? most : ((lanes_float)x)[i];
  return most;
}
#define _mm512_reduce_add_ps emulated_reduce_add_ps
#define _mm512_reduce_add_pd emulated_reduce_add_pd
#define _mm512_reduce_add_epi32 emulated_reduce_add_epi32
#define _mm512_reduce_max_ps emulated_reduce_max_ps

// Parts of 128 bits: the lower two of the result from a, the upper two from b.
EMULATED __m512 emulated_shuffle_f32x4(__m512 a, __m512 b, int parts) {
  lanes_float x;
  for (int i = 0; i < 16; i++) {
    int part = parts >> i / 4 * 2 & 3;
    x[i] = ((lanes_float)(i < 8 ? a : b))[part * 4 + i % 4];
  }
  return (__m512)x;
}
#define _mm512_shuffle_f32x4 emulated_shuffle_f32x4
EMULATED __m512i emulated_srai_epi32(__m512i x, unsigned count) { return (__m512i)((lanes_int32)x >> (int)count); }
#define _mm512_srai_epi32 emulated_srai_epi32

// Dot products of AVX-VNNI.
EMULATED __m256i emulated_dpwssd(__m256i sums, __m256i a, __m256i b) {
  return _mm256_add_epi32(sums, _mm256_madd_epi16(a, b));
}
EMULATED __m256i emulated_dpbusd(__m256i sums, __m256i a, __m256i b) {
  lanes_int32x8 result = (lanes_int32x8)sums;
  for (int i = 0; i < 32; i++) result[i / 4] += ((const uint8_t *)&a)[i] * ((const int8_t *)&b)[i];
  return (__m256i)result;
}
#define _mm256_dpwssd_avx_epi32 emulated_dpwssd
#define _mm256_dpbusd_avx_epi32 emulated_dpbusd
#endif

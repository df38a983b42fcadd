// Products with quantised weights on vectors of 32 bytes: what the products with and without a byte dot instruction share.
// The functions here are those of AVX2; 8 columns of weights are a vector of floats.
//
// The activations for codes of 4 bits lie apart in every block: the 16 of the lower halves of bytes, then the 16 of the
// upper ones. Other widths take the natural order.
#ifndef FOVEA_QUANTIZED_BYTES_H
#define FOVEA_QUANTIZED_BYTES_H

#include <immintrin.h>
#include "quantized.h"

#define VECTOR_COLUMNS 8
typedef __m256i B;

static inline B b_zero(void) { return _mm256_setzero_si256(); }
static inline B b_load(const void *p) { return _mm256_loadu_si256(p); }
// Keeps a sum in its register, and its additions in their order: the compiler would rather add up products first, of which
// there are more than registers.
static inline __attribute__((always_inline)) void b_keep(B *x) { __asm__("" : "+x"(*x)); }
static inline B b_low_nibbles(B bytes) { return _mm256_and_si256(bytes, _mm256_set1_epi8(15)); }
static inline B b_high_nibbles(B bytes) { return b_low_nibbles(_mm256_srli_epi16(bytes, 4)); }
static inline B b_mxfp4_codes(B nibbles) {
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)mxfp4_codes)), nibbles);
}

// The first `count` lanes of 8, which may be all.
static inline __m256i b_first_lanes(size_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

// rows[i] lane j becomes rows[j] lane i.
static inline void b_transpose(B rows[8]) {
  B pairs[8], quads[8];
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; i++) {
    pairs[2 * i] = _mm256_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
    pairs[2 * i + 1] = _mm256_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 2; i++) {
    quads[4 * i] = _mm256_unpacklo_epi64(pairs[4 * i], pairs[4 * i + 2]);
    quads[4 * i + 1] = _mm256_unpackhi_epi64(pairs[4 * i], pairs[4 * i + 2]);
    quads[4 * i + 2] = _mm256_unpacklo_epi64(pairs[4 * i + 1], pairs[4 * i + 3]);
    quads[4 * i + 3] = _mm256_unpackhi_epi64(pairs[4 * i + 1], pairs[4 * i + 3]);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; i++) {
    rows[i] = _mm256_permute2x128_si256(quads[i], quads[4 + i], 0x20);
    rows[4 + i] = _mm256_permute2x128_si256(quads[i], quads[4 + i], 0x31);
  }
}

static inline int32_t b_sum_across(B x) {
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1)));
}

// MARK: Scales

// Columns whose scales are asked for ahead: they are a stream of their own, too slow for the prefetchers.
#define SCALE_COLUMNS_AHEAD 16

static inline __m256 b_widen(__m128i halves, const fovea_element element) {
  if (element == FOVEA_FLOAT16) return _mm256_cvtph_ps(halves);
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

// `count` elements from `p` on, 8 or 4, in the lowest lanes.
static inline __attribute__((always_inline)) __m128i load_groups(const uint16_t *p, const int count) {
  return count == 8 ? _mm_loadu_si128((const __m128i *)p) : _mm_loadl_epi64((const __m128i *)p);
}

// `count` groups, 8 or 4, of 8 columns, whose elements begin at `base` and each `stride` further, to
// target[group][column].
static inline __attribute__((always_inline)) void transpose_groups(const uint16_t *base, ptrdiff_t stride,
                                                                   float *target, const int count,
                                                                   const fovea_element element) {
  B rows[4], pairs[4], quads[4];
  // Columns 0 to 3 in the lower half, 4 to 7 in the upper one.
#pragma clang loop unroll(full)
  for (int c = 0; c < 4; c++)
    rows[c] = _mm256_inserti128_si256(_mm256_castsi128_si256(load_groups(base + c * stride, count)),
                                      load_groups(base + (c + 4) * stride, count), 1);
  // The second half of each array belongs to groups 4 to 7.
#pragma clang loop unroll(full)
  for (int i = 0; i < 2; i++) {
    pairs[i] = _mm256_unpacklo_epi16(rows[2 * i], rows[2 * i + 1]);
    pairs[2 + i] = _mm256_unpackhi_epi16(rows[2 * i], rows[2 * i + 1]);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < count / 4; i++) {
    quads[2 * i] = _mm256_unpacklo_epi32(pairs[2 * i], pairs[2 * i + 1]);
    quads[2 * i + 1] = _mm256_unpackhi_epi32(pairs[2 * i], pairs[2 * i + 1]);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < count / 2; i++) {
    // Four columns of two groups in each half.
    __m256 first, second;
    if (element == FOVEA_BFLOAT16) {
      first = _mm256_castsi256_ps(_mm256_unpacklo_epi16(b_zero(), quads[i]));
      second = _mm256_castsi256_ps(_mm256_unpackhi_epi16(b_zero(), quads[i]));
    } else {
      const B groups = _mm256_permute4x64_epi64(quads[i], 0xD8);
      first = b_widen(_mm256_castsi256_si128(groups), element);
      second = b_widen(_mm256_extracti128_si256(groups, 1), element);
    }
    _mm256_storeu_ps(target + (2 * i) * VECTOR_COLUMNS, first);
    _mm256_storeu_ps(target + (2 * i + 1) * VECTOR_COLUMNS, second);
  }
}

// The same for all groups, four at least. The last four may overlap those before.
static inline __attribute__((always_inline)) void transpose_halves(const uint16_t *base, ptrdiff_t stride,
                                                                   size_t groups, float *target,
                                                                   const fovea_element element) {
  const char *ahead = (const char *)(base + SCALE_COLUMNS_AHEAD * stride);
  for (size_t i = 0; i < VECTOR_COLUMNS * groups * sizeof(uint16_t); i += 64) __builtin_prefetch(ahead + i);
  size_t first = 0;
  for (; first + 8 <= groups; first += 8)
    transpose_groups(base + first, stride, target + first * VECTOR_COLUMNS, 8, element);
  for (; first < groups; first += 4) {
    const size_t start = first + 4 <= groups ? first : groups - 4;
    transpose_groups(base + start, stride, target + start * VECTOR_COLUMNS, 4, element);
  }
}

// The scales and biases of 8 columns from `column` on, as [groups][8].
static void transpose_scales(const fovea_quantized_linear *work, size_t column, float *scales, float *biases) {
  const fovea_quantized_matrix *weights = &work->weights;
  const size_t groups = work->depth / weights->group_size;
  const bool has_halves = weights->kind != FOVEA_MXFP4 && weights->scale_element != FOVEA_FLOAT32;
  if (!has_halves || groups < 4 || column + VECTOR_COLUMNS > work->column_count) {
    transpose_singly(work, column, VECTOR_COLUMNS, scales, biases);
    return;
  }
  const void *bases[2] = {weights->scales, weights->biases};
  float *targets[2] = {scales, biases};
  for (int which = 0; which < 2; which++) {
    const uint16_t *base = (const uint16_t *)bases[which] + (ptrdiff_t)column * weights->scale_stride;
    if (weights->scale_element == FOVEA_FLOAT16)
      transpose_halves(base, weights->scale_stride, groups, targets[which], FOVEA_FLOAT16);
    else transpose_halves(base, weights->scale_stride, groups, targets[which], FOVEA_BFLOAT16);
  }
}

// MARK: Sums

// total + one block's share.
static inline __m256 b_add_block(B dots, __m256 weight_scale, float activation_scale, __m256 total) {
  return _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots), _mm256_mul_ps(weight_scale, _mm256_set1_ps(activation_scale)), total);
}

static inline void b_store_outputs(const fovea_quantized_linear *work, size_t row, size_t column, __m256 total) {
  if (column >= work->column_count) return;
  const __m256i lanes = b_first_lanes(work->column_count - column < 8 ? work->column_count - column : 8);
  float *out = work->outputs + (ptrdiff_t)row * work->output_stride + column;
  if (work->bias) total = _mm256_add_ps(total, _mm256_maskload_ps(work->bias + column, lanes));
  if (work->accumulates) total = _mm256_add_ps(_mm256_maskload_ps(out, lanes), total);
  _mm256_maskstore_ps(out, lanes, total);
}

// Lane 4 * q + c of the result is the sum of the lanes 4 * q … 4 * q + 3 of s[c].
static inline B b_add_quads(const B s[4]) {
  B ab = _mm256_add_epi32(_mm256_unpacklo_epi32(s[0], s[1]), _mm256_unpackhi_epi32(s[0], s[1]));
  B cd = _mm256_add_epi32(_mm256_unpacklo_epi32(s[2], s[3]), _mm256_unpackhi_epi32(s[2], s[3]));
  return _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
}

#endif

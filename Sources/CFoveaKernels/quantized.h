// Reading quantised weights one at a time; private to this module.
#ifndef FOVEA_QUANTIZED_CODES_H
#define FOVEA_QUANTIZED_CODES_H

#include <math.h>
#include <string.h>

#include "include/fovea_quantized.h"

static inline float quantized_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline float element_value(const void *base, fovea_element element, size_t index) {
  if (element == FOVEA_FLOAT32) return ((const float *)base)[index];
  uint16_t bits = ((const uint16_t *)base)[index];
  if (element == FOVEA_BFLOAT16) return quantized_float((uint32_t)bits << 16);
  uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 0x1F, fraction = bits & 0x3FF;
  if (exponent == 0) return (float)fraction * (sign ? -0x1p-24f : 0x1p-24f);
  if (exponent == 31) return quantized_float(sign | 0x7F800000 | fraction << 13);
  return quantized_float(sign | (exponent + 112) << 23 | fraction << 13);
}

// Codes of 4-bit floats stand for (code - 12) / 2 of their value.
#define MXFP4_OFFSET 12
static const uint8_t mxfp4_codes[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

// Half of 2^(exponent - 127); NaN for 255.
static inline float mxfp4_scale(uint8_t exponent) {
  if (exponent == 255) return quantized_float(0x7FC00000);
  return exponent < 2 ? quantized_float(0x00200000u << exponent) : quantized_float((uint32_t)(exponent - 1) << 23);
}

static inline float weight_scale(const fovea_quantized_matrix *weights, size_t row, size_t group) {
  ptrdiff_t offset = (ptrdiff_t)row * weights->scale_stride + (ptrdiff_t)group;
  if (weights->kind == FOVEA_MXFP4) return mxfp4_scale(((const uint8_t *)weights->scales)[offset]);
  return element_value(weights->scales, weights->scale_element, (size_t)offset);
}

static inline float weight_bias(const fovea_quantized_matrix *weights, size_t row, size_t group) {
  if (weights->kind == FOVEA_MXFP4) return -MXFP4_OFFSET * weight_scale(weights, row, group);
  ptrdiff_t offset = (ptrdiff_t)row * weights->scale_stride + (ptrdiff_t)group;
  return element_value(weights->biases, weights->scale_element, (size_t)offset);
}

// The codes [first, first + count) of a row, one a byte; `first` is a multiple of 8.
static inline void unpack_codes(const fovea_quantized_matrix *weights, size_t row, size_t first, size_t count,
                                uint8_t *codes) {
  const unsigned bits = weights->bits;
  const uint8_t *p = weights->codes + (ptrdiff_t)row * weights->code_stride + first * bits / 8;
  if (bits == 8) {
    memcpy(codes, p, count);
    return;
  }
  if (bits == 4) {
    for (size_t i = 0; i < count; i++) {
      uint8_t code = i % 2 == 0 ? p[i / 2] & 15 : p[i / 2] >> 4;
      codes[i] = weights->kind == FOVEA_MXFP4 ? mxfp4_codes[code] : code;
    }
    return;
  }
  // Eight codes are as many bytes as a code has bits.
  for (size_t i = 0; i < count; i += 8, p += bits) {
    uint64_t stream = 0;
    memcpy(&stream, p, bits);
    for (size_t j = 0; j < 8 && i + j < count; j++) codes[i + j] = (uint8_t)(stream >> (j * bits) & ((1u << bits) - 1));
  }
}

// The scale of a block of activations whose largest magnitude is `maximum`, and what they are multiplied with. The inverse
// of a tiny maximum overflows: such a block counts as zero.
static inline float block_scale(float maximum, float *inverse) {
  *inverse = maximum > 0 ? 127 / maximum : 0;
  if (!__builtin_isinf(*inverse)) return maximum / 127;
  *inverse = 0;
  return 0;
}

// Adds a block whose codes sum to `sum` to those of its group before it.
static inline void add_block_sum(float *group_sum, bool is_first, float scale, int32_t sum) {
  *group_sum = is_first ? scale * (float)sum : fmaf(scale, (float)sum, *group_sum);
}

// How far ahead codes are asked for, as one stream, where a few columns, whose rows follow each other, are read side by side:
// the last column is met that many rows before its place in the stream.
static inline size_t bytes_ahead(const fovea_quantized_linear *work, size_t columns_side_by_side) {
  return (columns_side_by_side - 1) * (work->depth * work->weights.bits / 8) + 3072;
}

// Floats that the scales of so many columns take side by side, in blocks of 16 groups; the biases take as many.
static inline size_t scale_float_count(const fovea_quantized_linear *work, size_t column_count) {
  return (work->depth / work->weights.group_size + 15) / 16 * 16 * column_count;
}

// Whether kernels have products of single rows with codes of this width.
static inline bool has_row_products(const fovea_quantized_matrix *weights) {
  return weights->bits == 4 || weights->bits == 8;
}

// The column itself, or the last one for what is past it: vectors of columns are full, and not all of them are stored.
static inline size_t held_column(const fovea_quantized_linear *work, size_t column) {
  return column < work->column_count ? column : work->column_count - 1;
}

// The scales and biases of a vector of columns from `column` on, as [groups][columns], one by one: what the kernels do for
// forms that are rare or short.
static inline void transpose_singly(const fovea_quantized_linear *work, size_t column, size_t columns, float *scales,
                                    float *biases) {
  const fovea_quantized_matrix *weights = &work->weights;
  for (size_t group = 0; group < work->depth / weights->group_size; group++)
    for (size_t c = 0; c < columns; c++) {
      const size_t row = held_column(work, column + c);
      scales[group * columns + c] = weight_scale(weights, row, group);
      biases[group * columns + c] = weight_bias(weights, row, group);
    }
}

#endif

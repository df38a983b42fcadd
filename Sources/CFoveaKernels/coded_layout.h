// Where the parts of a block of coded keys and values lie; private to this module.
#ifndef FOVEA_CODED_LAYOUT_H
#define FOVEA_CODED_LAYOUT_H

#include "include/fovea_kernels.h"

// Positions, or dimensions, that lie side by side.
#define CODED_LANES 16

static inline size_t coded_dimension(const fovea_code_format *format) { return (format->dimension + 15) / 16 * 16; }
// Groups of dimensions.
static inline size_t coded_groups(const fovea_code_format *format) {
  return (format->dimension + format->group_size - 1) / format->group_size;
}
// Numbers in 32 bits.
static inline size_t codes_per_word(const fovea_code_format *format) { return 32 / format->bits; }

// The codes of the keys, or of the values.
static inline size_t coded_byte_count(const fovea_code_format *format) {
  return FOVEA_KEY_BLOCK * coded_dimension(format) * format->bits / 8;
}
static inline size_t key_code_offset(const fovea_code_format *format) {
  return FOVEA_KEY_BLOCK / format->group_size * coded_dimension(format) * sizeof(uint32_t);
}
static inline size_t value_scale_offset(const fovea_code_format *format) {
  return key_code_offset(format) + coded_byte_count(format);
}
static inline size_t value_code_offset(const fovea_code_format *format) {
  return value_scale_offset(format) + FOVEA_KEY_BLOCK * coded_groups(format) * sizeof(uint32_t);
}

// Inside the codes of keys, the byte of a dimension of a position. `*is_high` says whether it is the upper half.
static inline size_t key_byte(const fovea_code_format *format, size_t position, size_t dimension, bool *is_high) {
  const size_t per_word = codes_per_word(format);
  const size_t words = coded_dimension(format) / per_word;
  size_t word = (position / CODED_LANES * words + dimension / per_word) * CODED_LANES + position % CODED_LANES;
  *is_high = dimension % per_word >= 4;
  return 4 * word + dimension % 4;
}
static inline size_t value_byte(const fovea_code_format *format, size_t position, size_t dimension, bool *is_high) {
  const size_t per_word = codes_per_word(format);
  *is_high = position % per_word >= 4;
  return 4 * (position / per_word * coded_dimension(format) + dimension) + position % 4;
}
static inline size_t key_scale_index(const fovea_code_format *format, size_t position, size_t dimension) {
  return position / format->group_size * coded_dimension(format) + dimension;
}
static inline size_t value_scale_index(const fovea_code_format *format, size_t position, size_t dimension) {
  return dimension / format->group_size * FOVEA_KEY_BLOCK + position;
}

static inline float coded_float(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}
// The number that a byte stands for.
static inline float coded_number(const fovea_code_format *format, uint8_t byte, bool is_high, uint32_t pair) {
  unsigned code = format->bits == 8 ? byte : is_high ? byte >> 4 : byte & 15;
  return __builtin_fmaf(coded_float(pair & 0xFFFF0000), (float)code, coded_float(pair << 16));
}

#endif

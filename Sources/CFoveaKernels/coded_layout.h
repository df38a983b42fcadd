// Where the parts of a block of coded keys and values lie; private to this module.
#ifndef FOVEA_CODED_LAYOUT_H
#define FOVEA_CODED_LAYOUT_H

#include "include/fovea_kernels.h"

// Positions, or dimensions, that lie side by side.
#define CODED_LANES 16

static inline size_t coded_dimension(const fovea_code_format *format) { return (format->dimension + 15) / 16 * 16; }
static inline size_t coded_groups(const fovea_code_format *format) {
  return (format->dimension + format->group_size - 1) / format->group_size;
}
// Numbers in 32 bits.
static inline size_t codes_per_word(const fovea_code_format *format) { return 32 / format->bits; }
// One past the last dimension of a group, the padding included.
static inline size_t coded_group_end(const fovea_code_format *format, size_t group) {
  size_t end = (group + 1) * format->group_size, dimension = coded_dimension(format);
  return end < dimension ? end : dimension;
}

// The codes of the keys, or of the values.
static inline size_t coded_byte_count(const fovea_code_format *format) {
  return FOVEA_KEY_BLOCK * coded_dimension(format) * format->bits / 8;
}
static inline size_t coded_scale_byte_count(const fovea_code_format *format) {
  return FOVEA_KEY_BLOCK * coded_groups(format) * sizeof(uint32_t);
}
static inline size_t key_scale_offset(const fovea_code_format *format) { return coded_byte_count(format); }
static inline size_t value_scale_offset(const fovea_code_format *format) {
  return key_scale_offset(format) + coded_scale_byte_count(format);
}
static inline size_t value_code_offset(const fovea_code_format *format) {
  return value_scale_offset(format) + coded_scale_byte_count(format);
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

static inline size_t key_scale_index(const fovea_code_format *format, size_t position, size_t group) {
  return (position / CODED_LANES * coded_groups(format) + group) * CODED_LANES + position % CODED_LANES;
}
static inline size_t value_scale_index(size_t position, size_t group) { return group * FOVEA_KEY_BLOCK + position; }

static inline float coded_float(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}
static inline float coded_scale(uint32_t pair) { return coded_float(pair & 0xFFFF0000); }
static inline float coded_bias(uint32_t pair) { return coded_float(pair << 16); }

#endif

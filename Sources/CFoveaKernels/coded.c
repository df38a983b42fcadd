// Sizes of coded blocks, and reading their numbers one by one.
#include "coded_layout.h"

size_t fovea_coded_block_byte_count(const fovea_code_format *format) {
  return (value_code_offset(format) + coded_byte_count(format) + 63) / 64 * 64;
}
size_t fovea_coded_dimension(const fovea_code_format *format) { return coded_dimension(format); }

size_t fovea_coded_scratch_byte_count(const fovea_code_format *format) {
  // Scores of a step of rows and products of one, of keys or of dimensions; the queries of the step in two halves, and for
  // each row and group of values a factor, a sum, and weights in two halves. The reference holds scores of one row in
  // double precision.
  const size_t dimension = coded_dimension(format);
  const size_t products = dimension > FOVEA_KEY_BLOCK ? dimension : FOVEA_KEY_BLOCK;
  const size_t floats = FOVEA_CODED_ROW_STEP * FOVEA_KEY_BLOCK + products + FOVEA_CODED_ROW_STEP * 2 * coded_groups(format);
  return floats * sizeof(float) +
         FOVEA_CODED_ROW_STEP * (2 * dimension + coded_groups(format) * 2 * FOVEA_KEY_BLOCK);
}

void fovea_decode_position(const fovea_code_format *format, const void *block, size_t position, float *key,
                           float *value) {
  const uint8_t *base = block, *keys = base + key_code_offset(format), *values = base + value_code_offset(format);
  const uint32_t *key_pairs = block, *value_pairs = (const uint32_t *)(base + value_scale_offset(format));
  for (size_t i = 0; i < format->dimension; i++) {
    bool is_high;
    uint8_t byte = keys[key_byte(format, position, i, &is_high)];
    key[i] = coded_number(format, byte, is_high, key_pairs[key_scale_index(format, position, i)]);
    byte = values[value_byte(format, position, i, &is_high)];
    value[i] = coded_number(format, byte, is_high, value_pairs[value_scale_index(format, position, i)]);
  }
}

// Sizes of coded blocks, and reading their numbers one by one.
#include "coded_layout.h"

static size_t round_up(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

size_t fovea_coded_block_byte_count(const fovea_code_format *format) {
  return round_up(2 * (coded_byte_count(format) + coded_scale_byte_count(format)), 64);
}
size_t fovea_coded_group_count(const fovea_code_format *format) { return coded_groups(format); }
size_t fovea_coded_dimension(const fovea_code_format *format) { return coded_dimension(format); }

size_t fovea_coded_scratch_byte_count(const fovea_code_format *format) {
  // Scores of a step of rows and products of one; for each row and group a factor, a sum, and weights in two halves. The
  // reference holds one row of scores in double precision.
  const size_t scores = (FOVEA_CODED_ROW_STEP + 1) * FOVEA_KEY_BLOCK * sizeof(float);
  return scores + FOVEA_CODED_ROW_STEP * coded_groups(format) * (2 * sizeof(float) + 2 * FOVEA_KEY_BLOCK);
}

void fovea_decode_position(const fovea_code_format *format, const void *block, size_t position, float *key,
                           float *value) {
  const uint8_t *keys = block, *values = keys + value_code_offset(format);
  const uint32_t *key_scales = (const uint32_t *)(keys + key_scale_offset(format));
  const uint32_t *value_scales = (const uint32_t *)(keys + value_scale_offset(format));
  for (size_t i = 0; i < format->dimension; i++) {
    const size_t group = i / format->group_size;
    const uint32_t key_pair = key_scales[key_scale_index(format, position, group)];
    const uint32_t value_pair = value_scales[value_scale_index(position, group)];
    bool is_high;
    unsigned key_code = keys[key_byte(format, position, i, &is_high)];
    if (format->bits == 4) key_code = is_high ? key_code >> 4 : key_code & 15;
    unsigned value_code = values[value_byte(format, position, i, &is_high)];
    if (format->bits == 4) value_code = is_high ? value_code >> 4 : value_code & 15;
    key[i] = __builtin_fmaf(coded_scale(key_pair), (float)key_code, coded_bias(key_pair));
    value[i] = __builtin_fmaf(coded_scale(value_pair), (float)value_code, coded_bias(value_pair));
  }
}

// Rounding of keys, values and queries to codes, in plain loops that the compiler turns into what the instruction set
// has: a token's are few beside the cache that it reads.
#include <math.h>
#include <string.h>

#include "coded_layout.h"
#include "quantized.h"

static inline uint32_t float_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
// The next bfloat16 towards negative and towards positive infinity.
static inline float bfloat16_below(float x) {
  uint32_t bits = float_bits(x), cut = bits & 0xFFFF0000;
  return coded_float(x < 0 && cut != bits ? cut + 0x10000 : cut);
}
static inline float bfloat16_above(float x) { return -bfloat16_below(-x); }

// The codes of one group, a byte each; returns its scale and bias as they are stored.
static inline uint32_t round_group(const float *x, size_t count, unsigned bits, uint8_t *codes) {
  float minimum = INFINITY, maximum = -INFINITY;
  bool is_spoiled = false;
  for (size_t i = 0; i < count; i++) {
    minimum = x[i] < minimum ? x[i] : minimum;
    maximum = x[i] > maximum ? x[i] : maximum;
    is_spoiled |= !(fabsf(x[i]) <= 1e38f);
  }
  if (is_spoiled) {
    memset(codes, 0, count);
    return 0x7FC07FC0;
  }
  const float levels = (float)((1u << bits) - 1);
  float bias = bfloat16_below(minimum), scale = bfloat16_above((maximum - bias) / levels);
  // The inverse of a tiny scale overflows: such a group is its minimum.
  float inverse = 1 / scale;
  if (!(inverse <= 1e38f)) scale = inverse = 0;
  for (size_t i = 0; i < count; i++) {
    float code = nearbyintf((x[i] - bias) * inverse);
    codes[i] = (uint8_t)(code < levels ? code : levels);
  }
  return float_bits(scale) | float_bits(bias) >> 16;
}

static inline void put_code(uint8_t *byte, uint8_t code, unsigned bits, bool is_high) {
  if (bits == 8) *byte = code;
  else *byte = is_high ? (uint8_t)((*byte & 0x0F) | code << 4) : (uint8_t)((*byte & 0xF0) | code);
}

static void code_position(const fovea_coded_position *work) {
  const fovea_code_format *format = &work->format;
  uint8_t *block = work->block, *values = block + value_code_offset(format);
  uint32_t *key_scales = (uint32_t *)(block + key_scale_offset(format));
  uint32_t *value_scales = (uint32_t *)(block + value_scale_offset(format));
  for (size_t group = 0; group < coded_groups(format); group++) {
    const size_t first = group * format->group_size, end = coded_group_end(format, group);
    // Groups are worked on in parts of a size that is known here; `count` leaves the padding at code 0.
    const size_t count = (end < format->dimension ? end : format->dimension) - first;
    uint8_t key_codes[FOVEA_CODED_GROUP_LIMIT] = {0}, value_codes[FOVEA_CODED_GROUP_LIMIT] = {0};
    key_scales[key_scale_index(format, work->position, group)] =
        round_group(work->key + first, count, format->bits, key_codes);
    value_scales[value_scale_index(work->position, group)] =
        round_group(work->value + first, count, format->bits, value_codes);
    for (size_t i = first; i < end; i++) {
      bool is_high;
      uint8_t *key = block + key_byte(format, work->position, i, &is_high);
      put_code(key, key_codes[i - first], format->bits, is_high);
      uint8_t *value = values + value_byte(format, work->position, i, &is_high);
      put_code(value, value_codes[i - first], format->bits, is_high);
    }
  }
}

static void query_codes(const fovea_query_codes *work) {
  const fovea_code_format *format = &work->format;
  const size_t groups = coded_groups(format), padded = coded_dimension(format);
  for (size_t row = 0; row < work->row_count; row++) {
    int8_t *codes = work->codes + row * padded;
    const size_t start = (size_t)((ptrdiff_t)row * work->stride);
    for (size_t group = 0; group < groups; group++) {
      const size_t first = group * format->group_size, end = coded_group_end(format, group);
      const size_t last = end < format->dimension ? end : format->dimension;
      float maximum = 0;
      bool is_spoiled = false;
      for (size_t i = first; i < last; i++) {
        float magnitude = fabsf(element_value(work->queries, work->element, start + i));
        maximum = magnitude > maximum ? magnitude : maximum;
        is_spoiled |= !(magnitude < INFINITY);
      }
      float scale = maximum / 127, inverse = 127 / maximum;
      // The inverse of a tiny maximum overflows: such a group counts as zero.
      if (is_spoiled || !(inverse <= 1e38f)) scale = inverse = 0;
      int32_t sum = 0;
      for (size_t i = first; i < end; i++) {
        float x = i < last && !is_spoiled ? element_value(work->queries, work->element, start + i) : 0;
        codes[i] = (int8_t)nearbyintf(x * inverse);
        sum += codes[i];
      }
      work->scales[row * groups + group] = is_spoiled ? NAN : scale;
      work->sums[row * groups + group] = (float)sum;
    }
  }
}

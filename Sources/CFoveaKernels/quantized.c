// Quantised weights one at a time: what every instruction set shares.
#include "quantized.h"

#include <math.h>

#include "include/fovea_kernels.h"

static size_t round_up(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

size_t fovea_code_stride(size_t depth) { return round_up(depth, 128); }

size_t fovea_quantized_scratch_byte_count(size_t depth) {
  // The codes of 32 columns as bytes; the scales and biases of as many, in blocks of 16 groups. Groups are no smaller
  // than a code block. What other layouts take is less.
  size_t groups = round_up(depth / FOVEA_CODE_BLOCK, 16);
  return fovea_code_stride(depth) * 32 + 2 * 32 * groups * sizeof(float);
}

void fovea_dequantize_row(const fovea_quantized_matrix *weights, size_t row, size_t depth, float *outputs) {
  uint8_t codes[256];
  for (size_t first = 0; first < depth; first += sizeof codes) {
    size_t count = depth - first < sizeof codes ? depth - first : sizeof codes;
    unpack_codes(weights, row, first, count, codes);
    for (size_t i = 0; i < count; i++) {
      size_t group = (first + i) / weights->group_size;
      outputs[first + i] =
          fmaf(weight_scale(weights, row, group), (float)codes[i], weight_bias(weights, row, group));
    }
  }
}

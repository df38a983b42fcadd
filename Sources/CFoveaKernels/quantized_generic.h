// Products with quantised weights in plain loops, which the compiler turns into what the instruction set has; the
// definition that the hand-written kernels are compared with.
#include "quantized.h"

static void activation_codes(const fovea_activation_codes *work) {
  const size_t blocks = work->depth / FOVEA_CODE_BLOCK, blocks_per_group = work->group_size / FOVEA_CODE_BLOCK;
  for (size_t row = 0; row < work->row_count; row++) {
    int8_t *codes = work->codes + row * fovea_code_stride(work->depth);
    float *sums = work->sums + row * (blocks / blocks_per_group);
    for (size_t block = 0; block < blocks; block++) {
      float x[FOVEA_CODE_BLOCK], maximum = 0, spoiled = 0;
      size_t first = (size_t)((ptrdiff_t)row * work->input_stride) + block * FOVEA_CODE_BLOCK;
      for (size_t i = 0; i < FOVEA_CODE_BLOCK; i++) {
        x[i] = element_value(work->inputs, work->input_element, first + i);
        maximum = fabsf(x[i]) > maximum ? fabsf(x[i]) : maximum;
        spoiled += x[i] * 0;
      }
      // What is not a number, or not finite, makes the whole block NaN.
      if (spoiled != spoiled) maximum = 0;
      float inverse, scale = block_scale(maximum, &inverse);
      int32_t sum = 0;
      for (size_t i = 0; i < FOVEA_CODE_BLOCK; i++) {
        int32_t code = spoiled != spoiled ? 0 : (int32_t)nearbyintf(x[i] * inverse);
        codes[block * FOVEA_CODE_BLOCK + i] = (int8_t)code;
        sum += code;
      }
      if (spoiled != spoiled) scale = NAN;
      work->scales[row * blocks + block] = scale;
      add_block_sum(sums + block / blocks_per_group, block % blocks_per_group == 0, scale, sum);
    }
  }
}

static void quantized_linear(const fovea_quantized_linear *work) {
  const fovea_quantized_matrix *weights = &work->weights;
  const size_t blocks = work->depth / FOVEA_CODE_BLOCK, groups = work->depth / weights->group_size;
  const size_t blocks_per_group = weights->group_size / FOVEA_CODE_BLOCK;
  uint8_t *codes = work->scratch;
  float *scales = (float *)(codes + fovea_code_stride(work->depth)), *biases = scales + groups;
  for (size_t column = 0; column < work->column_count; column++) {
    unpack_codes(weights, column, 0, work->depth, codes);
    for (size_t group = 0; group < groups; group++) {
      scales[group] = weight_scale(weights, column, group);
      biases[group] = weight_bias(weights, column, group);
    }
    for (size_t row = 0; row < work->row_count; row++) {
      const int8_t *x = work->codes + row * fovea_code_stride(work->depth);
      float total = 0, bias_total = 0;
      for (size_t group = 0; group < groups; group++) {
        for (size_t block = group * blocks_per_group; block < (group + 1) * blocks_per_group; block++) {
          int32_t sum = 0;
          for (size_t i = block * FOVEA_CODE_BLOCK; i < (block + 1) * FOVEA_CODE_BLOCK; i++)
            sum += (int32_t)codes[i] * x[i];
          total = fmaf((float)sum, scales[group] * work->scales[row * blocks + block], total);
        }
        bias_total = fmaf(biases[group], work->sums[row * groups + group], bias_total);
      }
      total += bias_total;
      if (work->bias) total += work->bias[column];
      float *out = work->outputs + (ptrdiff_t)row * work->output_stride + column;
      *out = work->accumulates ? *out + total : total;
    }
  }
}

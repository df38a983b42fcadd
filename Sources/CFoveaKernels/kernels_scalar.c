// The reference: plain loops that every other table is tested against, and the fallback for any CPU.
//
// Sums run in double precision, so that a vector kernel's difference from these is its own rounding error.
#include <math.h>
#include <string.h>

#include "tables.h"

#pragma STDC FP_CONTRACT OFF

#include "quantized_generic.h"
#include "coded_rounding.h"

static float from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static uint32_t to_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static float widen_f16(uint16_t bits) {
  uint32_t sign = (uint32_t)(bits & 0x8000) << 16, magnitude = bits & 0x7FFF;
  if (magnitude >= 0x7C00) return from_bits(sign | 0x7F800000 | (magnitude & 0x3FF) << 13);
  // 2^112 moves the exponent from float16's bias to float32's, subnormals included.
  float value = from_bits(magnitude << 13) * from_bits((127u + 112u) << 23);
  return sign ? -value : value;
}

static uint16_t narrow_f16(float value) {
  uint32_t bits = to_bits(value), magnitude = bits & 0x7FFFFFFF;
  uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
  if (magnitude > 0x7F800000) return sign | 0x7E00;
  if (magnitude >= 0x47800000) return sign | 0x7C00;
  // Subnormal: the sum with 0.5 has float16's smallest step as its last place, so it is rounded once.
  if (magnitude < 0x38800000) return (uint16_t)(sign | (to_bits(from_bits(magnitude) + 0.5f) - to_bits(0.5f)));
  return (uint16_t)(sign | (magnitude + 0xFFF + (magnitude >> 13 & 1) - 0x38000000) >> 13);
}

static uint16_t narrow_bf16(float value) {
  uint32_t bits = to_bits(value);
  if (value != value) return (uint16_t)(bits >> 16 | 0x0040);
  return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static float load(const void *base, fovea_element element, ptrdiff_t index) {
  switch (element) {
    case FOVEA_FLOAT32: return ((const float *)base)[index];
    case FOVEA_FLOAT16: return widen_f16(((const uint16_t *)base)[index]);
    case FOVEA_BFLOAT16: return from_bits((uint32_t)((const uint16_t *)base)[index] << 16);
  }
  return 0;
}

static void store(void *base, fovea_element element, ptrdiff_t index, float value) {
  switch (element) {
    case FOVEA_FLOAT32: ((float *)base)[index] = value; break;
    case FOVEA_FLOAT16: ((uint16_t *)base)[index] = narrow_f16(value); break;
    case FOVEA_BFLOAT16: ((uint16_t *)base)[index] = narrow_bf16(value); break;
  }
}

static void linear(const fovea_linear *work, fovea_element activation, fovea_element weight) {
  for (size_t row = 0; row < work->row_count; row++) {
    for (size_t column = 0; column < work->column_count; column++) {
      ptrdiff_t x = (ptrdiff_t)row * work->activation_stride, w = (ptrdiff_t)column * work->weight_stride;
      double sum = 0;
      for (size_t k = 0; k < work->depth; k++)
        sum += (double)load(work->activations, activation, x + (ptrdiff_t)k) *
               (double)load(work->weights, weight, w + (ptrdiff_t)k);
      if (work->bias) sum += (double)work->bias[column];
      float *out = work->outputs + (ptrdiff_t)row * work->output_stride + column;
      *out = (float)(work->accumulates ? (double)*out + sum : sum);
    }
  }
}
static void linear_f32_f32(const fovea_linear *work) { linear(work, FOVEA_FLOAT32, FOVEA_FLOAT32); }
static void linear_f32_f16(const fovea_linear *work) { linear(work, FOVEA_FLOAT32, FOVEA_FLOAT16); }
static void linear_f32_bf16(const fovea_linear *work) { linear(work, FOVEA_FLOAT32, FOVEA_BFLOAT16); }
static void linear_bf16_bf16(const fovea_linear *work) { linear(work, FOVEA_BFLOAT16, FOVEA_BFLOAT16); }

// Packed keys are rows here.
static void packed_linear_float32(const fovea_packed_linear *work) {
  for (size_t row = 0; row < work->row_count; row++) {
    const float *x = (const float *)work->activations + (ptrdiff_t)row * work->activation_stride;
    for (size_t column = 0; column < work->column_count; column++) {
      const float *w = (const float *)work->packed + column * work->depth;
      float *out = work->outputs + (ptrdiff_t)row * work->output_stride + column;
      float sum = work->continues ? *out : 0;
      for (size_t k = 0; k < work->depth; k++) sum = fmaf(x[k], w[k], sum);
      *out = work->bias ? sum + work->bias[column] : sum;
    }
  }
}

#include "int16_scalar.h"

static void rms_norm(const fovea_rms_norm *work) {
  for (size_t row = 0; row < work->row_count; row++) {
    const float *x = work->inputs + (ptrdiff_t)row * work->input_stride;
    double squares = 0;
    for (size_t i = 0; i < work->dimension; i++) squares += (double)x[i] * (double)x[i];
    double scale = 1 / sqrt(squares / (double)work->dimension + (double)work->epsilon);
    for (size_t i = 0; i < work->dimension; i++)
      store(work->outputs, work->output_element, (ptrdiff_t)row * work->output_stride + (ptrdiff_t)i,
            (float)((double)x[i] * scale * (double)work->weight[i]));
  }
}

static void layer_norm(const fovea_layer_norm *work) {
  for (size_t row = 0; row < work->row_count; row++) {
    const float *x = work->inputs + (ptrdiff_t)row * work->input_stride;
    double mean = 0, squares = 0;
    for (size_t i = 0; i < work->dimension; i++) mean += (double)x[i];
    mean /= (double)work->dimension;
    for (size_t i = 0; i < work->dimension; i++) squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    double scale = 1 / sqrt(squares / (double)work->dimension + (double)work->epsilon);
    for (size_t i = 0; i < work->dimension; i++)
      store(work->outputs, work->output_element, (ptrdiff_t)row * work->output_stride + (ptrdiff_t)i,
            (float)(((double)x[i] - mean) * scale * (double)work->weight[i] + (double)work->bias[i]));
  }
}

static double activated(const fovea_activation *work, double x) {
  switch (work->kind) {
    case FOVEA_SILU: return x / (1 + exp(-x));
    case FOVEA_GELU: return x * erfc(-x / sqrt(2)) / 2;
    case FOVEA_GELU_TANH: return x * (1 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x))) / 2;
    case FOVEA_CLAMPED_SWISH:
      if (x > (double)work->limit) x = (double)work->limit;
      return x / (1 + exp(-(double)work->gain * x));
  }
  return 0;
}

static void activate(const fovea_activation *work) {
  for (size_t i = 0; i < work->count; i++) {
    double up = work->up ? (double)work->up[i] : 1;
    if (work->up && work->kind == FOVEA_CLAMPED_SWISH) {
      double limit = (double)work->limit;
      up = (up > limit ? limit : up < -limit ? -limit : up) + 1;
    }
    store(work->outputs, work->output_element, (ptrdiff_t)i, (float)(activated(work, (double)work->gate[i]) * up));
  }
}

static void add_scaled(const float *inputs, float factor, float *outputs, size_t count) {
  for (size_t i = 0; i < count; i++) outputs[i] = (float)((double)outputs[i] + (double)inputs[i] * (double)factor);
}

static void soft_cap(const float *inputs, float cap, float *outputs, size_t count) {
  for (size_t i = 0; i < count; i++) outputs[i] = (float)((double)cap * tanh((double)inputs[i] / (double)cap));
}

static void rotate(const float *inputs, const float *cosine, const float *sine, size_t pair_count, size_t dimension,
                   void *outputs, fovea_element output_element) {
  for (size_t i = 0; i < pair_count; i++) {
    double a = (double)inputs[i], b = (double)inputs[pair_count + i];
    double c = (double)cosine[i], s = (double)sine[i];
    store(outputs, output_element, (ptrdiff_t)i, (float)(a * c - b * s));
    store(outputs, output_element, (ptrdiff_t)(pair_count + i), (float)(b * c + a * s));
  }
  for (size_t i = 2 * pair_count; i < dimension; i++) store(outputs, output_element, (ptrdiff_t)i, inputs[i]);
}

static void convert(const void *inputs, fovea_element input_element, void *outputs, fovea_element output_element,
                    size_t count) {
  for (size_t i = 0; i < count; i++)
    store(outputs, output_element, (ptrdiff_t)i, load(inputs, input_element, (ptrdiff_t)i));
}

static void widen_boolean(const uint8_t *inputs, float *outputs, size_t count) {
  for (size_t i = 0; i < count; i++) outputs[i] = inputs[i] ? 0 : -INFINITY;
}

static double log_sum_exp(const float *inputs, size_t count) {
  double maximum = -(double)INFINITY, sum = 0;
  for (size_t i = 0; i < count; i++) maximum = fmax(maximum, (double)inputs[i]);
  if (isinf(maximum)) return maximum;
  for (size_t i = 0; i < count; i++) sum += exp((double)inputs[i] - maximum);
  return maximum + log(sum);
}

static void exponential(const float *inputs, float *outputs, size_t count) {
  for (size_t i = 0; i < count; i++) outputs[i] = (float)exp((double)inputs[i]);
}

// The packed layouts of the reference: rows of float32, one after another; values padded to 16 columns.
static bool pack_rows(const fovea_pack *work, size_t padded) {
  bool not_finite = false;
  for (size_t row = 0; row < work->count; row++) {
    float *out = (float *)work->packed + (work->first + row) * padded;
    for (size_t i = 0; i < padded; i++) {
      out[i] = i < work->dimension ? load(work->rows, work->element, (ptrdiff_t)row * work->stride + (ptrdiff_t)i) : 0;
      not_finite |= !isfinite(out[i]);
    }
  }
  return not_finite;
}
static bool pack_queries_float32(const fovea_pack *work) {
  pack_rows(work, work->dimension);
  return false;
}
static bool pack_keys_float32(const fovea_pack *work) { return pack_queries_float32(work); }
static bool pack_values_float32(const fovea_pack *work) {
  return pack_rows(work, fovea_padded_value_dimension(work->dimension));
}

static double finish_score(const fovea_attention_block *work, size_t row, size_t key, double sum) {
  sum *= (double)work->scale;
  if (work->soft_cap > 0) sum = (double)work->soft_cap * tanh(sum / (double)work->soft_cap);
  if (!work->mask) return sum;
  double mask = (double)work->mask[row * FOVEA_KEY_BLOCK + key];
  return mask == -(double)INFINITY ? mask : sum + mask;
}

static double score(const fovea_attention_block *work, size_t row, size_t key) {
  const float *q = (const float *)work->queries + row * work->dimension;
  const float *k = (const float *)work->keys + key * work->dimension;
  double sum = 0;
  for (size_t i = 0; i < work->dimension; i++) sum += (double)q[i] * (double)k[i];
  return finish_score(work, row, key, sum);
}

static float join_maxima(float old_maximum, float block_maximum, double *old_factor, double *new_factor) {
  // Not fmaxf, which would drop a NaN.
  float merged = old_maximum > block_maximum ? old_maximum : block_maximum;
  if (block_maximum != block_maximum || old_maximum != old_maximum) merged = NAN;
  *old_factor = exp((double)old_maximum - (double)merged);
  *new_factor = exp((double)block_maximum - (double)merged);
  return merged;
}

static float join(float old_value, double old_factor, float block_value, double new_factor) {
  return (float)((double)old_value * old_factor + (double)block_value * new_factor);
}

// Turns a row's scores of the keys [begin, end) into weights and joins their maximum and sum to the row's; false if no
// key is left.
static bool weigh_keys(const fovea_attention_block *work, size_t row, double *scores, size_t begin, size_t end,
                       double *old_factor, double *new_factor) {
  double maximum = -(double)INFINITY, sum = 0;
  bool has_nan = false;
  for (size_t key = begin; key < end; key++) {
    has_nan |= isnan(scores[key]);
    maximum = fmax(maximum, scores[key]);
  }
  if (has_nan) maximum = NAN;
  if (maximum == -(double)INFINITY) return false;
  // The block's results are rounded to float32 before they are joined, as they are when a block is kept apart.
  float block_maximum = (float)maximum, old_maximum = work->maxima[row];
  for (size_t key = begin; key < end; key++) {
    scores[key] = exp(scores[key] - (double)block_maximum);
    sum += scores[key];
  }
  work->maxima[row] = join_maxima(old_maximum, block_maximum, old_factor, new_factor);
  work->sums[row] = join(work->sums[row], *old_factor, (float)sum, *new_factor);
  return true;
}

static void attention_float32(const fovea_attention_block *work) {
  size_t padded = fovea_padded_value_dimension(work->value_dimension);
  double *scores = work->scratch;
  for (size_t row = 0; row < work->row_count; row++) {
    size_t begin = (size_t)work->visible_begin[row], end = (size_t)work->visible_end[row];
    for (size_t key = begin; key < end; key++) scores[key] = score(work, row, key);
    double old_factor, new_factor;
    if (!weigh_keys(work, row, scores, begin, end, &old_factor, &new_factor)) continue;
    for (size_t i = 0; i < work->value_dimension; i++) {
      double total = 0;
      for (size_t key = begin; key < end; key++)
        if (scores[key] != 0) total += scores[key] * (double)((const float *)work->values)[key * padded + i];
      float *out = work->outputs + row * padded + i;
      *out = join(*out, old_factor, (float)total, new_factor);
    }
  }
}

#include "coded_attention_scalar.h"

static void attention_merge(const fovea_attention_merge *work) {
  size_t padded = fovea_padded_value_dimension(work->value_dimension);
  for (size_t row = 0; row < work->row_count; row++) {
    for (size_t block = 0; block < work->block_count * work->block_stride; block += work->block_stride) {
      if (work->block_maxima[block + row] == -INFINITY) continue;
      double old_factor, new_factor;
      work->maxima[row] = join_maxima(work->maxima[row], work->block_maxima[block + row], &old_factor, &new_factor);
      work->sums[row] = join(work->sums[row], old_factor, work->block_sums[block + row], new_factor);
      for (size_t i = row * padded; i < (row + 1) * padded; i++)
        work->outputs[i] = join(work->outputs[i], old_factor, work->block_outputs[block + i], new_factor);
    }
  }
}

static void scale(const float *inputs, float factor, void *outputs, fovea_element output_element, size_t count) {
  for (size_t i = 0; i < count; i++) store(outputs, output_element, (ptrdiff_t)i, inputs[i] * factor);
}

const fovea_kernels fovea_kernels_scalar = {
    .name = "scalar",
#define ACTIVATION_CODES activation_codes
#define QUANTIZED_LINEAR quantized_linear
#define PACKED_LINEAR_INT16 packed_linear_int16
#include "kernel_table.h"
};

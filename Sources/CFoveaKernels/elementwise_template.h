// Norm, activation, rotation and conversion kernels; include after a vector_*.h and exponential_template.h.
#include <math.h>

#include "tables.h"

static inline __attribute__((always_inline)) V load_any(const void *base, fovea_element element, size_t index) {
  if (element == FOVEA_FLOAT32) return v_load((const float *)base + index);
  const uint16_t *p = (const uint16_t *)base + index;
  return element == FOVEA_FLOAT16 ? v_load_f16(p) : v_load_bf16(p);
}

static inline __attribute__((always_inline)) V load_any_first(const void *base, fovea_element element, size_t index,
                                                              size_t count) {
  if (element == FOVEA_FLOAT32) return v_load_first((const float *)base + index, count);
  const uint16_t *p = (const uint16_t *)base + index;
  return element == FOVEA_FLOAT16 ? v_load_first_f16(p, count) : v_load_first_bf16(p, count);
}

// Stores the first `count` lanes, at most LANES.
static inline __attribute__((always_inline)) void store_any(void *base, fovea_element element, size_t index, V x,
                                                            size_t count) {
  if (element == FOVEA_FLOAT32) {
    float *p = (float *)base + index;
    if (count >= LANES) v_store(p, x);
    else v_store_first(p, x, count);
    return;
  }
  uint16_t *p = (uint16_t *)base + index;
  if (element == FOVEA_FLOAT16) {
    if (count >= LANES) v_store_f16(p, x);
    else v_store_first_f16(p, x, count);
  } else {
    if (count >= LANES) v_store_bf16(p, x);
    else v_store_first_bf16(p, x, count);
  }
}

static inline V load_tail(const float *p, size_t index, size_t count) {
  return count - index >= LANES ? v_load(p + index) : v_load_first(p + index, count - index);
}

static inline float sum_of_chains(const V sums[4]) {
  return v_sum(v_add(v_add(sums[0], sums[1]), v_add(sums[2], sums[3])));
}

// The sum of a row. Four chains go side by side: one would wait for its additions.
static inline float row_sum(const float *x, size_t count) {
  V sums[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
  size_t i = 0;
  for (; i + 4 * LANES <= count; i += 4 * LANES)
#pragma clang loop unroll(full)
    for (int chain = 0; chain < 4; chain++) sums[chain] = v_add(sums[chain], v_load(x + i + chain * LANES));
  for (; i < count; i += LANES) sums[0] = v_add(sums[0], load_tail(x, i, count));
  return sum_of_chains(sums);
}

// The sum of the squares of a row's distances to `mean`.
static inline __attribute__((always_inline)) float squared_distances(const float *x, size_t count, float mean) {
  const V means = v_set1(mean);
  V sums[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
  size_t i = 0;
  for (; i + 4 * LANES <= count; i += 4 * LANES)
#pragma clang loop unroll(full)
    for (int chain = 0; chain < 4; chain++) {
      V d = v_sub(v_load(x + i + chain * LANES), means);
      sums[chain] = v_fma(d, d, sums[chain]);
    }
  for (; i < count; i += LANES) {
    // The lanes of a tail hold 0, not the mean.
    V d = v_select_range(v_sub(load_tail(x, i, count), means), v_zero(), (int32_t)i, 0, (int32_t)count);
    sums[0] = v_fma(d, d, sums[0]);
  }
  return sum_of_chains(sums);
}

static void rms_norm(const fovea_rms_norm *work) {
  for (size_t row = 0; row < work->row_count; row++) {
    const float *x = work->inputs + (ptrdiff_t)row * work->input_stride;
    V squares = v_zero();
    for (size_t i = 0; i < work->dimension; i += LANES) {
      V v = load_tail(x, i, work->dimension);
      squares = v_fma(v, v, squares);
    }
    V scale = v_set1(1.0f / sqrtf(v_sum(squares) / (float)work->dimension + work->epsilon));
    size_t out = (size_t)((ptrdiff_t)row * work->output_stride);
    for (size_t i = 0; i < work->dimension; i += LANES) {
      V v = v_mul(v_mul(load_tail(x, i, work->dimension), scale), load_tail(work->weight, i, work->dimension));
      store_any(work->outputs, work->output_element, out + i, v, work->dimension - i);
    }
  }
}

static void rotate(const float *inputs, const float *cosine, const float *sine, size_t pair_count, size_t dimension,
                   void *outputs, fovea_element output_element) {
  for (size_t i = 0; i < pair_count; i += LANES) {
    V a = load_tail(inputs, i, pair_count), b = load_tail(inputs + pair_count, i, pair_count);
    V c = load_tail(cosine, i, pair_count), s = load_tail(sine, i, pair_count);
    store_any(outputs, output_element, i, v_fnma(b, s, v_mul(a, c)), pair_count - i);
    // The first half's store may not reach into the second: store_any stops at pair_count.
    store_any(outputs, output_element, pair_count + i, v_fma(a, s, v_mul(b, c)), pair_count - i);
  }
  for (size_t i = 2 * pair_count; i < dimension; i += LANES)
    store_any(outputs, output_element, i, load_tail(inputs, i, dimension), dimension - i);
}

static void convert(const void *inputs, fovea_element input_element, void *outputs, fovea_element output_element,
                    size_t count) {
  size_t i = 0;
  for (; i + LANES <= count; i += LANES)
    store_any(outputs, output_element, i, load_any(inputs, input_element, i), LANES);
  if (i < count)
    store_any(outputs, output_element, i, load_any_first(inputs, input_element, i, count - i), count - i);
}

static void scale(const float *inputs, float factor, void *outputs, fovea_element output_element, size_t count) {
  V factors = v_set1(factor);
  for (size_t i = 0; i < count; i += LANES)
    store_any(outputs, output_element, i, v_mul(load_tail(inputs, i, count), factors), count - i);
}

// The compiler turns this loop into vectors of the including file.
static void widen_boolean(const uint8_t *inputs, float *outputs, size_t count) {
  for (size_t i = 0; i < count; i++) outputs[i] = inputs[i] ? 0 : -INFINITY;
}

static double log_sum_exp(const float *inputs, size_t count) {
  if (count == 0) return -INFINITY;
  const V lowest = v_set1(-INFINITY);
  V maxima[4] = {lowest, lowest, lowest, lowest};
  size_t i = 0;
  for (; i + 4 * LANES <= count; i += 4 * LANES)
#pragma clang loop unroll(full)
    for (size_t j = 0; j < 4; j++) maxima[j] = v_max(v_load(inputs + i + j * LANES), maxima[j]);
  for (; i < count; i += LANES)
    maxima[0] = v_max(v_select_range(load_tail(inputs, i, count), lowest, (int32_t)i, 0, (int32_t)count), maxima[0]);
  const float maximum = v_max_across(v_max(v_max(maxima[0], maxima[1]), v_max(maxima[2], maxima[3])));
  if (maximum == INFINITY) return INFINITY;
  // With nothing but -infinity every difference would be NaN.
  const V shift = v_set1(maximum == -INFINITY ? 0 : maximum);
  double sum = 0;
  // Four vectors are added before they are widened: a rounding or two of 2^-24, as each exponential has.
  for (i = 0; i + 4 * LANES <= count; i += 4 * LANES) {
    V e[4];
#pragma clang loop unroll(full)
    for (size_t j = 0; j < 4; j++) e[j] = v_exp(v_sub(v_load(inputs + i + j * LANES), shift));
    sum += v_sum_double(v_add(v_add(e[0], e[1]), v_add(e[2], e[3])));
  }
  for (; i < count; i += LANES) {
    const V e = v_exp(v_sub(load_tail(inputs, i, count), shift));
    sum += v_sum_double(v_select_range(e, v_zero(), (int32_t)i, 0, (int32_t)count));
  }
  return (maximum == -INFINITY ? 0 : (double)maximum) + log(sum);
}

static void exponential(const float *inputs, float *outputs, size_t count) {
  for (size_t i = 0; i < count; i += LANES)
    store_any(outputs, FOVEA_FLOAT32, i, v_exp(load_tail(inputs, i, count)), count - i);
}

#include "activation_template.h"

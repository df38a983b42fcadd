// Further kernels that the families of decoders need; included by elementwise_template.h.

static void layer_norm(const fovea_layer_norm *work) {
  const size_t dimension = work->dimension;
  for (size_t row = 0; row < work->row_count; row++) {
    const float *x = work->inputs + (ptrdiff_t)row * work->input_stride;
    V sums = v_zero();
    for (size_t i = 0; i < dimension; i += LANES) sums = v_add(sums, load_tail(x, i, dimension));
    V mean = v_set1(v_sum(sums) / (float)dimension);
    V squares = v_zero();
    for (size_t i = 0; i < dimension; i += LANES) {
      // The lanes of a tail hold 0, not the mean.
      V d = v_select_range(v_sub(load_tail(x, i, dimension), mean), v_zero(), (int32_t)i, 0, (int32_t)dimension);
      squares = v_fma(d, d, squares);
    }
    V scale = v_set1(1.0f / sqrtf(v_sum(squares) / (float)dimension + work->epsilon));
    size_t out = (size_t)((ptrdiff_t)row * work->output_stride);
    for (size_t i = 0; i < dimension; i += LANES) {
      V v = v_mul(v_sub(load_tail(x, i, dimension), mean), scale);
      v = v_fma(v, load_tail(work->weight, i, dimension), load_tail(work->bias, i, dimension));
      store_any(work->outputs, work->output_element, out + i, v, dimension - i);
    }
  }
}

// x / (1 + exp(-gain * x))
static inline __attribute__((always_inline)) V v_swish(V x, V gain) {
  return v_div(x, v_add(v_set1(1.0f), v_exp(v_sub(v_zero(), v_mul(gain, x)))));
}

// By the identity (1 + tanh(u)) / 2 = 1 / (1 + exp(-2u)).
static inline __attribute__((always_inline)) V v_gelu_tanh(V x) {
  V doubled = v_mul(x, v_fma(v_mul(x, x), v_set1(0.0713548162726f), v_set1(1.59576912160573f)));
  return v_div(x, v_add(v_set1(1.0f), v_exp(v_sub(v_zero(), doubled))));
}

// x * Phi(x) = max(x, 0) - |x| * erfc(|x| / sqrt(2)) / 2, with erfc to 1.2e-7 relative by W. J. Press et al., Numerical
// Recipes (1992), 6.2.
static inline __attribute__((always_inline)) V v_gelu(V x) {
  V magnitude = v_max(v_sub(v_zero(), x), x);
  V z = v_mul(magnitude, v_set1(0.70710678118655f));
  V t = v_div(v_set1(1.0f), v_fma(z, v_set1(0.5f), v_set1(1.0f)));
  V p = v_set1(0.17087277f);
  p = v_fma(p, t, v_set1(-0.82215223f));
  p = v_fma(p, t, v_set1(1.48851587f));
  p = v_fma(p, t, v_set1(-1.13520398f));
  p = v_fma(p, t, v_set1(0.27886807f));
  p = v_fma(p, t, v_set1(-0.18628806f));
  p = v_fma(p, t, v_set1(0.09678418f));
  p = v_fma(p, t, v_set1(0.37409196f));
  p = v_fma(p, t, v_set1(1.00002368f));
  p = v_fma(p, t, v_set1(-1.26551223f));
  V half = v_mul(v_mul(v_set1(0.5f), t), v_exp(v_fnma(z, z, p)));
  // v_max gives its second argument where one is NaN.
  return v_fnma(magnitude, half, v_max(v_zero(), x));
}

// Inlined once for each kind, so that the kind is decided outside of the loop.
static inline __attribute__((always_inline)) void activate_as(const fovea_activation *work, fovea_activation_kind kind) {
  const V limit = v_set1(work->limit), lower = v_set1(-work->limit), gain = v_set1(work->gain), one = v_set1(1.0f);
  for (size_t i = 0; i < work->count; i += LANES) {
    V x = load_tail(work->gate, i, work->count);
    if (kind == FOVEA_SILU) x = v_swish(x, one);
    if (kind == FOVEA_GELU) x = v_gelu(x);
    if (kind == FOVEA_GELU_TANH) x = v_gelu_tanh(x);
    if (kind == FOVEA_CLAMPED_SWISH) x = v_swish(v_min(limit, x), gain);
    if (work->up) {
      V up = load_tail(work->up, i, work->count);
      if (kind == FOVEA_CLAMPED_SWISH) up = v_add(v_max(lower, v_min(limit, up)), one);
      x = v_mul(x, up);
    }
    store_any(work->outputs, work->output_element, i, x, work->count - i);
  }
}

static void activate(const fovea_activation *work) {
  switch (work->kind) {
    case FOVEA_SILU: activate_as(work, FOVEA_SILU); break;
    case FOVEA_GELU: activate_as(work, FOVEA_GELU); break;
    case FOVEA_GELU_TANH: activate_as(work, FOVEA_GELU_TANH); break;
    case FOVEA_CLAMPED_SWISH: activate_as(work, FOVEA_CLAMPED_SWISH); break;
  }
}

static void add_scaled(const float *inputs, float factor, float *outputs, size_t count) {
  V factors = v_set1(factor);
  for (size_t i = 0; i < count; i += LANES) {
    V sum = v_fma(load_tail(inputs, i, count), factors, load_tail(outputs, i, count));
    store_any(outputs, FOVEA_FLOAT32, i, sum, count - i);
  }
}

static void soft_cap(const float *inputs, float cap, float *outputs, size_t count) {
  V inverse = v_set1(1.0f / cap), caps = v_set1(cap);
  for (size_t i = 0; i < count; i += LANES) {
    V capped = v_mul(v_tanh(v_mul(load_tail(inputs, i, count), inverse)), caps);
    store_any(outputs, FOVEA_FLOAT32, i, capped, count - i);
  }
}

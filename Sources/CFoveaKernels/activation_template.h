// Further kernels that the families of decoders need; included by elementwise_template.h.

static void layer_norm(const fovea_layer_norm *work) {
  const size_t dimension = work->dimension;
  for (size_t row = 0; row < work->row_count; row++) {
    const float *x = work->inputs + (ptrdiff_t)row * work->input_stride;
    const float average = row_sum(x, dimension) / (float)dimension;
    const V mean = v_set1(average);
    const V scale = v_set1(1.0f / sqrtf(squared_distances(x, dimension, average) / (float)dimension + work->epsilon));
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

// x * Phi(x) = max(x, 0) - |x| * h(|x|) * exp(-x^2 / 2), h(a) = exp(a^2 / 2) * erfc(a / sqrt(2)) / 2. The rational
// function for h has the least maximum of the relative error on [0, 12], weighted by exp(-a^2 / 8): 4e-8. Beyond 12 the
// exponential is 0.
static inline __attribute__((always_inline)) V v_gelu(V x) {
  V magnitude = v_max(v_sub(v_zero(), x), x);
  V a = v_min(v_set1(12.0f), magnitude);
  V p = v_fma(v_set1(1.367054321e-2f), a, v_set1(1.048233137e-1f));
  p = v_fma(p, a, v_set1(3.356362283e-1f));
  p = v_fma(p, a, v_set1(4.999999702e-1f));
  V q = v_fma(v_set1(3.428305313e-2f), a, v_set1(2.622618377e-1f));
  q = v_fma(q, a, v_set1(8.818896413e-1f));
  q = v_fma(q, a, v_set1(1.469154358f));
  q = v_fma(q, a, v_set1(1.0f));
  V bell = v_exp2_weight(v_mul(v_mul(x, v_set1(-0.5f * LOG2_E)), x), false);
  // v_max gives its second argument where one is NaN.
  return v_fnma(magnitude, v_mul(v_div(p, q), bell), v_max(v_zero(), x));
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

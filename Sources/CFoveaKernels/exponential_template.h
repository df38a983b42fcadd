// exp on one vector; include after a vector_*.h.
//
// exp(x) = 2^n * exp(r), n = round(x / ln 2), |r| <= ln(2) / 2, with ln 2 in two parts so that r is exact to a rounding.
// The polynomial is Cephes' expf (S. Moshier), 1 + r + r^2 * P(r), within 2 ulp. Inputs below -110 give 0 and above 100
// infinity by the scaling; NaN passes, since v_max and v_min return their second argument then.
static inline __attribute__((always_inline)) V v_exp(V x) {
  x = v_max(v_set1(-150.0f), v_min(v_set1(150.0f), x));
  V n = v_round(v_mul(x, v_set1(1.44269504088896341f)));
  V r = v_fnma(n, v_set1(0.693359375f), x);
  r = v_fnma(n, v_set1(-2.12194440e-4f), r);
  V p = v_set1(1.9875691500e-4f);
  p = v_fma(p, r, v_set1(1.3981999507e-3f));
  p = v_fma(p, r, v_set1(8.3334519073e-3f));
  p = v_fma(p, r, v_set1(4.1665795894e-2f));
  p = v_fma(p, r, v_set1(1.6666665459e-1f));
  p = v_fma(p, r, v_set1(5.0000001201e-1f));
  V y = v_fma(v_mul(r, r), p, v_add(r, v_set1(1.0f)));
  return v_scale2(y, n);
}

#include <stdbool.h>

#define LOG2_E 1.44269504088896341f
// 2^t, t <= 0, for the weights of a softmax: 2^n * 2^r, |r| <= 1/2. With t = x / ln 2 rounded the result is off by
// |x| exp(x) 2^-24 from exp(x), less than half a unit of the largest weight, 1: there is no need for ln 2 in two parts.
// The polynomials have the least maximum of the relative error with the value 1 at 0: 2e-9, and 3e-6 for weights that
// are rounded to bfloat16. -infinity gives 0, NaN passes.
static inline __attribute__((always_inline)) V v_exp2_weight(V t, const bool is_coarse) {
  V p, r, power = v_nearest_power(t, &r);
  if (is_coarse) {
    p = v_fma(v_set1(9.582852945e-3f), r, v_set1(5.590642616e-2f));
    p = v_fma(p, r, v_set1(2.402409911e-1f));
    p = v_fma(p, r, v_set1(6.931241751e-1f));
  } else {
    p = v_fma(v_set1(1.535336196e-4f), r, v_set1(1.339887502e-3f));
    p = v_fma(p, r, v_set1(9.618436918e-3f));
    p = v_fma(p, r, v_set1(5.550332367e-2f));
    p = v_fma(p, r, v_set1(2.402264774e-1f));
    p = v_fma(p, r, v_set1(6.931471825e-1f));
  }
  return v_times_power(v_fma(p, r, v_set1(1.0f)), power);
}

// tanh(x) = 1 - 2 / (exp(2x) + 1): within 2e-7 absolute, right at both infinities.
static inline __attribute__((always_inline)) V v_tanh(V x) {
  V e = v_exp(v_add(x, x));
  return v_sub(v_set1(1.0f), v_div(v_set1(2.0f), v_add(e, v_set1(1.0f))));
}

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

// tanh(x) = 1 - 2 / (exp(2x) + 1): within 2e-7 absolute, right at both infinities.
static inline __attribute__((always_inline)) V v_tanh(V x) {
  V e = v_exp(v_add(x, x));
  return v_sub(v_set1(1.0f), v_div(v_set1(2.0f), v_add(e, v_set1(1.0f))));
}

// From dot products to the weights of a softmax, for one tile layout; include through attention_template.h.

// The score of a dot product; -infinity where the mask is.
static inline __attribute__((always_inline)) V NAME(finish_score)(const fovea_attention_block *work, size_t row,
                                                                  int32_t key, V score) {
  score = v_mul(score, v_set1(work->scale));
  if (work->soft_cap > 0) score = v_mul(v_set1(work->soft_cap), v_tanh(v_div(score, v_set1(work->soft_cap))));
  if (work->mask) score = v_add_mask(score, v_load(work->mask + row * FOVEA_KEY_BLOCK + (size_t)key));
  return score;
}

// (score - shift) / ln 2. In a plain case the score still wants its scale.
static inline __attribute__((always_inline)) V NAME(exponent)(const fovea_attention_block *work, V score, float shift,
                                                              const bool is_plain) {
  if (!is_plain) return v_mul(v_sub(score, v_set1(shift)), v_set1(LOG2_E));
#if PER_LANE == 1
  return v_mul(v_fma(score, v_set1(work->scale), v_set1(-shift)), v_set1(LOG2_E));
#else
  // One rounding of the shift more, in all weights of the block: 2^-24 of it, nothing beside that of the weights.
  return v_fma(score, v_set1(work->scale * LOG2_E), v_set1(-shift * LOG2_E));
#endif
}

// The keys [low, high) of a row, whole vectors, of which the row sees [begin, end): vectors from `whole` to `whole_end` are
// seen wholly.
typedef struct {
  int32_t low, whole, whole_end, high, begin, end;
} NAME(row_keys);

static inline __attribute__((always_inline)) NAME(row_keys) NAME(keys_of_row)(const fovea_attention_block *work,
                                                                              size_t row, int32_t low, int32_t high) {
  const int32_t begin = work->visible_begin[row], end = work->visible_end[row];
  int32_t whole = (begin + LANES - 1) / LANES * LANES, whole_end = end / LANES * LANES;
  // A row that sees nothing may begin anywhere.
  whole = whole < low ? low : whole > high ? high : whole;
  whole_end = whole_end < whole ? whole : whole_end > high ? high : whole_end;
  return (NAME(row_keys)){low, whole, whole_end, high, begin, end};
}

// Calls pass(…, keys, from, to, is_edge) for the keys of a row; at the edges some of them are hidden.
#define FOR_KEYS(keys, pass, ...)                                 \
  pass(__VA_ARGS__, keys, (keys).low, (keys).whole, true);        \
  pass(__VA_ARGS__, keys, (keys).whole, (keys).whole_end, false); \
  pass(__VA_ARGS__, keys, (keys).whole_end, (keys).high, true);

// Joins the scores of keys [from, to) of a row to `maxima`; finishes them unless they are plain.
static inline __attribute__((always_inline)) void NAME(join_maxima)(const fovea_attention_block *work, size_t row,
                                                                    float *scores, V *maxima, const bool is_plain,
                                                                    NAME(row_keys) keys, int32_t from, int32_t to,
                                                                    const bool is_edge) {
  // Nothing but a load and a comparison: one look at the end for four of them.
  for (; is_plain && !is_edge && from + 4 * LANES <= to; from += 4 * LANES)
#pragma clang loop unroll(full)
    for (int32_t i = 0; i < 4; i++) *maxima = v_max(v_load(scores + from + i * LANES), *maxima);
#pragma clang loop unroll(disable)
  for (int32_t key = from; key < to; key += LANES) {
    V score = v_load(scores + key);
    if (!is_plain) score = NAME(finish_score)(work, row, key, score);
    if (is_edge) score = v_select_range(score, v_set1(-INFINITY), key, keys.begin, keys.end);
    if (!is_plain) v_store(scores + key, score);
    *maxima = v_max(score, *maxima);
  }
}

// Turns the scores of keys [from, to) of a row into weights and adds these to `sums`.
static inline __attribute__((always_inline)) void NAME(write_weights)(const fovea_attention_block *work,
                                                                      const float *scores, void *weights, float shift,
                                                                      V *sums, const bool is_plain, NAME(row_keys) keys,
                                                                      int32_t from, int32_t to, const bool is_edge) {
#pragma clang loop unroll(disable)
  for (int32_t key = from; key < to; key += LANES) {
    V t = NAME(exponent)(work, v_load(scores + key), shift, is_plain);
    if (is_plain && is_edge) t = v_select_range(t, v_set1(-INFINITY), key, keys.begin, keys.end);
    V weight = v_exp2_weight(t, PER_LANE == 2);
    *sums = v_add(*sums, weight);
    v_keep(sums);
#if PER_LANE == 1
    v_store((float *)weights + key, weight);
#else
    v_store_weights((uint16_t *)weights + key, weight);
#endif
  }
}

static inline __attribute__((always_inline)) void NAME(softmax_rows_of)(const fovea_attention_block *work, size_t first,
                                                                        size_t rows, float *scores, void *weights,
                                                                        int32_t low, int32_t high, float *block_maxima,
                                                                        float *block_sums, const bool is_plain) {
  for (size_t row = 0; row < rows; row++) {
    const NAME(row_keys) keys = NAME(keys_of_row)(work, first + row, low, high);
    V maxima = v_set1(-INFINITY);
    FOR_KEYS(keys, NAME(join_maxima), work, first + row, scores + row * FOVEA_KEY_BLOCK, &maxima, is_plain)
    float maximum = v_max_across(maxima);
    block_maxima[row] = is_plain ? maximum * work->scale : maximum;
  }
  V row_sums[FOVEA_ROW_STEP + LANES];
  for (size_t row = 0; row < rows; row++) {
    const NAME(row_keys) keys = NAME(keys_of_row)(work, first + row, low, high);
    const float shift = block_maxima[row] == -INFINITY ? 0 : block_maxima[row];
    V sums = v_zero();
    void *row_weights = (char *)weights + row * FOVEA_KEY_BLOCK * sizeof(float) / PER_LANE;
    FOR_KEYS(keys, NAME(write_weights), work, scores + row * FOVEA_KEY_BLOCK, row_weights, shift, &sums, is_plain)
    row_sums[row] = sums;
  }
  for (size_t row = rows; row % LANES != 0; row++) row_sums[row] = v_zero();
  for (size_t row = 0; row < rows; row += LANES) {
    V sums = v_reduce(row_sums + row);
    v_store(block_sums + row, sums);
    // The maximum passes over NaN; the sum does not.
    v_store(block_maxima + row, v_add(v_load(block_maxima + row), v_sub(sums, sums)));
  }
}

// Turns dot products of `rows` rows, from row `first` on, into weights over keys [low, high), which cover the rows'
// visible ranges and whole vectors; gives the block's maxima and sums, with room for whole vectors. Hidden keys weigh 0.
//
// Each pass goes over all rows: horizontal maxima and sums of one row would leave the ports idle.
static void NAME(softmax_rows)(const fovea_attention_block *work, size_t first, size_t rows, float *scores,
                               void *weights, int32_t low, int32_t high, float *block_maxima, float *block_sums) {
  // A positive scale may wait for the subtraction of the maximum, where it costs nothing and no rounding.
  if (!work->mask && !(work->soft_cap > 0) && work->scale > 0)
    NAME(softmax_rows_of)(work, first, rows, scores, weights, low, high, block_maxima, block_sums, true);
  else NAME(softmax_rows_of)(work, first, rows, scores, weights, low, high, block_maxima, block_sums, false);
}

#undef FOR_KEYS

// Attention over a block of coded keys and values; include after attention_template.h of the float32 layout, with
//   CODED_KEY_VECTORS      vectors of keys whose dot products run side by side, which hides the latency of one chain
//   CODED_VALUE_VECTORS(r) vectors of value columns for r rows: twice r times as many sums fit the registers
//
// A block is read once and in the order in which it lies, so that hints far enough ahead serve all its parts and the
// next block too. Each line is asked for twice: hints get lost where too many lines are under way already.
#include "coded_layout.h"

static inline __attribute__((always_inline)) void coded_ask(const char *p) {
  __builtin_prefetch(p + 6144);
  __builtin_prefetch(p + 2048);
}

// Lanes of codes at `p` as two vectors of bytes; with whole bytes only the first is used.
static inline __attribute__((always_inline)) void coded_load(const char *p, I codes[2], const bool is_half) {
  codes[0] = i_load(p);
  if (!is_half) return;
  codes[1] = i_and(i_shift_right(codes[0], 4), i_set1(0x0F0F0F0F));
  codes[0] = i_and(codes[0], i_set1(0x0F0F0F0F));
}

// Codes less half of their range meet smaller errors of what is rounded than codes as they are: a sum of rounded factors
// and codes is corrected by the sum of the factors, and biases are those of the middle of the range.
static inline float coded_middle(const fovea_code_format *format) { return (float)(1u << (format->bits - 1)); }
static inline V coded_middle_bias(I pair, V scale, V middle) {
  return v_fma(scale, middle, v_from_bits(i_shift_left(pair, 16)));
}

// The query of one row for one group of keys: query * scale in 15 bits, as 8 upper and 7 lower ones, times `factor`; and
// what is added to the dot product with codes.
static void coded_round_query(const fovea_coded_attention *work, size_t row, size_t key, float *products, int8_t *upper,
                              int8_t *lower, float *factor, float *bias_sum) {
  const size_t padded = coded_dimension(&work->format);
  const float *query = work->queries + row * padded;
  const uint32_t *pairs = (const uint32_t *)work->coded + key_scale_index(&work->format, key, 0);
  const V middle = v_set1(coded_middle(&work->format));
  V maxima = v_zero(), biases = v_zero(), sums = v_zero();
  for (size_t i = 0; i < padded; i += LANES) {
    V q = v_load(query + i);
    I pair = i_load(pairs + i);
    V scale = v_from_bits(i_and(pair, i_set1((int32_t)0xFFFF0000)));
    V product = v_mul(q, scale);
    biases = v_fma(q, coded_middle_bias(pair, scale, middle), biases);
    maxima = v_max(product, v_max(v_sub(v_zero(), product), maxima));
    v_store(products + i, product);
  }
  const float maximum = v_max_across(maxima);
  // Scales this small leave the biases; the inverse would overflow.
  const bool is_plain = maximum > 1e-30f;
  *factor = is_plain ? maximum / 16255 : 0;
  const V inverse = v_set1(is_plain ? 16255 / maximum : 0);
  for (size_t i = 0; i < padded; i += LANES) {
    I whole = i_round(v_mul(v_load(products + i), inverse));
    sums = v_add(sums, v_from_integers(whole));
    i_store_bytes((uint8_t *)upper + i, i_shift_right_signed(whole, 7));
    i_store_bytes((uint8_t *)lower + i, i_and(whole, i_set1(127)));
  }
  *bias_sum = v_sum(v_fnma(v_mul(v_set1(*factor), middle), sums, biases));
}

// Dot products of `rows` rows with CODED_KEY_VECTORS vectors of keys from `key` on, as scores before their scale.
static inline __attribute__((always_inline)) void coded_scores(const fovea_coded_attention *work, size_t key,
                                                               const int8_t *queries, const float *factors,
                                                               const float *bias_sums, float *scores, const int rows,
                                                               const bool is_half) {
  const fovea_code_format *format = &work->format;
  const size_t padded = coded_dimension(format), per_word = is_half ? 8 : 4, words = padded / per_word;
  // The vectors side by side are whole panels, or lie in one.
  const size_t stride = LANES == CODED_LANES ? words * CODED_LANES * 4 : LANES * 4;
  const char *codes = (const char *)work->coded + key_code_offset(format) +
                      (key / CODED_LANES * words * CODED_LANES + key % CODED_LANES) * 4;
  I upper[FOVEA_CODED_ROW_STEP][CODED_KEY_VECTORS], lower[FOVEA_CODED_ROW_STEP][CODED_KEY_VECTORS];
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < CODED_KEY_VECTORS; v++) upper[r][v] = lower[r][v] = i_set1(0);
  for (size_t word = 0; word < words; word++) {
    I loaded[CODED_KEY_VECTORS][2];
#pragma clang loop unroll(full)
    for (int v = 0; v < CODED_KEY_VECTORS; v++) {
      const char *p = codes + word * CODED_LANES * 4 + (size_t)v * stride;
      coded_ask(p);
      coded_load(p, loaded[v], is_half);
    }
#pragma clang loop unroll(full)
    for (int part = 0; part < 1 + is_half; part++)
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) {
        const int8_t *query = queries + (size_t)r * 2 * padded + word * per_word + (size_t)part * 4;
        int32_t upper_query, lower_query;
        memcpy(&upper_query, query, 4);
        memcpy(&lower_query, query + padded, 4);
#pragma clang loop unroll(full)
        for (int v = 0; v < CODED_KEY_VECTORS; v++) {
          upper[r][v] = i_dot(upper[r][v], loaded[v][part], i_set1(upper_query));
          lower[r][v] = i_dot(lower[r][v], loaded[v][part], i_set1(lower_query));
        }
      }
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < CODED_KEY_VECTORS; v++) {
      V whole = v_fma(v_from_integers(upper[r][v]), v_set1(128), v_from_integers(lower[r][v]));
      v_store(scores + r * FOVEA_KEY_BLOCK + v * LANES, v_fma(whole, v_set1(factors[r]), v_set1(bias_sums[r])));
    }
}

// The weights of one row for one group of values: weight * scale in 14 bits, as 7 upper and 7 lower ones, times `factor`.
typedef struct {
  uint8_t upper[FOVEA_KEY_BLOCK];
  uint8_t lower[FOVEA_KEY_BLOCK];
} coded_weights;

static void coded_round_weights(const float *weights, const char *pairs, size_t low, size_t high, float *products,
                                coded_weights *rounded, float *factor, float *bias_sum, const float middle_code) {
  const V middle = v_set1(middle_code);
  V maxima = v_zero(), biases = v_zero(), sums = v_zero();
  for (size_t key = low; key < high; key += LANES) {
    coded_ask(pairs + 4 * key);
    V weight = v_load(weights + key);
    I pair = i_load(pairs + 4 * key);
    // What is not seen may be anything, NaN too.
    V scale = v_from_bits(i_and(pair, i_set1((int32_t)0xFFFF0000)));
    V product = v_where(weight, v_mul(weight, scale));
    biases = v_add(biases, v_where(weight, v_mul(weight, coded_middle_bias(pair, scale, middle))));
    maxima = v_max(product, maxima);
    v_store(products + key, product);
  }
  const float maximum = v_max_across(maxima);
  // Values of a span this small are their bias; the inverse would overflow.
  const bool is_plain = maximum > 1e-30f;
  *factor = is_plain ? maximum / 16383 : 0;
  const V inverse = v_set1(is_plain ? 16383 / maximum : 0);
  for (size_t key = low; key < high; key += LANES) {
    I whole = i_round(v_mul(v_load(products + key), inverse));
    sums = v_add(sums, v_from_integers(whole));
    i_store_bytes(rounded->upper + key, i_shift_right(whole, 7));
    i_store_bytes(rounded->lower + key, i_and(whole, i_set1(127)));
  }
  *bias_sum = v_sum(v_fnma(v_mul(v_set1(*factor), middle), sums, biases));
}

// outputs = outputs * old_factor + sums * new_factor for `vectors` vectors of columns and the keys [low, high).
static inline __attribute__((always_inline)) void coded_values(const fovea_coded_attention *work, size_t first_row,
                                                               size_t column, size_t low, size_t high,
                                                               const coded_weights *weights, const float *factors,
                                                               const float *bias_sums, const float *old_factors,
                                                               const float *new_factors, const int rows,
                                                               const int vectors, const bool is_half) {
  const fovea_code_format *format = &work->format;
  const size_t groups = coded_groups(format), padded = coded_dimension(format), per_word = is_half ? 8 : 4;
  const char *codes = (const char *)work->coded + value_code_offset(format) + column * 4;
  I upper[FOVEA_CODED_ROW_STEP][4], lower[FOVEA_CODED_ROW_STEP][4];
  const coded_weights *row_weights[FOVEA_CODED_ROW_STEP][4];
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      upper[r][v] = lower[r][v] = i_set1(0);
      row_weights[r][v] = weights + (size_t)r * groups + (column + (size_t)v * LANES) / format->group_size;
    }
  for (size_t word = low / per_word; word < high / per_word; word++) {
    I loaded[4][2];
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      const char *p = codes + (word * padded + (size_t)v * LANES) * 4;
      coded_ask(p);
      coded_load(p, loaded[v], is_half);
    }
#pragma clang loop unroll(full)
    for (int part = 0; part < 1 + is_half; part++) {
      const size_t first = 4 * (word * (1 + is_half) + (size_t)part);
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
          int32_t upper_weights, lower_weights;
          memcpy(&upper_weights, row_weights[r][v]->upper + first, 4);
          memcpy(&lower_weights, row_weights[r][v]->lower + first, 4);
          upper[r][v] = i_dot(upper[r][v], loaded[v][part], i_set1(upper_weights));
          lower[r][v] = i_dot(lower[r][v], loaded[v][part], i_set1(lower_weights));
        }
    }
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      const size_t index = (size_t)(row_weights[r][v] - weights);
      V whole = v_from_integers(i_add(i_shift_left(upper[r][v], 7), lower[r][v]));
      V sum = v_fma(whole, v_set1(factors[index]), v_set1(bias_sums[index]));
      float *out = work->block.outputs + (first_row + (size_t)r) * padded + column + (size_t)v * LANES;
      v_store(out, v_fma(sum, v_set1(new_factors[r]), v_mul(v_load(out), v_set1(old_factors[r]))));
    }
}

static inline __attribute__((always_inline)) void coded_rows(const fovea_coded_attention *work, size_t first,
                                                             size_t low, size_t high, const int rows,
                                                             const bool is_half) {
  const fovea_attention_block *block = &work->block;
  const fovea_code_format *format = &work->format;
  const size_t groups = coded_groups(format), padded = coded_dimension(format);
  float *scores = block->scratch, *products = scores + FOVEA_CODED_ROW_STEP * FOVEA_KEY_BLOCK;
  float *factors = products + (padded > FOVEA_KEY_BLOCK ? padded : FOVEA_KEY_BLOCK);
  float *bias_sums = factors + FOVEA_CODED_ROW_STEP * groups;
  int8_t *queries = (int8_t *)(bias_sums + FOVEA_CODED_ROW_STEP * groups);
  coded_weights *weights = (coded_weights *)(queries + FOVEA_CODED_ROW_STEP * 2 * padded);
  for (size_t group = low / format->group_size * format->group_size; group < high; group += format->group_size) {
    float query_factors[FOVEA_CODED_ROW_STEP], query_biases[FOVEA_CODED_ROW_STEP];
    for (size_t r = 0; r < (size_t)rows; r++) {
      int8_t *query = queries + r * 2 * padded;
      coded_round_query(work, first + r, group, products, query, query + padded, query_factors + r, query_biases + r);
    }
    // Whole runs of vectors; what lies past the last key is not looked at.
    const size_t run = CODED_KEY_VECTORS * LANES, end = group + format->group_size;
    for (size_t key = low > group ? low / run * run : group; key < (high < end ? high : end); key += run)
      coded_scores(work, key, queries, query_factors, query_biases, scores + key, rows, is_half);
  }
  float old_factors[FOVEA_CODED_ROW_STEP], new_factors[FOVEA_CODED_ROW_STEP];
  const char *pairs = (const char *)work->coded + value_scale_offset(format);
  float block_maxima[FOVEA_CODED_ROW_STEP + LANES], block_sums[FOVEA_CODED_ROW_STEP + LANES];
  softmax_rows_float32(block, first, (size_t)rows, scores, scores, (int32_t)low, (int32_t)high, block_maxima, block_sums);
  merge_rows(block->maxima + first, block->sums + first, block_maxima, block_sums, old_factors, new_factors, (size_t)rows);
  for (size_t r = 0; r < (size_t)rows; r++) {
    const float *row_scores = scores + r * FOVEA_KEY_BLOCK;
    for (size_t group = 0; group < groups; group++) {
      const size_t index = r * groups + group;
      coded_round_weights(row_scores, pairs + group * FOVEA_KEY_BLOCK * 4, low, high, products, weights + index,
                          factors + index, bias_sums + index, coded_middle(format));
    }
  }
  const int vectors = CODED_VALUE_VECTORS(rows);
  size_t column = 0;
  for (; column + (size_t)vectors * LANES <= padded; column += (size_t)vectors * LANES)
    coded_values(work, first, column, low, high, weights, factors, bias_sums, old_factors, new_factors, rows, vectors,
                 is_half);
  for (; column < padded; column += LANES)
    coded_values(work, first, column, low, high, weights, factors, bias_sums, old_factors, new_factors, rows, 1, is_half);
}

static void coded_attention(const fovea_coded_attention *work) {
  const fovea_attention_block *block = &work->block;
  for (size_t first = 0; first < block->row_count; first += FOVEA_CODED_ROW_STEP) {
    const size_t left = block->row_count - first;
    size_t low = FOVEA_KEY_BLOCK, high = 0;
    for (size_t row = first; row < first + (left < FOVEA_CODED_ROW_STEP ? left : FOVEA_CODED_ROW_STEP); row++) {
      const size_t begin = (size_t)block->visible_begin[row], end = (size_t)block->visible_end[row];
      if (begin >= end) continue;
      low = begin < low ? begin : low;
      high = end > high ? end : high;
    }
    if (low >= high) continue;
    low = low / CODED_LANES * CODED_LANES;
    high = (high + CODED_LANES - 1) / CODED_LANES * CODED_LANES;
    const bool is_half = work->format.bits == 4;
#define CODED_CALL(rows) is_half ? coded_rows(work, first, low, high, rows, true) : coded_rows(work, first, low, high, rows, false)
    switch (left) {
      case 1: CODED_CALL(1); break;
      case 2: CODED_CALL(2); break;
      case 3: CODED_CALL(3); break;
      default: CODED_CALL(4); break;
    }
#undef CODED_CALL
  }
}

#undef CODED_KEY_VECTORS
#undef CODED_VALUE_VECTORS

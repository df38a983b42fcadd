// Attention of few query rows over keys and values where they lie; include through attention_template.h.
//
// Packing a block pays when many rows use it. For a few, keys are transposed in registers, COLUMN_STEPS lanes of a
// vector's rows at a time, and values are read along their rows. Every chain of multiply-adds is that of the packed
// kernel, so the two give the same bits.

// Keys whose values are added up before the next column tile: so many that sums are seldom reloaded, so few that the
// rows stay in the first-level cache while the column tiles go by.
#define VALUE_RUN (32 * PER_LANE)
// What is asked for ahead of the row being read: the hardware's prefetchers do not follow a walk over many rows at once,
// nor the change from keys to values. Out of a cache it is so many bytes for each byte of an element, but no more rows
// than MOST_ROWS_AHEAD: less waits for memory, more leaves the first-level cache again.
#ifndef ATTENTION_BYTES_AHEAD
#define ATTENTION_BYTES_AHEAD 8192
#endif
#define MOST_ROWS_AHEAD 64
// Out of memory hints get lost where too many lines are under way already, and a line that nobody asked for stops
// everything: each is asked for three times, so many bytes apart, the last time shortly before it is needed. With
// ATTENTION_SECOND_LEVEL_AHEAD it is asked for so many bytes earlier, for the second-level cache, instead.
#define LAST_BYTES_AHEAD 1024
#define HINT_DISTANCE 8192

typedef struct {
  const char *base;  // row 0 of the block
  ptrdiff_t stride;  // bytes
  size_t count;      // rows
  const char *next;  // what is read after the last row: the values after the keys, the next block's keys after those
  ptrdiff_t next_stride;
  bool is_contiguous;
  size_t ahead;  // rows
} NAME(row_source);

static inline ptrdiff_t NAME(row_bytes)(ptrdiff_t count, fovea_element element) {
  return count * (ptrdiff_t)fovea_element_size(element);
}

static inline size_t NAME(rows_ahead)(size_t dimension, bool comes_from_memory) {
#ifndef ATTENTION_SECOND_LEVEL_AHEAD
  if (comes_from_memory) return LAST_BYTES_AHEAD / dimension + 1;
#endif
  const size_t ahead = ATTENTION_BYTES_AHEAD / dimension;
  return ahead < MOST_ROWS_AHEAD ? ahead : MOST_ROWS_AHEAD;
}

static inline __attribute__((always_inline)) void NAME(ask)(const char *ahead, const bool comes_from_memory) {
  __builtin_prefetch(ahead);
  if (!comes_from_memory) return;
#ifdef ATTENTION_SECOND_LEVEL_AHEAD
  __builtin_prefetch(ahead + ATTENTION_SECOND_LEVEL_AHEAD, 0, 2);
#else
  __builtin_prefetch(ahead + HINT_DISTANCE);
  __builtin_prefetch(ahead + 2 * HINT_DISTANCE);
#endif
}

// Where the row `rows->ahead` after `row` lies. A hint past the end of the rows does no harm.
static inline __attribute__((always_inline)) const char *NAME(row_ahead)(const NAME(row_source) *rows, size_t row) {
  size_t ahead = row + rows->ahead;
  return ahead < rows->count ? rows->base + (ptrdiff_t)ahead * rows->stride
                             : rows->next + (ptrdiff_t)(ahead - rows->count) * rows->next_stride;
}

// Asks for what comes `keys->ahead` rows after `count` lanes, from `step` on, of the keys [key, key + LANES): as many
// lines as those lanes use up, in the order in which they lie if they do so without gaps.
static inline __attribute__((always_inline)) void NAME(ask_columns)(const NAME(row_source) *keys, size_t key,
                                                                    size_t step, const size_t count,
                                                                    const size_t lane_bytes,
                                                                    const bool comes_from_memory) {
  if (keys->is_contiguous) {
    const char *ahead = NAME(row_ahead)(keys, key) + step * lane_bytes * LANES;
#pragma clang loop unroll(full)
    for (size_t i = 0; i < count * lane_bytes * LANES; i += 64) NAME(ask)(ahead + i, comes_from_memory);
  } else if (step * lane_bytes % 64 == 0) {
    const char *ahead = keys->base + (ptrdiff_t)(key + keys->ahead) * keys->stride + step * lane_bytes;
#pragma clang loop unroll(disable)
    for (int i = 0; i < LANES; i++, ahead += keys->stride) NAME(ask)(ahead, comes_from_memory);
  }
}

// sums[r][g] += q[r] * column[g], of one lane of the keys.
static inline __attribute__((always_inline)) void NAME(add_column)(const float *q, size_t q_stride, const V *column,
                                                                   V *sums, const int rows, const int groups) {
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++) {
    V query = v_set1(q[(size_t)r * q_stride]);
#pragma clang loop unroll(full)
    for (int g = 0; g < groups; g++) sums[r * groups + g] = MULTIPLY_ADD(sums[r * groups + g], query, column[g]);
  }
}

// scores[r][key...] of `groups` vectors of keys, one chain along the dimension each.
static inline __attribute__((always_inline)) void NAME(score_rows)(const NAME(row_source) *keys, size_t key,
                                                                   const float *q, size_t steps, float *scores,
                                                                   const int rows, const int groups,
                                                                   const fovea_element element,
                                                                   const bool comes_from_memory) {
  const size_t lane_bytes = PER_LANE * (element == FOVEA_FLOAT32 ? 4 : 2);
  const char *base = keys->base + (ptrdiff_t)key * keys->stride;
  const ptrdiff_t group_stride = LANES * keys->stride;
  V sums[MICRO_ROWS * KEY_GROUPS], column[KEY_GROUPS];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows * groups; i++) sums[i] = v_zero();
  size_t step = 0;
#if PER_LANE == 1 && defined(HAS_BF16_PAIRS)
  // Neighbours of 16 bits are transposed as one lane, which takes 3 instructions a vector rather than 8.
  for (; element == FOVEA_BFLOAT16 && step + 2 * COLUMN_STEPS <= steps; step += 2 * COLUMN_STEPS) {
    V pairs[KEY_GROUPS][COLUMN_STEPS];
#pragma clang loop unroll(full)
    for (int g = 0; g < groups; g++) {
      NAME(ask_columns)(keys, key + (size_t)g * LANES, step, 2 * COLUMN_STEPS, lane_bytes, comes_from_memory);
      v_load_columns_f32(base + g * group_stride + step * lane_bytes, keys->stride, pairs[g]);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < COLUMN_STEPS; i++) {
#pragma clang loop unroll(full)
      for (int g = 0; g < groups; g++) column[g] = v_even_bf16(pairs[g][i]);
      NAME(add_column)(q + step + 2 * i, steps, column, sums, rows, groups);
#pragma clang loop unroll(full)
      for (int g = 0; g < groups; g++) column[g] = v_odd_bf16(pairs[g][i]);
      NAME(add_column)(q + step + 2 * i + 1, steps, column, sums, rows, groups);
    }
  }
#endif
  for (; step < steps; step += COLUMN_STEPS) {
    V columns[KEY_GROUPS][COLUMN_STEPS];
#pragma clang loop unroll(full)
    for (int g = 0; g < groups; g++) {
      NAME(ask_columns)(keys, key + (size_t)g * LANES, step, COLUMN_STEPS, lane_bytes, comes_from_memory);
      const char *rows_from = base + g * group_stride + step * lane_bytes;
      if (lane_bytes == 4) v_load_columns_f32(rows_from, keys->stride, columns[g]);
      else if (element == FOVEA_FLOAT16) v_load_columns_f16(rows_from, keys->stride, columns[g]);
      else v_load_columns_bf16(rows_from, keys->stride, columns[g]);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < COLUMN_STEPS; i++) {
#pragma clang loop unroll(full)
      for (int g = 0; g < groups; g++) column[g] = columns[g][i];
      NAME(add_column)(q + step + i, steps, column, sums, rows, groups);
    }
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int g = 0; g < groups; g++) v_store(scores + r * FOVEA_KEY_BLOCK + g * LANES, sums[r * groups + g]);
}

// Scores of the keys [low, high), of whole vectors of keys. Rows past the last are read from `spare`, which has room
// for LANES rows.
static inline __attribute__((always_inline)) void NAME(score_range)(const NAME(row_source) *keys, const float *q,
                                                                    size_t steps, float *scores, size_t low,
                                                                    size_t high, char *spare, const int rows,
                                                                    const fovea_element element,
                                                                    const bool comes_from_memory) {
  size_t key = low;
  for (; key + KEY_GROUPS * LANES <= high; key += KEY_GROUPS * LANES)
    NAME(score_rows)(keys, key, q, steps, scores + key, rows, KEY_GROUPS, element, comes_from_memory);
  for (; key + LANES <= keys->count && key < high; key += LANES)
    NAME(score_rows)(keys, key, q, steps, scores + key, rows, 1, element, comes_from_memory);
  if (key >= high) return;
  const size_t row_bytes = steps * PER_LANE * (element == FOVEA_FLOAT32 ? 4 : 2);
  memset(spare, 0, LANES * row_bytes);
  for (size_t i = key; i < keys->count; i++)
    memcpy(spare + (i - key) * row_bytes, keys->base + (ptrdiff_t)i * keys->stride, row_bytes);
  const NAME(row_source) tail = {spare, (ptrdiff_t)row_bytes, LANES, spare, (ptrdiff_t)row_bytes, true, 0};
  NAME(score_rows)(&tail, 0, q, steps, scores + key, rows, 1, element, false);
}

// sums[r][column...] += weights[r][key] * values[key][column...] for the keys [key, end), `vectors` vectors of columns.
// In pairs two neighbouring vectors hold their 2 * LANES columns in the order of v_unpack; a single one in its own.
static inline __attribute__((always_inline)) void NAME(value_run)(const NAME(row_source) *values, size_t key,
                                                                  size_t end, size_t column, const float *weights,
                                                                  float *sums, size_t sum_stride, const int rows,
                                                                  const int vectors, const fovea_element element,
                                                                  const bool comes_from_memory) {
  const size_t weight_stride = FOVEA_KEY_BLOCK / PER_LANE;
  const size_t element_bytes = element == FOVEA_FLOAT32 ? 4 : 2;
  V totals[MICRO_ROWS * PANEL_VECTORS];
#pragma clang loop unroll(full)
  for (int i = 0; i < rows * vectors; i++)
    totals[i] = v_load(sums + (size_t)(i / vectors) * sum_stride + column + (size_t)(i % vectors) * LANES);
  const char *row = values->base + (ptrdiff_t)key * values->stride + column * element_bytes;
  // Rows without gaps are asked for in the order in which they lie, a part of the run with each column tile: memory is
  // read fastest that way.
  const size_t tile_bytes = (size_t)vectors * LANES * element_bytes;
  const char *ahead = NAME(row_ahead)(values, key) + column * element_bytes * (values->is_contiguous ? end - key : 1);
  const ptrdiff_t ahead_step = values->is_contiguous ? (ptrdiff_t)tile_bytes : values->stride;
  for (; key < end; key += PER_LANE) {
    V loaded[PANEL_VECTORS];
#if PER_LANE == 1
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
#ifdef HAS_BF16_PAIRS
      if (element == FOVEA_BFLOAT16 && vectors % 2 == 0) {
        V pairs = v_load((const float *)row + v / 2 * LANES);
        loaded[v] = v % 2 == 0 ? v_even_bf16(pairs) : v_odd_bf16(pairs);
      } else
#endif
        loaded[v] = load_any(row, element, (size_t)v * LANES);
      if ((size_t)v * LANES * element_bytes % 64 == 0)
        NAME(ask)(ahead + (size_t)v * LANES * element_bytes, comes_from_memory);
    }
#else
    // The last key of an odd number has no neighbour: its half of the lanes is zero.
    const bool is_pair = key + 1 < end;
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v += 2) {
      const uint16_t *even = (const uint16_t *)row + v * LANES;
      const uint16_t *odd = (const uint16_t *)(row + values->stride) + v * LANES;
      NAME(ask)(ahead + v * LANES * 2, comes_from_memory);
      NAME(ask)(ahead + ahead_step + v * LANES * 2, comes_from_memory);
      if (v + 1 == vectors) loaded[v] = v_interleave(even, is_pair ? odd : NULL, LANES);
      else if (__builtin_expect(is_pair, 1)) v_unpack(even, odd, &loaded[v]);
      else v_unpack_single(even, &loaded[v]);
    }
#endif
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      V weight = v_set1(weights[(size_t)r * weight_stride + key / PER_LANE]);
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++)
        totals[r * vectors + v] = MULTIPLY_ADD(totals[r * vectors + v], weight, loaded[v]);
    }
    row += PER_LANE * values->stride;
    ahead += PER_LANE * ahead_step;
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < rows * vectors; i++)
    v_store(sums + (size_t)(i / vectors) * sum_stride + column + (size_t)(i % vectors) * LANES, totals[i]);
}

static inline __attribute__((always_inline)) void NAME(value_range)(const NAME(row_source) *values,
                                                                    size_t value_dimension, const float *weights,
                                                                    float *sums, size_t low, size_t high,
                                                                    const int rows, const fovea_element element,
                                                                    const bool comes_from_memory) {
  for (size_t i = 0; i < (size_t)rows * value_dimension; i += LANES) v_store(sums + i, v_zero());
  for (size_t key = low; key < high; key += VALUE_RUN) {
    size_t end = high - key < VALUE_RUN ? high : key + VALUE_RUN;
    size_t column = 0;
    for (; column + PANEL <= value_dimension; column += PANEL)
      NAME(value_run)(values, key, end, column, weights, sums, value_dimension, rows, PANEL_VECTORS, element,
                       comes_from_memory);
    for (; column + 2 * LANES <= value_dimension; column += 2 * LANES)
      NAME(value_run)(values, key, end, column, weights, sums, value_dimension, rows, 2, element,
                       comes_from_memory);
    if (column < value_dimension)
      NAME(value_run)(values, key, end, column, weights, sums, value_dimension, rows, 1, element,
                       comes_from_memory);
  }
}

// Calls a function with its row count, its element and where its rows come from as constants.
#define CALL_PLACE(function, rows_constant, element_constant, comes_from_memory, ...)  \
  if (comes_from_memory) function(__VA_ARGS__, rows_constant, element_constant, true); \
  else function(__VA_ARGS__, rows_constant, element_constant, false);
#if PER_LANE == 1
#define CALL_ELEMENT(function, rows_constant, element, ...)                                      \
  switch (element) {                                                                             \
    case FOVEA_FLOAT32: CALL_PLACE(function, rows_constant, FOVEA_FLOAT32, __VA_ARGS__) break;   \
    case FOVEA_FLOAT16: CALL_PLACE(function, rows_constant, FOVEA_FLOAT16, __VA_ARGS__) break;   \
    case FOVEA_BFLOAT16: CALL_PLACE(function, rows_constant, FOVEA_BFLOAT16, __VA_ARGS__) break; \
  }
#else
#define CALL_ELEMENT(function, rows_constant, element, ...) \
  CALL_PLACE(function, rows_constant, FOVEA_BFLOAT16, __VA_ARGS__)
#endif
#define CALL_ROWS(function, rows, element, comes_from_memory, ...)                     \
  switch (rows) {                                                                      \
    case 1: CALL_ELEMENT(function, 1, element, comes_from_memory, __VA_ARGS__) break;  \
    case 2: CALL_ELEMENT(function, 2, element, comes_from_memory, __VA_ARGS__) break;  \
    case 3: CALL_ELEMENT(function, 3, element, comes_from_memory, __VA_ARGS__) break;  \
    default: CALL_ELEMENT(function, 4, element, comes_from_memory, __VA_ARGS__) break; \
  }

// outputs = outputs * old_factor + sums * new_factor, the sums' columns brought into their order; false, with nothing
// written, if a sum is infinite or NaN.
static inline bool NAME(sums_are_finite)(const float *sums, size_t count) {
  V check = v_zero();
  for (size_t i = 0; i < count; i += LANES) check = v_fma(v_load(sums + i), v_zero(), check);
  float total = v_sum(check);
  return total == total;
}

static inline void NAME(join_sums)(const float *sums, float *outputs, size_t value_dimension, float old_factor,
                                   float new_factor, fovea_element element) {
  V old = v_set1(old_factor), new = v_set1(new_factor);
  for (size_t column = 0; column < value_dimension; column += 2 * LANES) {
    const bool is_pair = column + 2 * LANES <= value_dimension;
    V part[2] = {v_load(sums + column), is_pair ? v_load(sums + column + LANES) : v_zero()};
#if PER_LANE == 2
    if (is_pair) v_restore(part);
#elif defined(HAS_BF16_PAIRS)
    if (is_pair && element == FOVEA_BFLOAT16) v_join_halves(part);
#endif
    for (int i = 0; i < 1 + is_pair; i++) {
      float *out = outputs + column + (size_t)i * LANES;
      v_store(out, v_fma(part[i], new, v_mul(v_load(out), old)));
    }
  }
}

static bool NAME(attention_rows)(const fovea_attention_rows *work) {
  const fovea_attention_block *block = &work->block;
  const size_t value_dimension = block->value_dimension;
  if (block->dimension % (COLUMN_STEPS * PER_LANE) != 0 || value_dimension % 16 != 0) return false;
  // The place of the sums has to hold a vector's rows of keys before.
  if (LANES * block->dimension > FOVEA_KEY_BLOCK / PER_LANE * value_dimension) return false;
  const size_t steps = block->dimension / PER_LANE;
  const size_t weight_stride = FOVEA_KEY_BLOCK / PER_LANE;
  const ptrdiff_t key_stride = NAME(row_bytes)(work->key_stride, work->key_element);
  const ptrdiff_t value_stride = NAME(row_bytes)(work->value_stride, work->value_element);
  const char *key_rows = work->key_rows, *value_rows = work->value_rows;
  const bool are_keys_contiguous = work->key_stride == (ptrdiff_t)block->dimension;
  const bool are_contiguous = are_keys_contiguous && work->value_stride == (ptrdiff_t)value_dimension;
  const bool comes_from_memory = work->comes_from_memory && are_contiguous;
  const NAME(row_source) keys = {key_rows, key_stride, block->key_count, value_rows, value_stride, are_keys_contiguous,
                                 NAME(rows_ahead)(block->dimension, comes_from_memory)};
  const NAME(row_source) values = {value_rows, value_stride, block->key_count, key_rows + FOVEA_KEY_BLOCK * key_stride,
                                   key_stride, are_contiguous,
                                   NAME(rows_ahead)(value_dimension, comes_from_memory)};
  float *scores = block->scratch;
  float *weights = PER_LANE == 1 ? scores : scores + FOVEA_ROW_STEP * FOVEA_KEY_BLOCK;
  float *sums = scores + 2 * FOVEA_ROW_STEP * FOVEA_KEY_BLOCK;

  int32_t low = FOVEA_KEY_BLOCK, high = 0;
  for (size_t row = 0; row < block->row_count; row++) {
    if (block->visible_begin[row] >= block->visible_end[row]) continue;
    if (block->visible_begin[row] < low) low = block->visible_begin[row];
    if (block->visible_end[row] > high) high = block->visible_end[row];
  }
  if (low >= high) return true;
  low = low / LANES * LANES;
  const int32_t whole_high = (high + LANES - 1) / LANES * LANES;

  for (size_t row = 0; row < block->row_count; row += DIRECT_STEP) {
    const float *q = (const float *)block->queries + row * steps;
    CALL_ROWS(NAME(score_range), block->row_count - row, work->key_element, comes_from_memory, &keys, q, steps,
              scores + row * FOVEA_KEY_BLOCK, (size_t)low, (size_t)high, (char *)sums)
  }
  float block_maxima[FOVEA_DIRECT_ROWS + LANES], block_sums[FOVEA_DIRECT_ROWS + LANES];
  NAME(softmax_rows)(block, 0, block->row_count, scores, weights, low, whole_high, block_maxima, block_sums);
  for (size_t row = 0; row < block->row_count; row += DIRECT_STEP)
    CALL_ROWS(NAME(value_range), block->row_count - row, work->value_element, comes_from_memory, &values,
              value_dimension, weights + row * weight_stride, sums + row * value_dimension, (size_t)low, (size_t)high)
  // An infinite or NaN value may belong to a key that weighs 0 in a row: the packed kernel tells them apart.
  if (!NAME(sums_are_finite)(sums, block->row_count * value_dimension)) return false;
  float old_factors[FOVEA_DIRECT_ROWS], new_factors[FOVEA_DIRECT_ROWS];
  merge_rows(block->maxima, block->sums, block_maxima, block_sums, old_factors, new_factors, block->row_count);
  for (size_t row = 0; row < block->row_count; row++)
    NAME(join_sums)(sums + row * value_dimension, block->outputs + row * value_dimension, value_dimension,
                    old_factors[row], new_factors[row], work->value_element);
  return true;
}

#undef VALUE_RUN
#undef ATTENTION_BYTES_AHEAD
#undef MOST_ROWS_AHEAD
#undef LAST_BYTES_AHEAD
#undef HINT_DISTANCE
#undef CALL_PLACE
#undef CALL_ELEMENT
#undef CALL_ROWS

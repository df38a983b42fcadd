// Packing of queries, keys and values for one tile layout; include through attention_template.h.
//
// Keys: [panel][step][lane], a panel being PANEL keys wide and a step one 32-bit lane along the head dimension, so that
// a score is one chain of multiply-adds along the dimension in its own lane.
// Values: [panel][step][lane], a panel being PANEL value columns wide and a step one key, or two in the bfloat16 layout.

// Rows ahead of the one being read that are asked for: 4 to 16 KiB of the usual head dimensions.
#define PREFETCH_ROWS 32

// Loads LANES 32-bit lanes of one row from lane `step`; zero past the row's end.
//
// The hardware's prefetchers do not follow a walk over several rows at once: without a hint a cache that lies in memory
// is read at a fifth of the bandwidth. Hinting past the end of the rows does no harm.
static inline __attribute__((always_inline)) V NAME(load_row)(const fovea_pack *work, size_t row, size_t step) {
  size_t index = step * PER_LANE;
  size_t left = work->dimension - index;
  ptrdiff_t offset = (ptrdiff_t)row * work->stride + (ptrdiff_t)index;
#if PER_LANE == 1
  const void *base = work->element == FOVEA_FLOAT32 ? (const void *)((const float *)work->rows + offset)
                                                    : (const void *)((const uint16_t *)work->rows + offset);
  __builtin_prefetch((const char *)base + PREFETCH_ROWS * work->stride * (ptrdiff_t)fovea_element_size(work->element));
  return left >= LANES ? load_any(base, work->element, 0) : load_any_first(base, work->element, 0, left);
#else
  const uint16_t *base = (const uint16_t *)work->rows + offset;
  __builtin_prefetch(base + PREFETCH_ROWS * work->stride);
  return left >= LANES * PER_LANE ? v_load_pairs(base) : v_load_first_pairs(base, left);
#endif
}

static bool NAME(pack_queries)(const fovea_pack *work) {
  size_t steps = (work->dimension + PER_LANE - 1) / PER_LANE;
  for (size_t row = 0; row < work->count; row++) {
    float *packed = (float *)work->packed + (work->first + row) * steps;
    for (size_t step = 0; step < steps; step += LANES) {
      V lanes = NAME(load_row)(work, row, step);
      if (steps - step >= LANES) v_store(packed + step, lanes);
      else v_store_first(packed + step, lanes, steps - step);
    }
  }
  return false;
}

static bool NAME(pack_keys)(const fovea_pack *work) {
  size_t steps = (work->dimension + PER_LANE - 1) / PER_LANE;
  size_t end = work->first + work->count;
  for (size_t group = work->first / LANES * LANES; group < end; group += LANES) {
    size_t low = group < work->first ? work->first - group : 0;
    float *packed = (float *)work->packed + group / PANEL * PANEL * steps + group % PANEL;
    for (size_t step = 0; step < steps; step += LANES) {
      V rows[LANES];
      if (low == 0 && group + LANES <= end) {
#pragma clang loop unroll(full)
        for (size_t i = 0; i < LANES; i++) rows[i] = NAME(load_row)(work, group + i - work->first, step);
      } else {
        for (size_t i = 0; i < LANES; i++) {
          bool present = i >= low && group + i < end;
          rows[i] = present ? NAME(load_row)(work, group + i - work->first, step) : v_zero();
        }
      }
      v_transpose(rows);
      size_t count = steps - step < LANES ? steps - step : LANES;
      if (low == 0 && count == LANES) {
#pragma clang loop unroll(full)
        for (size_t i = 0; i < LANES; i++) v_store(packed + (step + i) * PANEL, rows[i]);
        continue;
      }
      for (size_t i = 0; i < count; i++) {
        // The lanes before `low` belong to the run before.
        float lanes[LANES];
        v_store(lanes, rows[i]);
        memcpy(packed + (step + i) * PANEL + low, lanes + low, (LANES - low) * sizeof(float));
      }
    }
  }
  return false;
}

// Where the first lane of value column `column` (a multiple of PANEL or of LANES inside one) of step 0 lies.
static inline float *NAME(value_panel)(const void *packed, size_t column) {
  size_t steps = FOVEA_KEY_BLOCK / PER_LANE;
  return (float *)packed + column / PANEL * PANEL * steps + column % PANEL;
}

// Stores step `step` of the values, which holds key `step` or, in pairs, 2 * step and its neighbour; counted from the
// block's first key. Adds to `check` what is NaN if a value is infinite or NaN: its product with zero.
static inline __attribute__((always_inline)) V NAME(pack_value_step)(const fovea_pack *work, size_t step,
                                                                     size_t column, V check) {
  float *target = NAME(value_panel)(work->packed, column) + step * PANEL;
#if PER_LANE == 1
  V lanes = column < work->dimension ? NAME(load_row)(work, step - work->first, column) : v_zero();
  v_store(target, lanes);
#else
  size_t key = 2 * step, end = work->first + work->count;
  const uint16_t *rows = (const uint16_t *)work->rows + column;
  const uint16_t *even = key >= work->first ? rows + (ptrdiff_t)(key - work->first) * work->stride : NULL;
  const uint16_t *odd = key + 1 < end ? rows + (ptrdiff_t)(key + 1 - work->first) * work->stride : NULL;
  size_t left = column < work->dimension ? work->dimension - column : 0;
  if (even) __builtin_prefetch(even + PREFETCH_ROWS * work->stride);
  if (odd) __builtin_prefetch(odd + PREFETCH_ROWS * work->stride);
  V lanes = v_interleave(even, odd, left < LANES ? left : LANES);
  // An even key that belongs to the run before keeps its half of the lanes.
  v_store(target, even ? lanes : v_merge_even(v_load(target), lanes));
#endif
  return MULTIPLY_ADD(check, lanes, v_zero());
}

static bool NAME(pack_values)(const fovea_pack *work) {
  size_t padded = (work->dimension + 15) / 16 * 16;
  size_t step = work->first / PER_LANE, end = (work->first + work->count + PER_LANE - 1) / PER_LANE;
  // Four checks side by side: one chain of multiply-adds would take longer than the copy.
  V checks[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
  for (; step + 4 <= end; step += 4)
    for (size_t column = 0; column < padded; column += LANES)
#pragma clang loop unroll(full)
      for (size_t i = 0; i < 4; i++) checks[i] = NAME(pack_value_step)(work, step + i, column, checks[i]);
  for (; step < end; step++)
    for (size_t column = 0; column < padded; column += LANES)
      checks[0] = NAME(pack_value_step)(work, step, column, checks[0]);
  float total = v_sum(v_add(v_add(checks[0], checks[1]), v_add(checks[2], checks[3])));
  return total != total;
}

// The matrix product over packed weights, for one arithmetic; include after attention_template.h with its float32 layout,
// whose PANEL_VECTORS it uses, and with these macros, which it undefines:
//   NAME(x)                  x with the suffix of the arithmetic
//   MULTIPLY_ADD(acc, a, w)  on 32-bit lanes: a float32 each, or two int16, whose sums are int32
//   GROUP_STEPS              steps of a group of int16, whose sums meet their scales; 0 for float32
//
// A tile of rows x vectors of columns holds one accumulator a lane and adds along the depth, one step after another, so
// that an output's bits do not depend on the tile: 6 x 4 + 5 of 32 registers, 6 x 2 + 3 of 16 (of which int16 needs one
// more where a dot product is two instructions).
#ifndef FOVEA_PACKED_LINEAR
#define FOVEA_PACKED_LINEAR
#define PACKED_ROWS 6
// Weights come from memory while others are at work. With many rows a tile asks for a part of the next call's; with few,
// at most two tiles, a panel is through too soon for that, and each tile asks for the whole of the next panel.
#define LINE_BYTES 64
#define FEW_PACKED_ROWS (2 * PACKED_ROWS)
#define PANEL_LANES (PANEL_VECTORS * LANES)
// Steps between two hints of many rows, and the lines of weights that so many steps read. Where instructions are short
// there are fewer hints. Rows of int16 have whole multiples of them.
#define PACKED_UNROLL (LANES == 4 ? 1 : 4)
#define PACKED_LINES (PACKED_UNROLL * PANEL_LANES * (int)sizeof(float) / LINE_BYTES)

static inline __attribute__((always_inline)) void ask_for_lines(const char *ahead, const int lines) {
#pragma clang loop unroll(full)
  for (int line = 0; line < lines; line++) __builtin_prefetch(ahead + line * LINE_BYTES, 0, 2);
}

// A panel's weights for groups of int16 are followed by their scales.
static inline size_t packed_panel_size(size_t steps, size_t groups) { return (steps + groups) * PANEL_LANES; }
#endif

// sums[r][v] += x[r][step] * weights[step][v].
static inline __attribute__((always_inline)) void NAME(packed_step)(V *sums, const float *const *x, const float *weights,
                                                                    size_t step, const int rows, const int vectors) {
  V column_vectors[PANEL_VECTORS];
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) column_vectors[v] = v_load(weights + step * PANEL_LANES + v * LANES);
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++) {
    V element = v_set1(x[r][step]);
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++)
      sums[r * vectors + v] = MULTIPLY_ADD(sums[r * vectors + v], element, column_vectors[v]);
  }
}

// The steps from `step` to `end`; returns where the hints go on. Of many rows, `next_rows` are those of the next tile.
static inline __attribute__((always_inline)) const char *NAME(packed_steps)(V *sums, const float *const *x,
                                                                            const float *weights, const char *ahead,
                                                                            const char *next_rows, size_t step,
                                                                            size_t end, const int rows,
                                                                            const int lines, const int vectors) {
#if LANES != 4
#pragma clang loop unroll(disable)
  for (; step + PACKED_UNROLL <= end; step += PACKED_UNROLL, ahead += lines * LINE_BYTES) {
    ask_for_lines(ahead, lines);
    // A tile of int16 is through its rows in half the time, and would wait for the next ones to come from the
    // second-level cache.
    if (GROUP_STEPS && lines == 1) __builtin_prefetch(next_rows + step / PACKED_UNROLL * LINE_BYTES);
#pragma clang loop unroll(full)
    for (size_t i = step; i < step + PACKED_UNROLL; i++) NAME(packed_step)(sums, x, weights, i, rows, vectors);
  }
  for (; step < end; step++) NAME(packed_step)(sums, x, weights, step, rows, vectors);
#else
  for (; step < end; step++, ahead += lines * LINE_BYTES) {
    ask_for_lines(ahead, lines);
    NAME(packed_step)(sums, x, weights, step, rows, vectors);
  }
#endif
  return ahead;
}

static inline __attribute__((always_inline)) void NAME(packed_tile)(const fovea_packed_linear *work, const float *weights,
                                                                    const char *ahead, size_t row, size_t column,
                                                                    size_t columns, size_t steps, const int rows,
                                                                    const int lines, const int vectors,
                                                                    const bool whole) {
  V totals[PACKED_ROWS * PANEL_VECTORS];
  const float *x[PACKED_ROWS];
  float *out[PACKED_ROWS];
  const char *next_rows =
      (const char *)((const float *)work->activations + (ptrdiff_t)(row + (size_t)rows) * work->activation_stride);
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++) {
    x[r] = (const float *)work->activations + (ptrdiff_t)(row + (size_t)r) * work->activation_stride;
    out[r] = work->outputs + (ptrdiff_t)(row + (size_t)r) * work->output_stride + column;
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      V old = v_zero();
      if (work->continues)
        old = whole ? v_load(out[r] + v * LANES) : load_tail(out[r], (size_t)v * LANES, columns);
      totals[r * vectors + v] = old;
    }
  }
#if GROUP_STEPS
  const float *column_scales = weights + steps * PANEL_LANES;
  const float *row_scales = work->activation_scales + (ptrdiff_t)row * work->activation_stride;
  for (size_t first = 0; first < steps; first += GROUP_STEPS, column_scales += PANEL_LANES, row_scales++) {
    V sums[PACKED_ROWS * PANEL_VECTORS];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows * vectors; i++) sums[i] = v_zero();
    const size_t end = steps - first < GROUP_STEPS ? steps : first + GROUP_STEPS;
    ahead = NAME(packed_steps)(sums, x, weights, ahead, next_rows, first, end, rows, lines, vectors);
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      V row_scale = v_set1(row_scales[r * work->activation_stride]);
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) {
        V scaled = v_mul(v_from_integers((I)sums[r * vectors + v]), v_load(column_scales + v * LANES));
        totals[r * vectors + v] = v_fma(scaled, row_scale, totals[r * vectors + v]);
      }
    }
  }
#else
  NAME(packed_steps)(totals, x, weights, ahead, next_rows, 0, steps, rows, lines, vectors);
#endif
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    V bias = v_zero();
    if (work->bias)
      bias = whole ? v_load(work->bias + column + v * LANES)
                   : load_tail(work->bias + column, (size_t)v * LANES, columns);
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      V total = work->bias ? v_add(totals[r * vectors + v], bias) : totals[r * vectors + v];
      if (whole) v_store(out[r] + v * LANES, total);
      else store_any(out[r], FOVEA_FLOAT32, (size_t)v * LANES, total, columns - (size_t)v * LANES);
    }
  }
}

#define PACKED_CALL(vectors_constant, whole)                                                                     \
  NAME(packed_tile)(work, weights, ahead, row, column, columns, steps, rows, lines, vectors_constant, whole)

// `rows` rows of the panel at `column`; only the last panel is not whole.
static inline __attribute__((always_inline)) void NAME(packed_rows)(const fovea_packed_linear *work, const float *weights,
                                                                    const char *ahead, size_t row, size_t column,
                                                                    size_t columns, size_t steps, const int rows,
                                                                    const int lines) {
  if (columns >= PANEL_LANES) {
    PACKED_CALL(PANEL_VECTORS, true);
    return;
  }
  switch ((columns + LANES - 1) / LANES) {
    case 1: PACKED_CALL(1, false); break;
    case 2: PACKED_CALL(2, false); break;
#if PANEL_VECTORS == 4
    case 3: PACKED_CALL(3, false); break;
    default: PACKED_CALL(4, false); break;
#endif
  }
}
#undef PACKED_CALL

#define PACKED_CASE(rows)                                                                                        \
  case rows:                                                                                                     \
    if (few) NAME(packed_rows)(work, weights, ahead, row, column, columns, steps, rows, PACKED_LINES);           \
    else NAME(packed_rows)(work, weights, ahead, row, column, columns, steps, rows, 1);                          \
    break

static void NAME(packed_linear)(const fovea_packed_linear *work) {
  const bool few = work->row_count <= FEW_PACKED_ROWS;
#if GROUP_STEPS
  const size_t steps = fovea_int16_step_count(work->depth);
  const size_t panel_size = packed_panel_size(steps, fovea_int16_group_count(work->depth));
#else
  const size_t steps = work->depth, panel_size = packed_panel_size(steps, 0);
#endif
  size_t panels = part_count(work->column_count, PANEL_LANES);
  size_t fetched = 0, wanted = work->next ? panels * panel_size * sizeof(float) : 0;
  const float *weights = (const float *)work->packed;
  for (size_t column = 0; column < work->column_count; column += PANEL_LANES, weights += panel_size) {
    size_t columns = work->column_count - column;
    size_t row = 0;
    while (row < work->row_count) {
      // 7 to 11 rows are cut into halves: a tile of one or two rows would wait for its multiply-adds.
      size_t left = work->row_count - row;
      size_t rows = left >= 2 * PACKED_ROWS || left == PACKED_ROWS ? PACKED_ROWS : left > PACKED_ROWS ? (left + 1) / 2 : left;
      // Without anything to fetch, what is in the first-level cache already.
      const char *ahead = (const char *)weights;
      if (few) ahead = (const char *)(weights + panel_size);
      else if (fetched < wanted) ahead = (const char *)work->next + fetched;
      fetched += steps / PACKED_UNROLL * LINE_BYTES;
      switch (rows) {
        PACKED_CASE(1);
        PACKED_CASE(2);
        PACKED_CASE(3);
        PACKED_CASE(4);
        PACKED_CASE(5);
        PACKED_CASE(6);
      }
      row += rows;
    }
  }
}
#undef PACKED_CASE
#undef GROUP_STEPS
#undef MULTIPLY_ADD
#undef NAME

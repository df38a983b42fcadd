// The matrix product over packed weights, float32; include after attention_template.h with its float32 layout, whose
// PANEL_VECTORS it uses.
//
// A tile of rows x vectors of columns holds one accumulator a lane and adds along the depth, one step after another, so
// that an output's bits do not depend on the tile: 6 x 4 + 5 of 32 registers, 6 x 2 + 3 of 16.
#define PACKED_ROWS 6
// Weights come from memory while others are at work. With many rows a tile asks for a part of the next call's; with few,
// at most two tiles, a panel is through too soon for that, and each tile asks for the whole of the next panel.
#define LINE_BYTES 64
#define FEW_PACKED_ROWS (2 * PACKED_ROWS)
// Steps between two hints of many rows, and the lines of weights that so many steps read. Where instructions are short
// there are fewer hints.
#define PACKED_UNROLL (LANES == 8 ? 4 : 1)
#define PACKED_LINES (PACKED_UNROLL * PANEL_VECTORS * LANES * (int)sizeof(float) / LINE_BYTES)

// sums[r][v] += x[r][step] * weights[step][v].
static inline __attribute__((always_inline)) void packed_step(V *sums, const float *const *x, const float *weights,
                                                              size_t step, const int rows, const int vectors) {
  V column_vectors[PANEL_VECTORS];
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) column_vectors[v] = v_load(weights + step * PANEL_VECTORS * LANES + v * LANES);
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++) {
    V element = v_set1(x[r][step]);
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++)
      sums[r * vectors + v] = v_fma(element, column_vectors[v], sums[r * vectors + v]);
  }
}

static inline __attribute__((always_inline)) void ask_for_lines(const char *ahead, const int lines) {
#pragma clang loop unroll(full)
  for (int line = 0; line < lines; line++) __builtin_prefetch(ahead + line * LINE_BYTES, 0, 2);
}

static inline __attribute__((always_inline)) void packed_tile(const fovea_packed_linear *work, const float *weights,
                                                              const char *ahead, size_t row, size_t column,
                                                              size_t columns, const int rows, const int lines,
                                                              const int vectors, const bool whole) {
  V sums[PACKED_ROWS * PANEL_VECTORS];
  const float *x[PACKED_ROWS];
  float *out[PACKED_ROWS];
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++) {
    x[r] = work->activations + (ptrdiff_t)(row + (size_t)r) * work->activation_stride;
    out[r] = work->outputs + (ptrdiff_t)(row + (size_t)r) * work->output_stride + column;
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      V old = v_zero();
      if (work->continues)
        old = whole ? v_load(out[r] + v * LANES) : load_tail(out[r], (size_t)v * LANES, columns);
      sums[r * vectors + v] = old;
    }
  }
  size_t step = 0;
#if LANES == 8
#pragma clang loop unroll(disable)
  for (; step + PACKED_UNROLL <= work->depth; step += PACKED_UNROLL, ahead += lines * LINE_BYTES) {
    ask_for_lines(ahead, lines);
#pragma clang loop unroll(full)
    for (size_t i = step; i < step + PACKED_UNROLL; i++) packed_step(sums, x, weights, i, rows, vectors);
  }
  for (; step < work->depth; step++) packed_step(sums, x, weights, step, rows, vectors);
#else
  for (; step < work->depth; step++) {
    ask_for_lines(ahead + step * (size_t)(lines * LINE_BYTES), lines);
    packed_step(sums, x, weights, step, rows, vectors);
  }
#endif
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    V bias = v_zero();
    if (work->bias)
      bias = whole ? v_load(work->bias + column + v * LANES)
                   : load_tail(work->bias + column, (size_t)v * LANES, columns);
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      V sum = work->bias ? v_add(sums[r * vectors + v], bias) : sums[r * vectors + v];
      if (whole) v_store(out[r] + v * LANES, sum);
      else store_any(out[r], FOVEA_FLOAT32, (size_t)v * LANES, sum, columns - (size_t)v * LANES);
    }
  }
}

#define PACKED_CALL(vectors_constant, whole)                                                                     \
  packed_tile(work, weights, ahead, row, column, columns, rows, lines, vectors_constant, whole)

// `rows` rows of the panel at `column`; only the last panel is not whole.
static inline __attribute__((always_inline)) void packed_rows(const fovea_packed_linear *work, const float *weights,
                                                              const char *ahead, size_t row, size_t column,
                                                              size_t columns, const int rows, const int lines) {
  if (columns >= PANEL_VECTORS * LANES) {
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
    if (few) packed_rows(work, weights, ahead, row, column, columns, rows, PACKED_LINES);                        \
    else packed_rows(work, weights, ahead, row, column, columns, rows, 1);                                       \
    break

static void packed_linear(const fovea_packed_linear *work) {
  const bool few = work->row_count <= FEW_PACKED_ROWS;
  size_t fetched = 0, wanted = work->next ? work->column_count * work->depth * sizeof(float) : 0;
  for (size_t column = 0; column < work->column_count; column += PANEL_VECTORS * LANES) {
    const float *weights = (const float *)work->packed + column * work->depth;
    size_t columns = work->column_count - column;
    size_t row = 0;
    while (row < work->row_count) {
      // 7 to 11 rows are cut into halves: a tile of one or two rows would wait for its multiply-adds.
      size_t left = work->row_count - row;
      size_t rows = left >= 2 * PACKED_ROWS || left == PACKED_ROWS ? PACKED_ROWS : left > PACKED_ROWS ? (left + 1) / 2 : left;
      // Without anything to fetch, what is in the first-level cache already.
      const char *ahead = (const char *)weights;
      if (few) ahead = (const char *)(weights + PANEL_VECTORS * LANES * work->depth);
      else if (fetched < wanted) ahead = (const char *)work->next + fetched;
      fetched += work->depth / PACKED_UNROLL * LINE_BYTES;
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
#undef PACKED_LINES
#undef PACKED_UNROLL
#undef FEW_PACKED_ROWS
#undef LINE_BYTES

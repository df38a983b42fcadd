// The matrix product over packed weights, float32; include after attention_template.h with its float32 layout, whose
// PANEL_VECTORS it uses.
//
// A tile of rows x vectors of columns holds one accumulator a lane and adds along the depth, one step after another, so
// that an output's bits do not depend on the tile: 6 x 4 + 5 of 32 registers, 6 x 2 + 3 of 16.
#define PACKED_ROWS 6
// A line each time: weights of the next call come from memory while those of this one are at work.
#define PREFETCH_BYTES 64
// Steps between two hints. Where instructions are short there are fewer of them.
#define PACKED_UNROLL (LANES == 8 ? 4 : 1)

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

static inline __attribute__((always_inline)) void packed_tile(const fovea_packed_linear *work, const float *weights,
                                                              const char *ahead, size_t row, size_t column,
                                                              size_t columns, const int rows, const int vectors,
                                                              const bool whole) {
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
  for (; step + PACKED_UNROLL <= work->depth; step += PACKED_UNROLL, ahead += PREFETCH_BYTES) {
    __builtin_prefetch(ahead, 0, 2);
#pragma clang loop unroll(full)
    for (size_t i = step; i < step + PACKED_UNROLL; i++) packed_step(sums, x, weights, i, rows, vectors);
  }
  for (; step < work->depth; step++) packed_step(sums, x, weights, step, rows, vectors);
#else
  for (; step < work->depth; step++) {
    __builtin_prefetch(ahead + step * PREFETCH_BYTES, 0, 2);
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

#define PACKED_CALL(rows_constant, vectors_constant, whole)                                                      \
  packed_tile(work, weights, ahead, row, column, columns, rows_constant, vectors_constant, whole)

// `rows` rows of the panel at `column`; only the last panel is not whole.
static inline __attribute__((always_inline)) void packed_rows(const fovea_packed_linear *work, const float *weights,
                                                              const char *ahead, size_t row, size_t column,
                                                              size_t columns, const int rows) {
  if (columns >= PANEL_VECTORS * LANES) {
    PACKED_CALL(rows, PANEL_VECTORS, true);
    return;
  }
  switch ((columns + LANES - 1) / LANES) {
    case 1: PACKED_CALL(rows, 1, false); break;
    case 2: PACKED_CALL(rows, 2, false); break;
#if PANEL_VECTORS == 4
    case 3: PACKED_CALL(rows, 3, false); break;
    default: PACKED_CALL(rows, 4, false); break;
#endif
  }
}

static void packed_linear(const fovea_packed_linear *work) {
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
      const char *ahead = fetched < wanted ? (const char *)work->next + fetched : (const char *)weights;
      fetched += work->depth / PACKED_UNROLL * PREFETCH_BYTES;
      switch (rows) {
        case 1: packed_rows(work, weights, ahead, row, column, columns, 1); break;
        case 2: packed_rows(work, weights, ahead, row, column, columns, 2); break;
        case 3: packed_rows(work, weights, ahead, row, column, columns, 3); break;
        case 4: packed_rows(work, weights, ahead, row, column, columns, 4); break;
        case 5: packed_rows(work, weights, ahead, row, column, columns, 5); break;
        default: packed_rows(work, weights, ahead, row, column, columns, 6); break;
      }
      row += rows;
    }
  }
}
#undef PACKED_CALL
#undef PREFETCH_BYTES
#undef PACKED_UNROLL

// One matrix-product kernel; include after a vector_*.h with these macros, which it undefines:
//   LINEAR_NAME          the function's name
//   ACTIVATION, WEIGHT   the element types in memory
//   STEP                 elements of `depth` in one vector
//   OPERAND              the vector type of an operand
//   LOAD_ACTIVATION(p), LOAD_ACTIVATION_FIRST(p, count), LOAD_WEIGHT(p), LOAD_WEIGHT_FIRST(p, count)
//   MULTIPLY_ADD(acc, activation, weight)
//   MULTIPLY_PANEL       multiply_panel of linear_panel_template.h with this arithmetic
//   PACK_ROWS_NAME       if defined, the name of the function that packs rows of ACTIVATION for it
//
// A tile of rows x columns holds one accumulator vector per output, so that every output has the same order of
// additions in every tile shape: lanes along depth, then the tree of v_reduce.
//
// With `packed_activations`, weights are copied to panels first, a tile's columns side by side, and linear_panel_template.h
// multiplies them.

// How far ahead of a single row's weights memory is asked for; 1024 and 2048 were slower. With LINEAR_SECOND_LEVEL_AHEAD
// it is asked for so many bytes earlier, too, for the second-level cache. The columns of a tile are as many streams, which
// the prefetchers do not follow: for several rows the same place in the next tile's columns is asked for instead, for a
// copy the columns themselves, a few steps ahead. Hints past the end do no harm.
#define PREFETCH_BYTES 4096
#define COPY_PREFETCH_BYTES 256
#define JOIN_NAME_(name, suffix) name##suffix
#define JOIN_NAME(name, suffix) JOIN_NAME_(name, suffix)
#define TILE JOIN_NAME(LINEAR_NAME, _tile)
#define MULTIPLY_STEP JOIN_NAME(LINEAR_NAME, _multiply_step)
#define COPY_PANEL JOIN_NAME(LINEAR_NAME, _copy_panel)
#define FROM_PANELS JOIN_NAME(LINEAR_NAME, _from_panels)

// Adds the products of STEP elements from `k` on.
static inline __attribute__((always_inline)) void MULTIPLY_STEP(V *sums, const ACTIVATION *const *x, const WEIGHT *w,
                                                                ptrdiff_t weight_stride, size_t k, const int rows,
                                                                const int columns, const int first,
                                                                const int step_columns) {
  OPERAND activation[LINEAR_ROWS];
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++) activation[r] = LOAD_ACTIVATION(x[r] + k);
#pragma clang loop unroll(full)
  for (int c = first; c < first + step_columns; c++) {
    OPERAND weight = LOAD_WEIGHT(w + c * weight_stride + (ptrdiff_t)k);
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) sums[r * columns + c] = MULTIPLY_ADD(sums[r * columns + c], activation[r], weight);
  }
}

static inline __attribute__((always_inline)) void TILE(const fovea_linear *work, size_t row, size_t column,
                                                       const int rows, const int columns) {
  V sums[LINEAR_ACCUMULATORS];
  const ACTIVATION *x[LINEAR_ROWS];
  const WEIGHT *w = (const WEIGHT *)work->weights + (ptrdiff_t)column * work->weight_stride;
  const ptrdiff_t weight_stride = work->weight_stride;
#pragma clang loop unroll(full)
  for (int i = 0; i < LINEAR_ACCUMULATORS; i++) sums[i] = v_zero();
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
    x[r] = (const ACTIVATION *)work->activations + (ptrdiff_t)(row + (size_t)r) * work->activation_stride;

  // For one row the weights come out of memory: the fewer columns at a time, the fewer streams for the prefetchers.
  const int streams = LINEAR_ROW1_STREAMS(sizeof(WEIGHT));
  const int step_columns = rows > 1 || columns < streams ? columns : streams;
  const bool is_interleaved = rows == 1 && columns > 1 && streams > 1;
  const size_t stretch = is_interleaved ? 64 / sizeof(WEIGHT) : STEP;
#pragma clang loop unroll(full)
  for (int first = 0; first < columns; first += step_columns) {
    size_t k = 0;
    for (; k + stretch <= work->depth; k += stretch) {
#pragma clang loop unroll(full)
      for (int c = first; c < first + step_columns; c++) {
        const WEIGHT *ahead = w + c * weight_stride + (ptrdiff_t)k;
        if (is_interleaved)
          // The next columns, in the order in which they lie: memory is read fastest that way.
          ahead = w + (first + step_columns) * weight_stride + (ptrdiff_t)k * step_columns +
                  (ptrdiff_t)stretch * (c - first);
        else if (rows == 1) ahead += PREFETCH_BYTES / sizeof(WEIGHT);
        else ahead += columns * weight_stride;
        __builtin_prefetch(ahead);
#ifdef LINEAR_SECOND_LEVEL_AHEAD
        if (rows == 1) __builtin_prefetch((const char *)ahead + LINEAR_SECOND_LEVEL_AHEAD, 0, 2);
#endif
      }
#pragma clang loop unroll(full)
      for (size_t offset = 0; offset < stretch; offset += STEP)
        MULTIPLY_STEP(sums, x, w, weight_stride, k + offset, rows, columns, first, step_columns);
    }
    if (is_interleaved)
      for (; k + STEP <= work->depth; k += STEP)
        MULTIPLY_STEP(sums, x, w, weight_stride, k, rows, columns, first, step_columns);
    const size_t left = work->depth - k;
    if (left == 0) continue;
#pragma clang loop unroll(full)
    for (int c = first; c < first + step_columns; c++) {
      OPERAND weight = LOAD_WEIGHT_FIRST(w + c * weight_stride + (ptrdiff_t)k, left);
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++)
        sums[r * columns + c] = MULTIPLY_ADD(sums[r * columns + c], LOAD_ACTIVATION_FIRST(x[r] + k, left), weight);
    }
  }

  float totals[LINEAR_ACCUMULATORS];
#pragma clang loop unroll(full)
  for (int i = 0; i < LINEAR_ACCUMULATORS; i += LANES)
    if (i < rows * columns) v_store(totals + i, v_reduce(sums + i));
  if (columns == 1) {
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      float *out = work->outputs + (ptrdiff_t)(row + (size_t)r) * work->output_stride + column;
      if (work->bias) totals[r] += work->bias[column];
      *out = work->accumulates ? *out + totals[r] : totals[r];
    }
    return;
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < rows * columns; i += 4) {
    const size_t first = column + (size_t)(i % columns);
    float *out = work->outputs + (ptrdiff_t)(row + (size_t)(i / columns)) * work->output_stride + first;
    linear_four total, term;
    memcpy(&total, totals + i, sizeof total);
    if (work->bias) memcpy(&term, work->bias + first, sizeof term), total += term;
    if (work->accumulates) memcpy(&term, out, sizeof term), total = term + total;
    memcpy(out, &total, sizeof total);
  }
}

// The panel of the columns from `column` on: the vectors of one lane of the steps after those of another, in the order of
// the lanes' places.
static void COPY_PANEL(const fovea_linear *work, size_t column, V *panel) {
  const size_t steps = part_count(work->depth, STEP);
  for (size_t vector = 0; vector < LINEAR_PANEL_VECTORS; vector++) {
    const WEIGHT *source =
        (const WEIGHT *)work->weights + (ptrdiff_t)(column + vector * LANES) * work->weight_stride;
    for (size_t step = 0; step < steps; step++) {
      const size_t k = step * STEP, left = work->depth - k;
      V rows[LANES];
#pragma clang loop unroll(full)
      for (int i = 0; i < LANES; i++) {
        const WEIGHT *p = source + i * work->weight_stride + (ptrdiff_t)k;
        __builtin_prefetch((const char *)p + COPY_PREFETCH_BYTES);
        rows[i] = left >= STEP ? (V)LOAD_WEIGHT(p) : (V)LOAD_WEIGHT_FIRST(p, left);
      }
      store_lanes((float *)(panel + step * LINEAR_PANEL_VECTORS + vector), steps, LINEAR_PANEL_VECTORS * LANES, rows, LANES);
    }
  }
}

// All whole panels; returns where the columns begin that are left.
static size_t FROM_PANELS(const fovea_linear *work) {
  const size_t width = LINEAR_PANEL_VECTORS * LANES, steps = part_count(work->depth, STEP);
  const size_t end = work->column_count / width * width;
  for (size_t column = 0; column < end; column += width) {
    V *panel = (V *)work->panels + column * lane_stride(steps);
    if (!work->panels_hold_weights) COPY_PANEL(work, column, panel);
    const char *next = work->next;
    size_t byte_count = work->next_byte_count;
    if (column + width < end) {
      next = (const char *)((const WEIGHT *)work->weights + (ptrdiff_t)(column + width) * work->weight_stride);
      byte_count = work->panels_hold_weights ? 0 : width * work->depth * sizeof(WEIGHT);
    }
    MULTIPLY_PANEL(work, panel, column, steps, next, byte_count);
  }
  return end;
}

#ifdef PACK_ROWS_NAME
// The rows in blocks, of each the elements of one lane of the steps after those of another, as panels have them.
static void PACK_ROWS_NAME(const fovea_row_pack *work) {
  const size_t steps = part_count(work->depth, STEP);
  const size_t block_stride = fovea_packed_rows_byte_count(FOVEA_ROW_BLOCK, work->depth) / sizeof(float);
  for (size_t block = 0; block < work->row_count; block += FOVEA_ROW_BLOCK) {
    float *packed = (float *)work->packed + block / FOVEA_ROW_BLOCK * block_stride;
    for (size_t group = 0; group < FOVEA_ROW_BLOCK; group += LANES) {
      const size_t width = FOVEA_ROW_BLOCK - group < LANES ? FOVEA_ROW_BLOCK - group : LANES;
      const size_t left_rows = work->row_count - block, present = left_rows < group ? 0 : left_rows - group;
      const ACTIVATION *source = (const ACTIVATION *)work->rows + (ptrdiff_t)(block + group) * work->stride;
      const size_t first_step = work->first / STEP;
      for (size_t step = first_step; step < first_step + part_count(work->column_count, STEP); step++) {
        const size_t k = (step - first_step) * STEP, left = work->column_count - k;
        V rows[LANES];
#pragma clang loop unroll(full)
        for (size_t i = 0; i < LANES; i++) {
          const ACTIVATION *p = source + (ptrdiff_t)i * work->stride + (ptrdiff_t)k;
          rows[i] = v_zero();
          if (i < width && i < present)
            rows[i] = left >= STEP ? (V)LOAD_ACTIVATION(p) : (V)LOAD_ACTIVATION_FIRST(p, left);
        }
        store_lanes(packed + step * FOVEA_ROW_BLOCK + group, steps, FOVEA_ROW_BLOCK, rows, width);
      }
    }
  }
}
#endif

static void LINEAR_NAME(const fovea_linear *work) {
  const size_t row_count = work->row_count;
  size_t column = 0;
  if (work->packed_activations) {
    column = FROM_PANELS(work);
  } else if (row_count == 1) {
    for (; column + LINEAR_ROW1_COLUMNS <= work->column_count; column += LINEAR_ROW1_COLUMNS)
      TILE(work, 0, column, 1, LINEAR_ROW1_COLUMNS);
  }
  for (; column + LINEAR_COLUMNS <= work->column_count; column += LINEAR_COLUMNS) {
    size_t row = 0;
#define TILES(rows_constant) \
  for (; row + rows_constant <= row_count; row += rows_constant) TILE(work, row, column, rows_constant, LINEAR_COLUMNS);
    TILES(LINEAR_ROWS)
    TILES(2)
    TILES(1)
#undef TILES
  }
  for (; column < work->column_count; column++)
    for (size_t row = 0; row < row_count; row++) TILE(work, row, column, 1, 1);
}

#undef TILE
#undef MULTIPLY_STEP
#undef COPY_PANEL
#undef FROM_PANELS
#undef PACK_ROWS_NAME
#undef MULTIPLY_PANEL
#undef JOIN_NAME
#undef JOIN_NAME_
#undef PREFETCH_BYTES
#undef COPY_PREFETCH_BYTES
#undef LINEAR_NAME
#undef ACTIVATION
#undef WEIGHT
#undef STEP
#undef OPERAND
#undef LOAD_ACTIVATION
#undef LOAD_ACTIVATION_FIRST
#undef LOAD_WEIGHT
#undef LOAD_WEIGHT_FIRST
#undef MULTIPLY_ADD

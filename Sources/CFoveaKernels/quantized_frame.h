// How products with quantised weights go through their columns, a vector or a tile of them at a time; include with
// QUANTIZED_LINEAR, the function's name, after
//   FEW_ROWS, VECTOR_COLUMNS, TILE_ROWS, CAREFUL_TILE_ROWS (where weights need care), TILE_VECTORS, TILE_COLUMNS,
//   SPREAD_CODE_BYTES (the most that a spread code takes)
//   NEEDS_CARE(weights)  whether codes of those weights do not fit the tile's products as they are
//   transpose_scales(work, column, scales, biases)
//   multiply_row(work, row, column, p, scales, biases): one row and the columns whose codes begin at p
//   spread_codes(work, column, spread)
//   multiply_tile(work, row, column, spread, scales, biases, scale_count, rows, needs_care)

// The rows from `first` on, one by one, of a vector of columns.
static void multiply_rows(const fovea_quantized_linear *work, size_t first, size_t column, const float *scales,
                          const float *biases) {
  const fovea_quantized_matrix *weights = &work->weights;
  const uint8_t *p[VECTOR_COLUMNS];
  for (size_t c = 0; c < VECTOR_COLUMNS; c++)
    p[c] = weights->codes + (ptrdiff_t)held_column(work, column + c) * weights->code_stride;
  for (size_t row = first; row < work->row_count; row++) multiply_row(work, row, column, p, scales, biases);
}

static void quantized_rows(const fovea_quantized_linear *work) {
  float *scales = work->scratch, *biases = scales + scale_float_count(work, VECTOR_COLUMNS);
  for (size_t column = 0; column < work->column_count; column += VECTOR_COLUMNS) {
    transpose_scales(work, column, scales, biases);
    multiply_rows(work, 0, column, scales, biases);
  }
}

static inline __attribute__((always_inline)) void quantized_tiles(const fovea_quantized_linear *work,
                                                                  const bool needs_care) {
  const size_t scale_count = scale_float_count(work, VECTOR_COLUMNS);
  const size_t tile_rows = needs_care ? CAREFUL_TILE_ROWS : TILE_ROWS;
  // Codes, then scales and biases, one vector of columns after the other.
  void *spread = work->scratch;
  float *scales = (float *)((char *)work->scratch + SPREAD_CODE_BYTES * fovea_code_stride(work->depth) * TILE_COLUMNS);
  float *biases = scales + TILE_VECTORS * scale_count;
  for (size_t column = 0; column < work->column_count; column += TILE_COLUMNS) {
    spread_codes(work, column, spread);
    for (size_t v = 0; v < TILE_VECTORS; v++)
      transpose_scales(work, column + v * VECTOR_COLUMNS, scales + v * scale_count, biases + v * scale_count);
    size_t row = 0;
    for (; row + tile_rows <= work->row_count; row += tile_rows)
      multiply_tile(work, row, column, spread, scales, biases, scale_count, (int)tile_rows, needs_care);
    // A tile of one row takes longer than the product of a row does.
    if (has_row_products(&work->weights)) {
      for (size_t v = 0; v < TILE_VECTORS && column + v * VECTOR_COLUMNS < work->column_count; v++)
        multiply_rows(work, row, column + v * VECTOR_COLUMNS, scales + v * scale_count, biases + v * scale_count);
      continue;
    }
    for (; row < work->row_count; row++)
      multiply_tile(work, row, column, spread, scales, biases, scale_count, 1, needs_care);
  }
}

void QUANTIZED_LINEAR(const fovea_quantized_linear *work) {
  const fovea_quantized_matrix *weights = &work->weights;
  if (work->column_count == 0) return;
  if (work->row_count <= FEW_ROWS && has_row_products(weights)) quantized_rows(work);
  else if (NEEDS_CARE(weights)) quantized_tiles(work, true);
  else quantized_tiles(work, false);
}

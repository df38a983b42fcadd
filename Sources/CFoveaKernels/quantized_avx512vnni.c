// Products with quantised weights for AVX-512 with its byte dot instruction.
#if defined(__x86_64__)
#include "tables.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))), apply_to = function)
#include "vector_avx512.h"

#include "quantized_vnni.h"

void fovea_activation_codes_avx512vnni(const fovea_activation_codes *work) {
  for (size_t row = 0; row < work->row_count; row++) activation_codes_row(work, row);
}

void fovea_quantized_linear_avx512vnni(const fovea_quantized_linear *work) {
  if (work->column_count == 0) return;
  const unsigned bits = work->weights.bits;
  if (work->row_count > FEW_ROWS || !has_row_products(&work->weights)) {
    quantized_tiles(work);
  } else if (bits == 8) {
    quantized_rows_8(work);
  } else if (work->weights.kind == FOVEA_MXFP4) {
    quantized_rows_mxfp4(work);
  } else {
    quantized_rows_4(work);
  }
}
#pragma clang attribute pop
#endif

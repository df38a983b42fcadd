// The matrix-product kernels with float32 arithmetic; include after a vector_*.h and the LINEAR_* tile sizes.
// Activations are widened to float32 too, so bfloat16 pairs work where the CPU has no dot instruction.
#include <string.h>

typedef float linear_four __attribute__((vector_size(16)));

#define NAME(x) x##_float32
#define MULTIPLY_ADD(acc, a, w) v_fma(a, w, acc)
#include "linear_panel_template.h"

#define LINEAR_NAME linear_f32_f32
#define PACK_ROWS_NAME pack_rows_f32
#define ACTIVATION float
#define WEIGHT float
#define STEP LANES
#define OPERAND V
#define LOAD_ACTIVATION(p) v_load(p)
#define LOAD_ACTIVATION_FIRST(p, count) v_load_first(p, count)
#define LOAD_WEIGHT(p) v_load(p)
#define LOAD_WEIGHT_FIRST(p, count) v_load_first(p, count)
#define MULTIPLY_ADD(acc, a, w) v_fma(a, w, acc)
#define MULTIPLY_PANEL multiply_panel_float32
#include "linear_template.h"

#define LINEAR_NAME linear_f32_f16
#define ACTIVATION float
#define WEIGHT uint16_t
#define STEP LANES
#define OPERAND V
#define LOAD_ACTIVATION(p) v_load(p)
#define LOAD_ACTIVATION_FIRST(p, count) v_load_first(p, count)
#define LOAD_WEIGHT(p) v_load_f16(p)
#define LOAD_WEIGHT_FIRST(p, count) v_load_first_f16(p, count)
#define MULTIPLY_ADD(acc, a, w) v_fma(a, w, acc)
#define MULTIPLY_PANEL multiply_panel_float32
#include "linear_template.h"

#define LINEAR_NAME linear_f32_bf16
#define ACTIVATION float
#define WEIGHT uint16_t
#define STEP LANES
#define OPERAND V
#define LOAD_ACTIVATION(p) v_load(p)
#define LOAD_ACTIVATION_FIRST(p, count) v_load_first(p, count)
#define LOAD_WEIGHT(p) v_load_bf16(p)
#define LOAD_WEIGHT_FIRST(p, count) v_load_first_bf16(p, count)
#define MULTIPLY_ADD(acc, a, w) v_fma(a, w, acc)
#define MULTIPLY_PANEL multiply_panel_float32
#include "linear_template.h"

#ifndef LINEAR_WITHOUT_BFLOAT16_PAIRS
#define LINEAR_NAME linear_bf16_bf16
#define PACK_ROWS_NAME pack_rows_bf16
#define ACTIVATION uint16_t
#define WEIGHT uint16_t
#define STEP LANES
#define OPERAND V
#define LOAD_ACTIVATION(p) v_load_bf16(p)
#define LOAD_ACTIVATION_FIRST(p, count) v_load_first_bf16(p, count)
#define LOAD_WEIGHT(p) v_load_bf16(p)
#define LOAD_WEIGHT_FIRST(p, count) v_load_first_bf16(p, count)
#define MULTIPLY_ADD(acc, a, w) v_fma(a, w, acc)
#define MULTIPLY_PANEL multiply_panel_float32
#include "linear_template.h"
#endif

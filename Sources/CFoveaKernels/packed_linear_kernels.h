// The products of packed weights, in float32 and on integers of 16 bits, and the rounding to those; include after
// attention_template.h with its float32 layout, and with
//   INT16_DOT(sums, a, b)  sums + the dot product of the two signed 16-bit integers of each lane
#define NAME(x) x##_float32
#define MULTIPLY_ADD(acc, a, w) v_fma(a, w, acc)
#define GROUP_STEPS 0
#include "packed_linear_template.h"

#include "int16_rounding.h"
#define NAME(x) x##_int16
#define MULTIPLY_ADD(acc, a, w) (V)INT16_DOT((I)(acc), (I)(a), (I)(w))
#define GROUP_STEPS (FOVEA_INT16_GROUP / 2)
#include "packed_linear_template.h"
#undef INT16_DOT

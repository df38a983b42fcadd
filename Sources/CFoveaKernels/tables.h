// The tables that the instruction-set files define; private to this module.
#ifndef FOVEA_TABLES_H
#define FOVEA_TABLES_H

#include "include/fovea_kernels.h"

extern const fovea_kernels fovea_kernels_scalar;
#if defined(__x86_64__)
extern const fovea_kernels fovea_kernels_avx2;
extern const fovea_kernels fovea_kernels_avxvnni;
extern const fovea_kernels fovea_kernels_avx512;
extern const fovea_kernels fovea_kernels_avx512vnni;
extern const fovea_kernels fovea_kernels_avx512bf16;

// Entries that several tables share.
void fovea_activation_codes_avx2(const fovea_activation_codes *work);
void fovea_quantized_linear_avx2(const fovea_quantized_linear *work);
void fovea_quantized_linear_avxvnni(const fovea_quantized_linear *work);
void fovea_activation_codes_avx512vnni(const fovea_activation_codes *work);
void fovea_quantized_linear_avx512vnni(const fovea_quantized_linear *work);
#elif defined(__aarch64__)
extern const fovea_kernels fovea_kernels_neon;
extern const fovea_kernels fovea_kernels_dotprod;

// Entries that several tables share.
void fovea_activation_codes_neon(const fovea_activation_codes *work);
void fovea_quantized_linear_neon(const fovea_quantized_linear *work);
void fovea_quantized_linear_dotprod(const fovea_quantized_linear *work);
#endif

static inline size_t fovea_element_size(fovea_element element) { return element == FOVEA_FLOAT32 ? 4 : 2; }

#endif

// The part of DLPack that Fovea's C API takes tensors by; fovea.h includes it.
#ifndef FOVEA_DLPACK_H
#define FOVEA_DLPACK_H

#include <stdint.h>

// DLPack's tensor (https://github.com/dmlc/dlpack, major version 1). Include <dlpack/dlpack.h> before this header to
// use its own declarations: the layout is the same.
#ifndef DLPACK_DLPACK_H_
#define DLPACK_DLPACK_H_

typedef int32_t DLDeviceType;
enum { kDLCPU = 1 };

typedef struct {
  DLDeviceType device_type;
  int32_t device_id;
} DLDevice;

enum { kDLInt = 0, kDLUInt = 1, kDLFloat = 2, kDLOpaqueHandle = 3, kDLBfloat = 4, kDLComplex = 5, kDLBool = 6 };

typedef struct {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
} DLDataType;

typedef struct {
  void *data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape;
  int64_t *strides;  // in elements; null means row-major
  uint64_t byte_offset;
} DLTensor;

#endif

#endif

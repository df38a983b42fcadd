// Fovea's C API, first part: the attention op over DLPack tensors. Link libFoveaC.
//
// Every function may be called from any thread. A function that fails returns a status other than FOVEA_OK, leaves its
// outputs undefined, and says what was wrong in fovea_last_error(). No function aborts on bad arguments; pointers that
// are not null must point to what their type says.
#ifndef FOVEA_H
#define FOVEA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

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

// What became of a call.
typedef int32_t fovea_status;
enum {
  FOVEA_OK = 0,
  FOVEA_INVALID_ARGUMENT = 1,  // a null pointer, a shape, a type or an option that does not fit
  FOVEA_UNSUPPORTED = 2,       // a device or element type that Fovea does not compute with
  FOVEA_INTERNAL_ERROR = 3     // a fault of Fovea itself
};

// The name of a status, such as "invalid argument". Never null, never to be freed.
const char *fovea_status_name(fovea_status status);

// What was wrong with the calling thread's last call that failed; empty if none did. Valid until the thread's next
// failing call; not to be freed.
const char *fovea_last_error(void);

// The version of the library, such as "0.1.0".
const char *fovea_version(void);

// Which keys a query sees.
typedef int32_t fovea_mask_kind;
enum {
  FOVEA_MASK_NONE = 0,
  FOVEA_MASK_CAUSAL = 1,  // lower-right aligned: key j is visible to query i if j <= i + key_length - query_length
  FOVEA_MASK_ARRAY = 2    // the options' mask
};

// What fovea_attention does besides the softmax of scaled scores. Set it to zeros, then struct_size, then the rest.
typedef struct {
  size_t struct_size;              // sizeof(fovea_attention_options)
  fovea_mask_kind mask_kind;
  int32_t thread_count;            // 0: as many as the process may use
  const DLTensor *mask;            // at most 4 dimensions, broadcast to [batch, heads, query_length, key_length];
                                   // Boolean (true = attend) or added to the scores
  const DLTensor *sinks;           // [heads]: one logit a query head joins the softmax without a value; or null
  int64_t window;                  // a query sees the last `window` keys only; 0: all
  float soft_cap;                  // scores become soft_cap * tanh(score / soft_cap); 0: they do not
  const int64_t *packed_lengths;   // lengths of packed sequences, block-diagonal; or null
  size_t packed_length_count;
} fovea_attention_options;

// output = softmax(scale * queries * keys^T + mask) * values.
//
// queries [batch, heads, query_length, d], keys [batch, kv_heads, key_length, d], values [batch, kv_heads, key_length,
// dv], output [batch, heads, query_length, dv]; heads is a multiple of kv_heads. float16, bfloat16, float32 or float64,
// any strides; the output has the promoted type of queries, keys and values, is written in place, and overlaps no
// input. log_sum_exp, float32 [batch, heads, query_length], may be null. options may be null.
fovea_status fovea_attention(const DLTensor *queries, const DLTensor *keys, const DLTensor *values, float scale,
                             const fovea_attention_options *options, DLTensor *output, DLTensor *log_sum_exp);

// For the library itself: what fovea_last_error gives to this thread from now on, cut to 1023 bytes.
void fovea_set_last_error(const char *message);

#ifdef __cplusplus
}
#endif

#endif

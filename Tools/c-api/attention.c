// The attention op from C: two heads that share one key/value head, causal. `run` beside it builds and starts it.
#include <fovea.h>
#include <stdio.h>

static DLTensor tensor(float *data, int64_t shape[4]) {
  return (DLTensor){.data = data, .device = {kDLCPU, 0}, .ndim = 4, .dtype = {kDLFloat, 32, 1}, .shape = shape};
}

int main(void) {
  float queries[2 * 3 * 4], keys[3 * 4], values[3 * 4], outputs[2 * 3 * 4];
  for (int i = 0; i < 24; i++) queries[i] = (float)(i % 5) - 2;
  for (int i = 0; i < 12; i++) keys[i] = (float)(i % 3) - 1, values[i] = (float)i;
  DLTensor q = tensor(queries, (int64_t[]){1, 2, 3, 4}), k = tensor(keys, (int64_t[]){1, 1, 3, 4});
  DLTensor v = tensor(values, (int64_t[]){1, 1, 3, 4}), o = tensor(outputs, (int64_t[]){1, 2, 3, 4});
  fovea_attention_options options = {.struct_size = sizeof options, .mask_kind = FOVEA_MASK_CAUSAL};

  fovea_status status = fovea_attention(&q, &k, &v, 0.5f, &options, &o, NULL);
  if (status != FOVEA_OK) {
    fprintf(stderr, "%s: %s\n", fovea_status_name(status), fovea_last_error());
    return 1;
  }
  // The first query of each head sees the first key only: its value comes back as it is.
  for (int i = 0; i < 4; i++)
    if (outputs[i] != values[i] || outputs[12 + i] != values[i]) return 1;
  printf("Fovea %s: the first rows are the first value, as they must be\n", fovea_version());

  // An error says what does not fit.
  k.shape = (int64_t[]){1, 1, 3, 5};
  status = fovea_attention(&q, &k, &v, 0.5f, &options, &o, NULL);
  printf("%s: %s\n", fovea_status_name(status), fovea_last_error());
  return status == FOVEA_INVALID_ARGUMENT ? 0 : 1;
}

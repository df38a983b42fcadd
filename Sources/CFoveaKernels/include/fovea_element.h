// The storage types that kernels read and write.
#ifndef FOVEA_ELEMENT_H
#define FOVEA_ELEMENT_H

typedef enum {
  FOVEA_FLOAT32 = 0,
  FOVEA_FLOAT16 = 1,
  FOVEA_BFLOAT16 = 2,
} fovea_element;
#define FOVEA_ELEMENT_COUNT 3

#endif

// What the examples share: a failed call ends the program with its text.
#ifndef FOVEA_EXAMPLE_H
#define FOVEA_EXAMPLE_H

#include <fovea.h>
#include <stdio.h>
#include <stdlib.h>

static inline void check(fovea_status status, const char *call) {
  if (status == FOVEA_OK) return;
  fprintf(stderr, "%s: %s: %s\n", call, fovea_status_name(status), fovea_last_error());
  exit(1);
}

#define CHECK(call) check((call), #call)

#endif

// The parts of the C API that need no Swift: texts, and the calling thread's last error.
#include "include/fovea.h"

#include <string.h>

static _Thread_local char last_error[1024];

void fovea_set_last_error(const char *message) {
  strncpy(last_error, message, sizeof last_error - 1);
  last_error[sizeof last_error - 1] = 0;
}

const char *fovea_last_error(void) { return last_error; }

const char *fovea_version(void) { return "0.1.0"; }

const char *fovea_status_name(fovea_status status) {
  switch (status) {
    case FOVEA_OK: return "ok";
    case FOVEA_INVALID_ARGUMENT: return "invalid argument";
    case FOVEA_UNSUPPORTED: return "unsupported";
    case FOVEA_INTERNAL_ERROR: return "internal error";
    default: return "unknown status";
  }
}

// The parts of the C API that need no Swift: texts, and the calling thread's last error.
#include "include/fovea.h"
#include "include/fovea_last_error.h"

#include <string.h>

static _Thread_local char last_error[1024];

void fovea_set_last_error(const char *message) {
  size_t count = strlen(message);
  if (count >= sizeof last_error) {
    count = sizeof last_error - 1;
    // Back to the first byte of the character that would be cut.
    while (count > 0 && (message[count] & 0xC0) == 0x80) count--;
  }
  memcpy(last_error, message, count);
  last_error[count] = 0;
}

const char *fovea_last_error(void) { return last_error; }

const char *fovea_version(void) { return "0.1.0"; }

const char *fovea_status_name(fovea_status status) {
  switch (status) {
    case FOVEA_OK: return "ok";
    case FOVEA_INVALID_ARGUMENT: return "invalid argument";
    case FOVEA_UNSUPPORTED: return "unsupported";
    case FOVEA_INTERNAL_ERROR: return "internal error";
    case FOVEA_INVALID_HANDLE: return "invalid handle";
    case FOVEA_BUFFER_TOO_SMALL: return "buffer too small";
    case FOVEA_NOT_FOUND: return "not found";
    case FOVEA_BAD_DATA: return "bad data";
    case FOVEA_BUSY: return "busy";
    default: return "unknown status";
  }
}

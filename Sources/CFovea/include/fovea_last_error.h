// For the library itself, which does not export it.
#ifndef FOVEA_LAST_ERROR_H
#define FOVEA_LAST_ERROR_H

// What fovea_last_error gives to this thread from now on, cut to 1023 bytes, but never within a character.
void fovea_set_last_error(const char *message);

#endif

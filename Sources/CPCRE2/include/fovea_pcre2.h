// The bridge to PCRE2: a pattern in, the ranges of its matches out.
//
// Texts and patterns are UTF-8, checked by the caller. Classes such as \s and \w follow Unicode. Every search is bounded
// in steps and memory, so that a hostile pattern ends in an error.
#ifndef FOVEA_PCRE2_H
#define FOVEA_PCRE2_H

#include <stddef.h>
#include <stdint.h>

/// A compiled pattern. It never changes: any number of threads may search with it at once.
typedef struct fovea_regex fovea_regex;

/// What one thread needs for searches with one pattern.
typedef struct fovea_regex_matcher fovea_regex_matcher;

/// Compiles `pattern`. `^` and `$` match at line ends, which are `\n` only. NULL, with a message that is cut to fit and
/// ends with NUL, where it is not valid.
fovea_regex *fovea_regex_create(const uint8_t *pattern, size_t pattern_byte_count, char *message,
                                size_t message_byte_count);

/// Frees a pattern. NULL is allowed.
void fovea_regex_destroy(fovea_regex *regex);

/// Makes a matcher, which must not outlive `regex`. NULL where memory is short.
fovea_regex_matcher *fovea_regex_matcher_create(const fovea_regex *regex);

/// Frees a matcher. NULL is allowed.
void fovea_regex_matcher_destroy(fovea_regex_matcher *matcher);

/// Searches the whole of `text`. Returns 0, or PCRE2's error code where a limit is reached. Then `*ranges` points to
/// `*count` pairs of byte offsets, start and end, which the matcher owns and overwrites with the next search.
int fovea_regex_find_all(fovea_regex_matcher *matcher, const uint8_t *text, size_t byte_count, const size_t **ranges,
                         size_t *count);

#endif

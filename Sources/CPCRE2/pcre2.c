#include "fovea_pcre2.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

// A search may take this many steps and as many more for each byte of the text.
enum { base_step_limit = 500000, steps_per_byte = 50 };
enum { heap_limit_kibibytes = 64 * 1024, pattern_byte_count_limit = 64 * 1024 };

struct fovea_regex {
  pcre2_code *code;
};

struct fovea_regex_matcher {
  const pcre2_code *code;
  pcre2_match_data *data;
  pcre2_match_context *context;
  size_t *ranges;
  size_t capacity;
};

fovea_regex *fovea_regex_create(const uint8_t *pattern, size_t pattern_byte_count, char *message,
                                size_t message_byte_count) {
  fovea_regex *regex = malloc(sizeof *regex);
  pcre2_compile_context *context = pcre2_compile_context_create(NULL);
  if (regex == NULL || context == NULL) {
    free(regex);
    pcre2_compile_context_free(context);
    snprintf(message, message_byte_count, "out of memory");
    return NULL;
  }
  pcre2_set_newline(context, PCRE2_NEWLINE_LF);
  pcre2_set_max_pattern_length(context, pattern_byte_count_limit);
  int code = 0;
  PCRE2_SIZE offset = 0;
  regex->code = pcre2_compile(pattern, pattern_byte_count, PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                              &code, &offset, context);
  pcre2_compile_context_free(context);
  if (regex->code == NULL) {
    PCRE2_UCHAR text[200];
    pcre2_get_error_message(code, text, sizeof text);
    snprintf(message, message_byte_count, "%s at byte %zu", (const char *)text, (size_t)offset);
    free(regex);
    return NULL;
  }
  // Where the processor or the system forbids compilation, the interpreter serves.
  (void)pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE);
  return regex;
}

void fovea_regex_destroy(fovea_regex *regex) {
  if (regex == NULL) return;
  pcre2_code_free(regex->code);
  free(regex);
}

fovea_regex_matcher *fovea_regex_matcher_create(const fovea_regex *regex) {
  fovea_regex_matcher *matcher = calloc(1, sizeof *matcher);
  if (matcher == NULL) return NULL;
  matcher->code = regex->code;
  matcher->data = pcre2_match_data_create(1, NULL);
  matcher->context = pcre2_match_context_create(NULL);
  if (matcher->data == NULL || matcher->context == NULL) {
    fovea_regex_matcher_destroy(matcher);
    return NULL;
  }
  pcre2_set_heap_limit(matcher->context, heap_limit_kibibytes);
  return matcher;
}

void fovea_regex_matcher_destroy(fovea_regex_matcher *matcher) {
  if (matcher == NULL) return;
  pcre2_match_data_free(matcher->data);
  pcre2_match_context_free(matcher->context);
  free(matcher->ranges);
  free(matcher);
}

static int append_range(fovea_regex_matcher *matcher, size_t count, size_t start, size_t end) {
  if (count == matcher->capacity) {
    const size_t capacity = matcher->capacity == 0 ? 64 : 2 * matcher->capacity;
    size_t *ranges = realloc(matcher->ranges, 2 * capacity * sizeof *ranges);
    if (ranges == NULL) return PCRE2_ERROR_NOMEMORY;
    matcher->ranges = ranges;
    matcher->capacity = capacity;
  }
  matcher->ranges[2 * count] = start;
  matcher->ranges[2 * count + 1] = end;
  return 0;
}

int fovea_regex_find_all(fovea_regex_matcher *matcher, const uint8_t *text, size_t byte_count, const size_t **ranges,
                         size_t *count) {
  *ranges = NULL;
  *count = 0;
  const size_t limit = base_step_limit + steps_per_byte * byte_count;
  pcre2_set_match_limit(matcher->context, limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit);
  const PCRE2_SIZE *found = pcre2_get_ovector_pointer(matcher->data);
  size_t match_count = 0, position = 0, last_end = SIZE_MAX;
  while (position <= byte_count) {
    int code = pcre2_match(matcher->code, text, byte_count, position, PCRE2_NO_UTF_CHECK, matcher->data, matcher->context);
    if (code == PCRE2_ERROR_JIT_STACKLIMIT) {
      code = pcre2_match(matcher->code, text, byte_count, position, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, matcher->data,
                         matcher->context);
    }
    if (code == PCRE2_ERROR_NOMATCH) break;
    if (code < 0) return code;
    // \K inside a lookahead can give a start after the end, or before the search: no match for a splitter.
    size_t start = found[0], end = found[1];
    if (start > end || start < position) return PCRE2_ERROR_BADOFFSET;
    if (start == end) {
      // An empty match right behind the last one is none; the search goes on one character further.
      if (start != last_end) {
        const int failure = append_range(matcher, match_count, start, end);
        if (failure != 0) return failure;
        match_count += 1;
      }
      position = end + 1;
      while (position < byte_count && (text[position] & 0xC0) == 0x80) position += 1;
    } else {
      const int failure = append_range(matcher, match_count, start, end);
      if (failure != 0) return failure;
      match_count += 1;
      position = end;
    }
    last_end = end;
  }
  *ranges = matcher->ranges;
  *count = match_count;
  return 0;
}

// Loads and frees everything many times and watches the memory: soak FOLDER [LOAD_COUNT]. Ends with 1 if it grows.
#include <unistd.h>

#include "example.h"

static void load_and_free(const char *folder) {
  fovea_model *model;
  fovea_tokenizer *tokenizer;
  fovea_detokenizer *detokenizer;
  fovea_session *session;
  fovea_embedder *embedder;
  CHECK(fovea_model_load(folder, NULL, &model));
  CHECK(fovea_model_tokenizer(model, &tokenizer));
  CHECK(fovea_detokenizer_create(tokenizer, 0, &detokenizer));
  CHECK(fovea_session_create(model, &session));
  CHECK(fovea_embedder_load(folder, NULL, &embedder));

  int32_t tokens[64];
  size_t count, byte_count;
  char text[64];
  CHECK(fovea_tokenizer_encode(tokenizer, "Once upon a time", FOVEA_ZERO_TERMINATED, 0, tokens, 64, &count));
  for (size_t i = 0; i < count; i++)
    CHECK(fovea_detokenizer_append(detokenizer, tokens[i], text, sizeof text, &byte_count));
  fovea_generation_options options = {.struct_size = sizeof options};
  CHECK(fovea_model_generation_defaults(model, &options));
  options.max_tokens = 4;
  CHECK(fovea_session_generate(session, tokens, count, &options, NULL, NULL, NULL));
  const char *texts[] = {"The cat sat on the mat."};
  float *vectors = malloc(4096 * sizeof *vectors);
  CHECK(fovea_embedder_embed(embedder, texts, NULL, 1, NULL, vectors, 4096, NULL, NULL));
  free(vectors);
  // Errors keep nothing either.
  if (fovea_session_trim(session, 1000) != FOVEA_INVALID_ARGUMENT) exit(1);

  CHECK(fovea_model_free(model));
  CHECK(fovea_session_free(session));
  CHECK(fovea_detokenizer_free(detokenizer));
  CHECK(fovea_tokenizer_free(tokenizer));
  CHECK(fovea_embedder_free(embedder));
}

// The resident bytes of the process that no file backs: mapped weights come and go with the page cache.
static long resident_bytes(void) {
  FILE *file = fopen("/proc/self/statm", "r");
  long pages = 0, shared = 0;
  if (!file || fscanf(file, "%*d %ld %ld", &pages, &shared) != 2) {
    fprintf(stderr, "/proc/self/statm cannot be read\n");
    exit(1);
  }
  fclose(file);
  return (pages - shared) * sysconf(_SC_PAGESIZE);
}

// The most that was resident after any of so many loads: what allocators keep goes up and down by a MiB.
static long most_resident_bytes(const char *folder, int load_count) {
  long most = 0;
  for (int i = 0; i < load_count; i++) {
    load_and_free(folder);
    const long bytes = resident_bytes();
    if (bytes > most) most = bytes;
  }
  return most;
}

int main(int argument_count, char **arguments) {
  if (argument_count < 2) {
    fprintf(stderr, "usage: %s FOLDER [LOAD_COUNT]\n", arguments[0]);
    return 64;
  }
  int load_count = argument_count > 2 ? atoi(arguments[2]) : 200;
  // As many loads before: allocators and lazily made tables fill up first.
  const long before = most_resident_bytes(arguments[1], load_count);
  const long growth = most_resident_bytes(arguments[1], load_count) - before;
  printf("%d loads: memory grew by %ld KiB from %ld KiB\n", load_count, growth / 1024, before / 1024);
  // Less than 10 KiB a load of everything: nothing that was loaded stays.
  return growth <= 10240L * load_count ? 0 : 1;
}

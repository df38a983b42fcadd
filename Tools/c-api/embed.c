// Embeds texts and prints how alike they are: embed FOLDER TEXT... The first text is compared with every other.
#include "example.h"

int main(int argument_count, char **arguments) {
  if (argument_count < 4) {
    fprintf(stderr, "usage: %s FOLDER TEXT TEXT...\n", arguments[0]);
    return 64;
  }
  fovea_embedder *embedder;
  CHECK(fovea_embedder_load(arguments[1], NULL, &embedder));
  fovea_embedder_properties properties = {.struct_size = sizeof properties};
  CHECK(fovea_embedder_get_properties(embedder, &properties));

  size_t text_count = (size_t)argument_count - 2, dimensions = (size_t)properties.dimensions;
  float *vectors = malloc(text_count * dimensions * sizeof *vectors);
  int32_t *truncated = malloc(text_count * sizeof *truncated);
  fovea_embedding_options options = {.struct_size = sizeof options, .normalization = FOVEA_NORMALIZE_YES};
  CHECK(fovea_embedder_embed(embedder, (const char *const *)(arguments + 2), NULL, text_count, &options, vectors,
                             text_count * dimensions, NULL, truncated));

  for (size_t text = 0; text < text_count; text++) {
    // Vectors of length 1: the cosine is the dot product.
    double cosine = 0;
    for (size_t i = 0; i < dimensions; i++) cosine += (double)vectors[i] * vectors[text * dimensions + i];
    printf("%.6f  %s%s\n", cosine, arguments[text + 2], truncated[text] ? "  (its end was cut off)" : "");
  }
  free(vectors);
  free(truncated);
  CHECK(fovea_embedder_free(embedder));
  return 0;
}

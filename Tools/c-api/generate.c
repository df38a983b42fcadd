// Generates text: generate FOLDER PROMPT [MAX_TOKENS]. The text comes as it is made; then the session goes on by hand.
#include "example.h"

static int32_t show(const fovea_piece *piece, void *user_data) {
  fwrite(piece->text, 1, piece->byte_count, stdout);
  fflush(stdout);
  *(int *)user_data += piece->token >= 0;
  return 0;  // go on
}

static int32_t likeliest(const float *logits, size_t count) {
  size_t best = 0;
  for (size_t i = 1; i < count; i++)
    if (logits[i] > logits[best]) best = i;
  return (int32_t)best;
}

int main(int argument_count, char **arguments) {
  if (argument_count < 3) {
    fprintf(stderr, "usage: %s FOLDER PROMPT [MAX_TOKENS]\n", arguments[0]);
    return 64;
  }
  fovea_model *model;
  CHECK(fovea_model_load(arguments[1], NULL, &model));
  fovea_model_properties properties = {.struct_size = sizeof properties};
  CHECK(fovea_model_get_properties(model, &properties));
  fprintf(stderr, "%s, %lld parameters in %s, %d threads, %s\n", properties.model_type,
          (long long)properties.parameter_count, properties.weight_type, properties.thread_count,
          properties.instruction_set);

  // The model's own options, but always the likeliest token.
  fovea_generation_options options = {.struct_size = sizeof options};
  CHECK(fovea_model_generation_defaults(model, &options));
  options.temperature = 0;
  options.max_tokens = argument_count > 3 ? atoi(arguments[3]) : 40;

  fovea_session *session;
  CHECK(fovea_session_create(model, &session));
  int token_count = 0;
  fovea_generation_summary summary = {.struct_size = sizeof summary};
  printf("%s", arguments[2]);
  CHECK(fovea_session_generate_text(session, arguments[2], FOVEA_ZERO_TERMINATED, &options, show, &token_count,
                                    &summary));
  printf("\n");
  fprintf(stderr, "%d tokens after %lld of the prompt\n", token_count, (long long)summary.prompt_token_count);

  // The same by hand: the session goes back to the prompt and evaluates token by token.
  size_t prompt_count = (size_t)summary.prompt_token_count, length;
  CHECK(fovea_session_length(session, &length));
  int32_t *tokens = malloc(length * sizeof *tokens);
  CHECK(fovea_session_tokens(session, tokens, length, NULL));
  size_t vocabulary_size = (size_t)properties.vocabulary_size;
  float *logits = malloc(vocabulary_size * sizeof *logits);
  CHECK(fovea_session_trim(session, prompt_count - 1));
  for (size_t i = prompt_count; i < length; i++) {
    CHECK(fovea_session_evaluate(session, tokens + i - 1, 1, FOVEA_LOGITS_LAST, logits, vocabulary_size, NULL));
    // The options' penalties are off in the bundled model, so the likeliest token is what was generated.
    if (options.repetition_penalty == 1 && likeliest(logits, vocabulary_size) != tokens[i]) {
      fprintf(stderr, "token %zu is another one than before\n", i);
      return 1;
    }
  }

  // A mistake gives a status and a text.
  int32_t wrong = (int32_t)vocabulary_size;
  fovea_status status = fovea_session_evaluate(session, &wrong, 1, FOVEA_LOGITS_NONE, NULL, 0, NULL);
  fprintf(stderr, "%s: %s\n", fovea_status_name(status), fovea_last_error());

  free(tokens);
  free(logits);
  CHECK(fovea_session_free(session));
  CHECK(fovea_model_free(model));
  return status == FOVEA_INVALID_ARGUMENT ? 0 : 1;
}

#include "fovea_sentencepiece.h"

#include <sentencepiece_processor.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <vector>

namespace sentencepiece {
namespace logging {
// Exported by every version of the library but declared in none of its installed headers.
void SetMinLogLevel(int level);
}  // namespace logging
}  // namespace sentencepiece

struct fovea_sentencepiece {
  sentencepiece::SentencePieceProcessor processor;
};

namespace {

// Above the library's highest level (fatal is 3), so that it writes nothing to standard error.
constexpr int silent_log_level = 4;

void set_message(char *message, size_t byte_count, const char *text) {
  if (message != nullptr && byte_count > 0) std::snprintf(message, byte_count, "%s", text);
}

}  // namespace

fovea_sentencepiece *fovea_sentencepiece_create(const void *model, size_t model_byte_count, char *message,
                                                size_t message_byte_count) {
  try {
    sentencepiece::logging::SetMinLogLevel(silent_log_level);
    auto result = std::make_unique<fovea_sentencepiece>();
    const absl::string_view bytes(static_cast<const char *>(model), model_byte_count);
    const auto status = result->processor.LoadFromSerializedProto(bytes);
    if (status.ok()) return result.release();
    set_message(message, message_byte_count, status.error_message());
  } catch (const std::exception &error) {
    set_message(message, message_byte_count, error.what());
  } catch (...) {
    set_message(message, message_byte_count, "unknown exception");
  }
  return nullptr;
}

void fovea_sentencepiece_destroy(fovea_sentencepiece *model) { delete model; }

int32_t fovea_sentencepiece_piece_count(const fovea_sentencepiece *model) { return model->processor.GetPieceSize(); }

int fovea_sentencepiece_encode(const fovea_sentencepiece *model, const char *text, size_t text_byte_count,
                               int32_t **tokens, size_t *token_count, char *message, size_t message_byte_count) {
  *tokens = nullptr;
  *token_count = 0;
  try {
    std::vector<int> ids;
    const auto status = model->processor.Encode(absl::string_view(text, text_byte_count), &ids);
    if (!status.ok()) {
      set_message(message, message_byte_count, status.error_message());
      return 0;
    }
    static_assert(sizeof(int) == sizeof(int32_t), "token ids are copied as they are");
    const size_t byte_count = ids.size() * sizeof(int32_t);
    auto *copy = static_cast<int32_t *>(std::malloc(byte_count > 0 ? byte_count : 1));
    if (copy == nullptr) {
      set_message(message, message_byte_count, "out of memory");
      return 0;
    }
    if (byte_count > 0) std::memcpy(copy, ids.data(), byte_count);
    *tokens = copy;
    *token_count = ids.size();
    return 1;
  } catch (const std::exception &error) {
    set_message(message, message_byte_count, error.what());
  } catch (...) {
    set_message(message, message_byte_count, "unknown exception");
  }
  return 0;
}

void fovea_sentencepiece_free_tokens(int32_t *tokens) { std::free(tokens); }

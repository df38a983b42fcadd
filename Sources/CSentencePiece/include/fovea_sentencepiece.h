// The bridge to libsentencepiece: text in, token ids out.
//
// Pieces, scores and types are read by Swift, which checks every model before it comes here (the library of the
// distribution reads out of bounds on hostile files), and text is put together from tokens there too, so that the whole
// and the streamed text come from the same code. What remains for the library is the segmentation.
//
// No function prints, exits or lets a C++ exception out. A call that can fail takes a buffer for a message, which is cut
// to fit and always ends with NUL.
#ifndef FOVEA_SENTENCEPIECE_H
#define FOVEA_SENTENCEPIECE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A loaded model. Encoding with one model from several threads at once is safe.
typedef struct fovea_sentencepiece fovea_sentencepiece;

/// Loads a serialized ModelProto of `model_byte_count` bytes, which are copied. NULL, with a message, where it fails.
fovea_sentencepiece *fovea_sentencepiece_create(const void *model, size_t model_byte_count, char *message,
                                                size_t message_byte_count);

/// Frees a model. NULL is allowed.
void fovea_sentencepiece_destroy(fovea_sentencepiece *model);

/// The number of pieces.
int32_t fovea_sentencepiece_piece_count(const fovea_sentencepiece *model);

/// Splits `text` into tokens; each byte that is not part of valid UTF-8 counts as U+FFFD, and NUL is a character like
/// any other. Returns whether it succeeded. Then `*tokens` holds `*token_count` ids and is freed by
/// `fovea_sentencepiece_free_tokens`; otherwise it is NULL and there is a message.
int fovea_sentencepiece_encode(const fovea_sentencepiece *model, const char *text, size_t text_byte_count,
                               int32_t **tokens, size_t *token_count, char *message, size_t message_byte_count);

/// Frees what `fovea_sentencepiece_encode` gave. NULL is allowed.
void fovea_sentencepiece_free_tokens(int32_t *tokens);

#ifdef __cplusplus
}
#endif

#endif

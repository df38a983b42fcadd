// Fovea's C API: models, tokenizers, text generation, logits, embeddings, and the attention op. Link libFoveaC.
//
// Calls. A function gives a status; one other than FOVEA_OK leaves what it would have written undefined unless it says
// more, and fovea_last_error() tells what was wrong. Bad arguments never abort the process. Pointers that are not null
// must point to as much as their type and the count beside them say; a count beyond what can be is refused unread.
//
// Handles. `fovea_model *` and its like are names of objects, not addresses: they are looked up, so that a handle that
// was freed, is of another kind, or never was one gives FOVEA_INVALID_HANDLE. Whoever got a handle frees it with its
// `..._free`, in any order: a session keeps what it needs of its model. Freeing null does nothing.
//
// Threads. Every function may be called from any thread; it computes on it and on threads of the library. Models,
// tokenizers and embedders may be used by several threads at once; what they compute takes turns. A session or a
// detokenizer does one call at a time: another one meanwhile, be it from inside its callback, gives FOVEA_BUSY.
// A handle may be freed while a call uses it; the call ends as if it were not.
//
// Results of variable length go to the caller's buffer of `capacity` elements, and their length to the pointer behind
// it, which may be null if the buffer is not. A null buffer with capacity 0 only asks for the length. A buffer that is
// too short gives FOVEA_BUFFER_TOO_SMALL, the length nonetheless, and changes nothing. Texts are UTF-8, get a zero
// byte at their end, for which there must be room, and their length is without it. Bytes of a caller's text that are
// not UTF-8 count as U+FFFD. Tokens are ids from 0 to vocabulary_size - 1.
//
// Structs. Set struct_size to the struct's sizeof before a call, also of those that the call fills in.
#ifndef FOVEA_H
#define FOVEA_H

#include <stddef.h>
#include <stdint.h>

#include "fovea_dlpack.h"

#ifdef __cplusplus
extern "C" {
#endif

// What became of a call.
typedef int32_t fovea_status;
enum {
  FOVEA_OK = 0,
  FOVEA_INVALID_ARGUMENT = 1,   // a null pointer, a shape, a type, a token or an option that does not fit
  FOVEA_UNSUPPORTED = 2,        // a device or element type that Fovea does not compute with
  FOVEA_INTERNAL_ERROR = 3,     // a fault of Fovea itself
  FOVEA_INVALID_HANDLE = 4,     // a handle that is null, was freed, is of another kind, or never was one
  FOVEA_BUFFER_TOO_SMALL = 5,   // the result is longer than the caller's buffer
  FOVEA_NOT_FOUND = 6,          // a file, folder, tokenizer or chat template that is not there or cannot be read
  FOVEA_BAD_DATA = 7,           // a file or text that breaks its format's rules, or a model that is not supported
  FOVEA_BUSY = 8                // another call uses the session or detokenizer
};

// The name of a status, such as "invalid argument". Never null, never to be freed.
const char *fovea_status_name(fovea_status status);

// What was wrong with the calling thread's last call that failed; empty if none did. Valid until the thread's next
// failing call; not to be freed.
const char *fovea_last_error(void);

// The version of the library, such as "0.1.0". Never to be freed.
const char *fovea_version(void);

typedef struct fovea_model fovea_model;              // a decoder with its tokenizer, if its folder has one
typedef struct fovea_tokenizer fovea_tokenizer;
typedef struct fovea_detokenizer fovea_detokenizer;  // one text that is decoded token by token
typedef struct fovea_session fovea_session;          // one text that a model has read, with its cache
typedef struct fovea_embedder fovea_embedder;        // texts in, vectors out

// As a byte_count: the text ends with a zero byte.
#define FOVEA_ZERO_TERMINATED ((size_t)-1)

// ---- Models ----

// In which type activations enter products, and the cache is kept.
typedef int32_t fovea_precision;
enum {
  FOVEA_PRECISION_NATIVE = 0,   // the checkpoint's type
  FOVEA_PRECISION_FLOAT32 = 1,  // float32, for comparison with references
  FOVEA_PRECISION_BFLOAT16 = 2, // bfloat16: matrices of other floating-point types are rounded while loading
  FOVEA_PRECISION_INT16 = 3     // the factors of products with weights are rounded to integers of 16 bits
};

// How to load. Zeros but for struct_size, and a null pointer in its place, are the defaults.
typedef struct {
  size_t struct_size;
  int32_t thread_count;  // 0: as many as the process may use; results do not depend on it
  fovea_precision precision;
} fovea_load_options;

// What a model is. Texts are cut to what fits.
typedef struct {
  size_t struct_size;
  int64_t vocabulary_size;
  int64_t context_length;  // the most tokens of a text
  int64_t layer_count;
  int64_t hidden_size;
  int64_t head_count;
  int64_t key_value_head_count;
  int64_t head_dimension;
  int64_t parameter_count;
  int64_t weight_byte_count;           // as evaluation reads them
  int64_t cache_byte_count_per_token;  // of a session, as long as no window is full
  int32_t beginning_of_text_token;     // -1: none
  int32_t thread_count;
  int32_t has_tokenizer;      // 0 or 1
  int32_t has_chat_template;  // 0 or 1
  char model_type[64];        // as in config.json, such as "llama"
  char weight_type[32];       // such as "bfloat16" or "4-bit/g64"
  char instruction_set[32];   // such as "avx512bf16"; the environment variable FOVEA_ISA forces one
} fovea_model_properties;

// Loads a folder in Hugging Face layout: config.json, safetensors, and a tokenizer where there is one. Weights are
// mapped, and read as they are needed. `options` may be null. Writes a handle to *model; the caller frees it.
fovea_status fovea_model_load(const char *folder, const fovea_load_options *options, fovea_model **model);

// Ends the handle. Sessions and tokenizers of the model go on.
fovea_status fovea_model_free(fovea_model *model);

// Fills in *properties, whose struct_size is set.
fovea_status fovea_model_get_properties(fovea_model *model, fovea_model_properties *properties);

// The tokens that end a text: int32 [*token_count].
fovea_status fovea_model_end_of_text_tokens(fovea_model *model, int32_t *tokens, size_t capacity, size_t *token_count);

// Writes a handle of the model's tokenizer, which the caller frees; FOVEA_NOT_FOUND if it has none.
fovea_status fovea_model_tokenizer(fovea_model *model, fovea_tokenizer **tokenizer);

// The prompt that the model's chat template makes of a conversation. `messages` is a JSON list of objects such as
// {"role": "user", "content": "Hello"}, `tools` a JSON list of functions, or null. Encode the text with
// FOVEA_ENCODE_BARE: the template writes special tokens itself. FOVEA_NOT_FOUND if the model has no template,
// FOVEA_BAD_DATA if messages are not JSON or the template refuses them.
fovea_status fovea_model_chat_prompt(fovea_model *model, const char *messages, const char *tools,
                                     int32_t add_generation_prompt, char *text, size_t capacity, size_t *byte_count);

// ---- Tokenizers ----

// Special tokens; -1 where there is none.
typedef struct {
  size_t struct_size;
  int64_t vocabulary_size;
  int32_t beginning_of_text_token;
  int32_t end_of_text_token;
  int32_t unknown_token;
  int32_t padding_token;
} fovea_tokenizer_properties;

// Flags of encoding and decoding; may be added.
enum {
  FOVEA_ENCODE_BARE = 1,   // do not add the tokens that begin or end a text
  FOVEA_ENCODE_PLAIN = 2,  // the spelling of a special token, such as "</s>", is text: for input that is not trusted
  FOVEA_DECODE_SPECIAL = 4 // special tokens are spelled out instead of giving no text
};

// Loads a folder's tokenizer.json or tokenizer.model. Writes a handle to *tokenizer; the caller frees it.
fovea_status fovea_tokenizer_load(const char *folder, fovea_tokenizer **tokenizer);

// Ends the handle. Detokenizers go on.
fovea_status fovea_tokenizer_free(fovea_tokenizer *tokenizer);

// Fills in *properties, whose struct_size is set.
fovea_status fovea_tokenizer_get_properties(fovea_tokenizer *tokenizer, fovea_tokenizer_properties *properties);

// Splits a text of byte_count bytes, or FOVEA_ZERO_TERMINATED, into tokens: int32 [*token_count].
fovea_status fovea_tokenizer_encode(fovea_tokenizer *tokenizer, const char *text, size_t byte_count, int32_t flags,
                                    int32_t *tokens, size_t capacity, size_t *token_count);

// The text of tokens [token_count].
fovea_status fovea_tokenizer_decode(fovea_tokenizer *tokenizer, const int32_t *tokens, size_t token_count,
                                    int32_t flags, char *text, size_t capacity, size_t *byte_count);

// The vocabulary's spelling of a token, as it is in the tokenizer's file.
fovea_status fovea_tokenizer_piece(fovea_tokenizer *tokenizer, int32_t token, char *text, size_t capacity,
                                   size_t *byte_count);

// Begins a text to be decoded token by token. Writes a handle to *detokenizer; the caller frees it.
fovea_status fovea_detokenizer_create(fovea_tokenizer *tokenizer, int32_t flags, fovea_detokenizer **detokenizer);

// Ends the handle.
fovea_status fovea_detokenizer_free(fovea_detokenizer *detokenizer);

// Takes the next token and gives the text that is certain now: whole characters, often none. The token counts as taken
// only with FOVEA_OK and a buffer that is not null.
fovea_status fovea_detokenizer_append(fovea_detokenizer *detokenizer, int32_t token, char *text, size_t capacity,
                                      size_t *byte_count);

// Ends the text and gives what is left of it, an unfinished character as U+FFFD. The next token begins a new text.
fovea_status fovea_detokenizer_finish(fovea_detokenizer *detokenizer, char *text, size_t capacity, size_t *byte_count);

// ---- Sessions ----

// Begins an empty text. Writes a handle to *session; the caller frees it.
fovea_status fovea_session_create(fovea_model *model, fovea_session **session);

// Ends the handle.
fovea_status fovea_session_free(fovea_session *session);

// Of which tokens to give logits.
typedef int32_t fovea_logits;
enum { FOVEA_LOGITS_NONE = 0, FOVEA_LOGITS_LAST = 1, FOVEA_LOGITS_ALL = 2 };

// Evaluates tokens [token_count] after what the session holds, and adds them to it. Logits are float32, row-major
// [rows, vocabulary_size]; rows is 0, 1 or token_count as `selection` asks, and row i is about what follows token i.
// *logit_count becomes rows * vocabulary_size. Here a null buffer does not merely ask: logits that are wanted need one,
// and where it is too short nothing is evaluated. FOVEA_INVALID_ARGUMENT, and the session as it was, for a token out of
// the vocabulary and for more tokens than the context holds. The logits do not depend on how a text is cut into calls.
fovea_status fovea_session_evaluate(fovea_session *session, const int32_t *tokens, size_t token_count,
                                    fovea_logits selection, float *logits, size_t capacity, size_t *logit_count);

// The same with the logits written to a float32 tensor of shape [rows, vocabulary_size] and any strides, or of shape
// [vocabulary_size] for one row; null for FOVEA_LOGITS_NONE.
fovea_status fovea_session_evaluate_tensor(fovea_session *session, const int32_t *tokens, size_t token_count,
                                           fovea_logits selection, DLTensor *logits);

// The number of tokens that the session holds.
fovea_status fovea_session_length(fovea_session *session, size_t *token_count);

// The tokens that the session holds: int32 [*token_count].
fovea_status fovea_session_tokens(fovea_session *session, int32_t *tokens, size_t capacity, size_t *token_count);

// Forgets every token from `length` on; FOVEA_INVALID_ARGUMENT if the session holds fewer.
fovea_status fovea_session_trim(fovea_session *session, size_t length);

// Forgets everything, and gives the cache's memory back.
fovea_status fovea_session_reset(fovea_session *session);

// Writes what the session holds to a file, whole or not at all; a file of that name is replaced. The format is that of
// `fovea generate --save-cache`: safetensors that only the same model in the same precision reads.
fovea_status fovea_session_save(fovea_session *session, const char *path);

// Puts what a file holds in the place of what the session holds; evaluation goes on with the bits of the session that was
// saved. FOVEA_NOT_FOUND for a file that is not there, FOVEA_BAD_DATA for one that is damaged, no saved session, or of
// another model or precision; the session is then as it was.
fovea_status fovea_session_restore(fovea_session *session, const char *path);

// How a text is generated. Let fovea_model_generation_defaults fill it in, then change what should be different.
typedef struct {
  size_t struct_size;
  int64_t max_tokens;
  double temperature;         // 0: always the likeliest token
  int64_t top_k;              // keep this many of the likeliest tokens; 0: all
  double top_p;               // keep the likeliest that add up to this probability; 1: all
  double min_p;               // drop those less likely than this times the likeliest
  double repetition_penalty;  // for tokens among the last repetition_window; 1: none
  int64_t repetition_window;  // -1: the whole text
  double frequency_penalty;   // taken from a token's logit for every time that it was generated
  double presence_penalty;    // the same once
  uint64_t seed;              // counts if has_seed is not 0; else another one is taken each time
  int32_t has_seed;
  int32_t ignore_end_of_text;         // not 0: go on after tokens that end a text
  const char *const *stop_strings;    // [stop_string_count]: the text ends before the first of them
  size_t stop_string_count;
} fovea_generation_options;

// The generation options of the model's folder. Fills in *options, whose struct_size is set.
fovea_status fovea_model_generation_defaults(fovea_model *model, fovea_generation_options *options);

// A step of a text that is generated; valid during the callback only.
typedef struct {
  const char *text;        // what became certain, often empty; whole characters, and no part of a stop string
  size_t byte_count;       // without the zero byte behind it
  int32_t token;           // -1 for a last piece that only releases text held back
  float log_probability;   // of the token under the model, in nats
} fovea_piece;

// Takes a piece; anything but 0 ends the text. Runs on the thread that generates. It may call this API, but on its own
// session gets FOVEA_BUSY. No exception and no longjmp may leave it.
typedef int32_t (*fovea_piece_callback)(const fovea_piece *piece, void *user_data);

typedef int32_t fovea_finish_reason;
enum {
  FOVEA_FINISH_END_OF_TEXT = 0,  // the model ended the text
  FOVEA_FINISH_STOP_STRING = 1,
  FOVEA_FINISH_LENGTH = 2,       // max_tokens or the end of the context
  FOVEA_FINISH_CANCELLED = 3     // the callback said so
};

// What was generated.
typedef struct {
  size_t struct_size;
  fovea_finish_reason finish_reason;
  int32_t stop_string_index;  // which of the options' stop strings came; -1: none
  int64_t prompt_token_count;
  int64_t generated_token_count;  // with a token that ended the text, and those of a stop string
  uint64_t seed;                  // gives the text again
  double prompt_seconds;
  double generation_seconds;  // from the first generated token to the last
} fovea_generation_summary;

// Generates what follows a prompt of tokens [token_count], to which nothing is added; with none, what follows the text
// that the session holds. The session's text becomes the prompt; what it holds of its beginning is not evaluated anew.
// Afterwards it holds the prompt and every token that was generated. `options` null: the model's; `callback` and
// `summary` may be null. The text needs a tokenizer; without one, pieces have tokens only.
fovea_status fovea_session_generate(fovea_session *session, const int32_t *tokens, size_t token_count,
                                    const fovea_generation_options *options, fovea_piece_callback callback,
                                    void *user_data, fovea_generation_summary *summary);

// The same with a prompt of text, which is encoded with the tokens that begin a text.
fovea_status fovea_session_generate_text(fovea_session *session, const char *prompt, size_t byte_count,
                                         const fovea_generation_options *options, fovea_piece_callback callback,
                                         void *user_data, fovea_generation_summary *summary);

// ---- Embeddings ----

// What an embedder is. Texts are cut to what fits.
typedef struct {
  size_t struct_size;
  int64_t dimensions;             // the length of a vector
  int64_t sequence_length_limit;  // the most tokens of a text, special ones and those of a prompt included
  int64_t vocabulary_size;
  int32_t thread_count;
  char similarity[32];       // how vectors are compared: "cosine", "dot", "euclidean" or "manhattan"
  char default_prompt[64];   // the name of the prompt that is used by default; empty: none
  char instruction_set[32];
} fovea_embedder_properties;

typedef int32_t fovea_prompt_kind;
enum {
  FOVEA_PROMPT_DEFAULT = 0,  // what the model's settings name, mostly nothing
  FOVEA_PROMPT_NONE = 1,
  FOVEA_PROMPT_NAME = 2,  // the model's prompt of the name `prompt`
  FOVEA_PROMPT_TEXT = 3   // the text `prompt`
};

typedef int32_t fovea_normalization;
enum { FOVEA_NORMALIZE_DEFAULT = 0, FOVEA_NORMALIZE_YES = 1, FOVEA_NORMALIZE_NO = 2 };

// How texts are embedded. Zeros but for struct_size, and a null pointer in its place, are the model's ways.
typedef struct {
  size_t struct_size;
  fovea_prompt_kind prompt_kind;
  fovea_normalization normalization;
  const char *prompt;
  int64_t dimensions;         // keep the first values only, normalised again where vectors are; 0: all
  int64_t batch_token_count;  // the most tokens evaluated together; bounds memory, changes no result; 0: 2048
  int32_t refuse_truncation;  // not 0: a text that is too long gives FOVEA_BAD_DATA
} fovea_embedding_options;

// Loads a folder of sentence-transformers, or a plain checkpoint, whose vectors are means of its hidden states.
// `options` may be null. Writes a handle to *embedder; the caller frees it.
fovea_status fovea_embedder_load(const char *folder, const fovea_load_options *options, fovea_embedder **embedder);

// Ends the handle.
fovea_status fovea_embedder_free(fovea_embedder *embedder);

// Fills in *properties, whose struct_size is set.
fovea_status fovea_embedder_get_properties(fovea_embedder *embedder, fovea_embedder_properties *properties);

// Embeds texts [text_count] together, without padding; byte_counts [text_count] are their lengths, or null if they end
// with a zero byte. Vectors are float32, row-major [text_count, dimensions], in the order of the texts; *value_count
// becomes text_count * dimensions. truncated_token_counts [text_count], if not null, becomes how many tokens were cut
// off the end of each text; 0: it was embedded whole. A text without tokens has zeros. `options` may be null.
fovea_status fovea_embedder_embed(fovea_embedder *embedder, const char *const *texts, const size_t *byte_counts,
                                  size_t text_count, const fovea_embedding_options *options, float *vectors,
                                  size_t capacity, size_t *value_count, int32_t *truncated_token_counts);

// ---- The attention op ----

// Which keys a query sees.
typedef int32_t fovea_mask_kind;
enum {
  FOVEA_MASK_NONE = 0,
  FOVEA_MASK_CAUSAL = 1,  // lower-right aligned: key j is visible to query i if j <= i + key_length - query_length
  FOVEA_MASK_ARRAY = 2    // the options' mask
};

// What fovea_attention does besides the softmax of scaled scores. Set it to zeros, then struct_size, then the rest.
typedef struct {
  size_t struct_size;
  fovea_mask_kind mask_kind;
  int32_t thread_count;            // 0: as many as the process may use
  const DLTensor *mask;            // at most 4 dimensions, broadcast to [batch, heads, query_length, key_length];
                                   // Boolean (true = attend) or added to the scores
  const DLTensor *sinks;           // [heads]: one logit a query head joins the softmax without a value; or null
  int64_t window;                  // a query sees the last `window` keys only; 0: all
  float soft_cap;                  // scores become soft_cap * tanh(score / soft_cap); 0: they do not
  const int64_t *packed_lengths;   // lengths of packed sequences, block-diagonal; or null
  size_t packed_length_count;
} fovea_attention_options;

// output = softmax(scale * queries * keys^T + mask) * values.
//
// queries [batch, heads, query_length, d], keys [batch, kv_heads, key_length, d], values [batch, kv_heads, key_length,
// dv], output [batch, heads, query_length, dv]; heads is a multiple of kv_heads. float16, bfloat16, float32 or float64,
// any strides; the output has the promoted type of queries, keys and values, is written in place, and overlaps no
// input. log_sum_exp, float32 [batch, heads, query_length], may be null. options may be null.
fovea_status fovea_attention(const DLTensor *queries, const DLTensor *keys, const DLTensor *values, float scale,
                             const fovea_attention_options *options, DLTensor *output, DLTensor *log_sum_exp);

#ifdef __cplusplus
}
#endif

#endif

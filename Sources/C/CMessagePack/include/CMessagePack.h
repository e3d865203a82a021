// MessagePack by msgpack-c, for Swift: its packer writes into a raw buffer, its parser fills an array of tokens.
//
// Only msgpack-c's headers are used; nothing of it is linked. The functions are inline, so that Swift's optimiser sees
// through the packer's write callback: the same callback written in Swift costs a hundred times as much.
#ifndef CMESSAGEPACK_H
#define CMESSAGEPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <msgpack/pack.h>

// MARK: - Writing

/// Bytes that were written, in memory from malloc.
typedef struct {
  uint8_t *_Nullable base;
  size_t count;
  size_t capacity;
} nuvom_buffer;

/// Makes room for `more` bytes behind `count`. Ends the process when memory is out, as an allocation in Swift does:
/// so no write can fail, and none needs a check.
void nuvom_buffer_grow(nuvom_buffer *_Nonnull buffer, size_t more);

/// Gives the memory back; the buffer is empty afterwards and may be used again.
void nuvom_buffer_free(nuvom_buffer *_Nonnull buffer);

static inline void nuvom_buffer_append(nuvom_buffer *_Nonnull buffer, const void *_Nullable bytes, size_t count) {
  if (__builtin_expect(buffer->capacity - buffer->count < count, 0)) nuvom_buffer_grow(buffer, count);
  if (count != 0) memcpy(buffer->base + buffer->count, bytes, count);
  buffer->count += count;
}

static inline int nuvom_buffer_write(void *_Nonnull buffer, const char *_Nonnull bytes, size_t count) {
  nuvom_buffer_append((nuvom_buffer *)buffer, bytes, count);
  return 0;
}

static inline msgpack_packer nuvom_packer(nuvom_buffer *_Nonnull buffer) {
  msgpack_packer packer = {.data = buffer, .callback = nuvom_buffer_write};
  return packer;
}

static inline void nuvom_pack_nil(nuvom_buffer *_Nonnull buffer) {
  msgpack_packer packer = nuvom_packer(buffer);
  msgpack_pack_nil(&packer);
}

static inline void nuvom_pack_bool(nuvom_buffer *_Nonnull buffer, bool value) {
  msgpack_packer packer = nuvom_packer(buffer);
  if (value) {
    msgpack_pack_true(&packer);
  } else {
    msgpack_pack_false(&packer);
  }
}

static inline void nuvom_pack_int(nuvom_buffer *_Nonnull buffer, int64_t value) {
  msgpack_packer packer = nuvom_packer(buffer);
  msgpack_pack_int64(&packer, value);
}

static inline void nuvom_pack_uint(nuvom_buffer *_Nonnull buffer, uint64_t value) {
  msgpack_packer packer = nuvom_packer(buffer);
  msgpack_pack_uint64(&packer, value);
}

static inline void nuvom_pack_double(nuvom_buffer *_Nonnull buffer, double value) {
  msgpack_packer packer = nuvom_packer(buffer);
  msgpack_pack_double(&packer, value);
}

static inline void nuvom_pack_array(nuvom_buffer *_Nonnull buffer, uint32_t count) {
  msgpack_packer packer = nuvom_packer(buffer);
  msgpack_pack_array(&packer, count);
}

static inline void nuvom_pack_map(nuvom_buffer *_Nonnull buffer, uint32_t count) {
  msgpack_packer packer = nuvom_packer(buffer);
  msgpack_pack_map(&packer, count);
}

static inline void nuvom_pack_str(nuvom_buffer *_Nonnull buffer, const void *_Nullable bytes, uint32_t count) {
  msgpack_packer packer = nuvom_packer(buffer);
  msgpack_pack_str(&packer, count);
  nuvom_buffer_append(buffer, bytes, count);
}

static inline void nuvom_pack_bin(nuvom_buffer *_Nonnull buffer, const void *_Nullable bytes, uint32_t count) {
  msgpack_packer packer = nuvom_packer(buffer);
  msgpack_pack_bin(&packer, count);
  nuvom_buffer_append(buffer, bytes, count);
}

static inline void nuvom_pack_ext(
    nuvom_buffer *_Nonnull buffer, int8_t type, const void *_Nullable bytes, uint32_t count) {
  msgpack_packer packer = nuvom_packer(buffer);
  msgpack_pack_ext(&packer, count, type);
  nuvom_buffer_append(buffer, bytes, count);
}

// MARK: - Reading

/// What a token is. Swift's `MessageKind` has the same numbers.
enum {
  NUVOM_KIND_NIL = 0,
  NUVOM_KIND_BOOL = 1,
  NUVOM_KIND_INT = 2,        // negative
  NUVOM_KIND_UINT = 3,
  NUVOM_KIND_DOUBLE = 4,     // a 32-bit float is widened
  NUVOM_KIND_STRING = 5,
  NUVOM_KIND_BINARY = 6,
  NUVOM_KIND_EXTENSION = 7,
  NUVOM_KIND_ARRAY = 8,      // from here on a token says itself how far the next value is
  NUVOM_KIND_MAP = 9,
  NUVOM_KIND_END = 10,       // behind the last token
};

/// How parsing ended. Swift's `DecodeStatus` has the same numbers.
enum {
  NUVOM_STATUS_OK = 0,
  NUVOM_STATUS_TRUNCATED = 1,
  NUVOM_STATUS_INVALID_BYTE = 2,
  NUVOM_STATUS_TOO_DEEP = 3,
  NUVOM_STATUS_TOO_MANY_TOKENS = 4,
  NUVOM_STATUS_COUNT_EXCEEDS_BYTES = 5,
  NUVOM_STATUS_TRAILING_BYTES = 6,
  NUVOM_STATUS_TOO_LARGE = 7,
};

/// One value of a message: tokens are in the order of the bytes, a container's elements follow it.
typedef struct {
  uint8_t kind;
  int8_t extension_type;
  /// Where the value's encoding starts. It ends where the next value's starts.
  uint32_t start;
  /// bool, uint: the number · int: two's complement · double: its bit pattern ·
  /// string, binary, extension: offset of the bytes, and their number << 32 ·
  /// array, map: elements or pairs, and tokens up to the next value << 32 (0 for the end).
  uint64_t bits;
} nuvom_token;

_Static_assert(sizeof(nuvom_token) == 16, "four tokens to a cache line");

/// The parser's memory, used again for each message: it grows to what the largest one needed, at most to `maximum`.
typedef struct {
  nuvom_token *_Nonnull base;
  uint32_t count;
  uint32_t capacity;
  uint32_t maximum;
} nuvom_tokens;

/// Containers within containers; more is `NUVOM_STATUS_TOO_DEEP`.
enum { NUVOM_MAXIMUM_DEPTH = 32 };

/// Memory for a parser that takes up to `maximum` (1 to 2^31) tokens: no message yet, only the END.
nuvom_tokens nuvom_tokens_make(uint32_t maximum);

/// Parses exactly one message. Allocates nothing but tokens, and never more of these than there are bytes.
/// The tokens end with one of kind END; when the status is not OK, that is the only one.
/// `consumed` is the message's length, or where the parser stopped.
int nuvom_tokens_parse(
    nuvom_tokens *_Nonnull tokens, const uint8_t *_Nullable bytes, size_t length, size_t *_Nonnull consumed);

/// The same by msgpack-c's parser alone: what the other does with all but the common messages, and is tested against.
int nuvom_tokens_parse_any(
    nuvom_tokens *_Nonnull tokens, const uint8_t *_Nullable bytes, size_t length, size_t *_Nonnull consumed);

/// Gives the memory back.
void nuvom_tokens_free(nuvom_tokens tokens);

/// With a constant count this is a load and a comparison or two, not a call.
static inline bool nuvom_equal(const void *_Nonnull left, const void *_Nonnull right, size_t count) {
  return memcmp(left, right, count) == 0;
}

#endif

// msgpack-c's own parser (`unpack_template.h`) with callbacks that write tokens. The callbacks that msgpack-c ships
// allocate what a header claims, before its elements have arrived: six bytes of a hostile peer ask for 8 GiB.
#include <stdlib.h>

#include "CMessagePack.h"

typedef struct {
  nuvom_tokens *tokens;
  uint32_t position;  // where the next token's encoding starts
} nuvom_parser;

/// Takes memory for `capacity` tokens and the END, within the maximum.
static void nuvom_tokens_reserve(nuvom_tokens *tokens, uint64_t capacity) {
  if (capacity > tokens->maximum) capacity = tokens->maximum;
  nuvom_token *base = realloc(tokens->base, (capacity + 1) * sizeof(nuvom_token));
  if (base == NULL) abort();
  tokens->base = base;
  tokens->capacity = (uint32_t)capacity;
}

static __attribute__((cold, noinline)) int nuvom_tokens_grow(nuvom_tokens *tokens) {
  if (tokens->capacity >= tokens->maximum) return -NUVOM_STATUS_TOO_MANY_TOKENS;
  nuvom_tokens_reserve(tokens, (uint64_t)tokens->capacity * 2);
  return 0;
}

static void nuvom_tokens_end(nuvom_tokens *tokens, size_t length) {
  tokens->base[tokens->count] = (nuvom_token){.kind = NUVOM_KIND_END, .start = (uint32_t)length};
}

static inline __attribute__((always_inline)) int nuvom_push(
    nuvom_parser *parser, uint32_t *index, uint8_t kind, int8_t extension_type, uint64_t bits, uint32_t end) {
  nuvom_tokens *tokens = parser->tokens;
  if (__builtin_expect(tokens->count == tokens->capacity, 0)) {
    int failure = nuvom_tokens_grow(tokens);
    if (failure != 0) return failure;
  }
  tokens->base[tokens->count] =
      (nuvom_token){.kind = kind, .extension_type = extension_type, .start = parser->position, .bits = bits};
  *index = tokens->count++;
  parser->position = end;
  return 0;
}

static inline uint64_t nuvom_pair(uint32_t low, uint32_t high) { return (uint64_t)high << 32 | low; }

static inline int nuvom_push_signed(nuvom_parser *parser, uint32_t *index, int64_t value, uint32_t end) {
  return nuvom_push(parser, index, value < 0 ? NUVOM_KIND_INT : NUVOM_KIND_UINT, 0, (uint64_t)value, end);
}

static inline int nuvom_push_double(nuvom_parser *parser, uint32_t *index, double value, uint32_t end) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return nuvom_push(parser, index, NUVOM_KIND_DOUBLE, 0, bits, end);
}

static inline int nuvom_push_bytes(
    nuvom_parser *parser, uint32_t *index, uint8_t kind, int8_t extension_type, uint32_t count, uint32_t end) {
  return nuvom_push(parser, index, kind, extension_type, nuvom_pair(end - count, count), end);
}

/// `length` counts the type's byte too. msgpack-c adds it in 32 bits, so that an ext of 2^32-1 bytes arrives as 0.
static inline int nuvom_push_extension(
    nuvom_parser *parser, uint32_t *index, const void *type, uint32_t length, uint32_t end) {
  if (length == 0) return -NUVOM_STATUS_TRUNCATED;
  return nuvom_push_bytes(parser, index, NUVOM_KIND_EXTENSION, *(const int8_t *)type, length - 1, end);
}

static inline int nuvom_push_container(
    nuvom_parser *parser, uint32_t *index, uint8_t kind, uint32_t count, uint64_t elements, size_t left,
    uint32_t end) {
  if (elements > left) return -NUVOM_STATUS_COUNT_EXCEEDS_BYTES;
  return nuvom_push(parser, index, kind, 0, nuvom_pair(count, 1), end);
}

/// The container's last element is complete: now it is known where the next value is.
static inline int nuvom_close(nuvom_parser *parser, uint32_t container) {
  nuvom_token *token = &parser->tokens->base[container];
  token->bits = nuvom_pair((uint32_t)token->bits, parser->tokens->count - container);
  return 0;
}

// The template calls `msgpack_unpack_callback(_name)(user, …)`. The callbacks are macros because a token needs the
// place in the bytes, which the template does not hand over but has in its locals: `p` is the last byte of the value
// (of the header, for a container), `pe` the end, `data` the beginning, `c->count` the elements that are still to come.
#define NUVOM_END ((uint32_t)(p + 1 - (const unsigned char *)data))
#define NUVOM_LEFT ((size_t)(pe - p - 1))

#define nuvom_on_root(user) 0
#define nuvom_on_nil(user, index) nuvom_push(user, index, NUVOM_KIND_NIL, 0, 0, NUVOM_END)
#define nuvom_on_true(user, index) nuvom_push(user, index, NUVOM_KIND_BOOL, 0, 1, NUVOM_END)
#define nuvom_on_false(user, index) nuvom_push(user, index, NUVOM_KIND_BOOL, 0, 0, NUVOM_END)
#define nuvom_on_uint8(user, value, index) nuvom_push(user, index, NUVOM_KIND_UINT, 0, value, NUVOM_END)
#define nuvom_on_uint16 nuvom_on_uint8
#define nuvom_on_uint32 nuvom_on_uint8
#define nuvom_on_uint64 nuvom_on_uint8
#define nuvom_on_int8(user, value, index) nuvom_push_signed(user, index, value, NUVOM_END)
#define nuvom_on_int16 nuvom_on_int8
#define nuvom_on_int32 nuvom_on_int8
#define nuvom_on_int64 nuvom_on_int8
#define nuvom_on_float nuvom_on_double
#define nuvom_on_double(user, value, index) nuvom_push_double(user, index, value, NUVOM_END)
#define nuvom_on_str(user, data_, at, length, index) \
  nuvom_push_bytes(user, index, NUVOM_KIND_STRING, 0, length, NUVOM_END)
#define nuvom_on_bin(user, data_, at, length, index) \
  nuvom_push_bytes(user, index, NUVOM_KIND_BINARY, 0, length, NUVOM_END)
#define nuvom_on_ext(user, data_, at, length, index) nuvom_push_extension(user, index, at, length, NUVOM_END)
#define nuvom_on_array(user, count, index) \
  nuvom_push_container(user, index, NUVOM_KIND_ARRAY, count, count, NUVOM_LEFT, NUVOM_END)
#define nuvom_on_map(user, count, index) \
  nuvom_push_container(user, index, NUVOM_KIND_MAP, count, 2 * (uint64_t)(count), NUVOM_LEFT, NUVOM_END)
#define nuvom_on_array_item(user, container, item) (c->count == 1 ? nuvom_close(user, *(container)) : 0)
#define nuvom_on_map_item(user, container, key, item) nuvom_on_array_item(user, container, item)

#define MSGPACK_EMBED_STACK_SIZE NUVOM_MAXIMUM_DEPTH
#include <msgpack/unpack.h>
#include <msgpack/unpack_define.h>

// The template's own two failures: a byte that begins nothing, and a stack that is full. `unpack.h` has an enum of
// these names, so it must come first; msgpack-c 6 includes it from the template.
#define MSGPACK_UNPACK_PARSE_ERROR (-NUVOM_STATUS_INVALID_BYTE)
#define MSGPACK_UNPACK_NOMEM_ERROR (-NUVOM_STATUS_TOO_DEEP)

#define msgpack_unpack_struct(name) struct nuvom_template##name
#define msgpack_unpack_func(result, name) static inline result nuvom_template##name
#define msgpack_unpack_callback(name) nuvom_on##name
#define msgpack_unpack_object uint32_t  // a token's index
#define msgpack_unpack_user nuvom_parser

#include <msgpack/unpack_template.h>

nuvom_tokens nuvom_tokens_make(uint32_t maximum) {
  nuvom_tokens tokens = {.maximum = maximum};
  nuvom_tokens_reserve(&tokens, 255);
  nuvom_tokens_end(&tokens, 0);
  return tokens;
}

int nuvom_tokens_parse_any(nuvom_tokens *tokens, const uint8_t *bytes, size_t length, size_t *consumed) {
  int status;
  struct nuvom_template_context context;
  tokens->count = 0;
  *consumed = 0;
  if (length > UINT32_MAX) {
    status = NUVOM_STATUS_TOO_LARGE;
  } else if (length == 0) {
    status = NUVOM_STATUS_TRUNCATED;
  } else {
    context.user = (nuvom_parser){.tokens = tokens, .position = 0};
    nuvom_template_init(&context);
    int result = nuvom_template_execute(&context, (const char *)bytes, length, consumed);
    if (result < 0) {
      status = -result;
    } else if (result == 0) {
      status = NUVOM_STATUS_TRUNCATED;
    } else if (*consumed != length) {
      status = NUVOM_STATUS_TRAILING_BYTES;
    } else {
      status = NUVOM_STATUS_OK;
    }
  }
  if (status != NUVOM_STATUS_OK) tokens->count = 0;
  nuvom_tokens_end(tokens, *consumed);
  return status;
}

// MARK: - The common messages
//
// msgpack-c's parser can stop amid a message and go on when more of it has come, which costs some 80 instructions a value. Here a
// message is always whole. So what requests consist of (small numbers, text, bytes, maps, lists) is taken in one pass at three fifths of that; a
// message with anything else in it, and one with anything wrong in it, is msgpack-c's, from its beginning.

static inline uint16_t nuvom_load16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static inline uint32_t nuvom_load32(const uint8_t *at) { return (uint32_t)nuvom_load16(at) << 16 | nuvom_load16(at + 2); }
static inline uint64_t nuvom_load64(const uint8_t *at) { return (uint64_t)nuvom_load32(at) << 32 | nuvom_load32(at + 4); }

/// Whether the bytes are one message of the common kind; its tokens are there then.
static bool nuvom_tokens_scan(nuvom_tokens *tokens, const uint8_t *bytes, size_t length) {
  struct {
    nuvom_token *container;
    uint64_t left;  // values still to come in the container around it
  } stack[NUVOM_MAXIMUM_DEPTH - 1];
  unsigned depth = 0;
  uint64_t left = 1;
  const uint8_t *at = bytes, *const end = bytes + length;
  nuvom_token *token = tokens->base, *const limit = token + tokens->capacity;

  for (;;) {
    if (at == end || token == limit) return false;
    const uint32_t start = (uint32_t)(at - bytes);
    const uint8_t head = *at++;
    const size_t rest = (size_t)(end - at);
    uint8_t kind;
    uint64_t bits, elements = 0;
    uint32_t count;

    if (head < 0x80) {
      kind = NUVOM_KIND_UINT;
      bits = head;
    } else if (head < 0x90) {
      count = head & 0x0f;
      goto map;
    } else if (head < 0xa0) {
      count = head & 0x0f;
      goto array;
    } else if (head < 0xc0) {
      count = head & 0x1f;
      kind = NUVOM_KIND_STRING;
      goto bytes;
    } else {
      switch (head) {
        case 0xc0:
        case 0xc2:
        case 0xc3:
          kind = head == 0xc0 ? NUVOM_KIND_NIL : NUVOM_KIND_BOOL;
          bits = head == 0xc3;
          break;
        case 0xc4:
        case 0xd9:
          if (rest < 1) return false;
          count = *at;
          at += 1;
          kind = head == 0xc4 ? NUVOM_KIND_BINARY : NUVOM_KIND_STRING;
          goto bytes;
        case 0xc5:
        case 0xda:
          if (rest < 2) return false;
          count = nuvom_load16(at);
          at += 2;
          kind = head == 0xc5 ? NUVOM_KIND_BINARY : NUVOM_KIND_STRING;
          goto bytes;
        case 0xc6:
        case 0xdb:
          if (rest < 4) return false;
          count = nuvom_load32(at);
          at += 4;
          kind = head == 0xc6 ? NUVOM_KIND_BINARY : NUVOM_KIND_STRING;
          goto bytes;
        case 0xcc:
          if (rest < 1) return false;
          kind = NUVOM_KIND_UINT;
          bits = *at;
          at += 1;
          break;
        case 0xcd:
          if (rest < 2) return false;
          kind = NUVOM_KIND_UINT;
          bits = nuvom_load16(at);
          at += 2;
          break;
        case 0xce:
          if (rest < 4) return false;
          kind = NUVOM_KIND_UINT;
          bits = nuvom_load32(at);
          at += 4;
          break;
        case 0xcf:
          if (rest < 8) return false;
          kind = NUVOM_KIND_UINT;
          bits = nuvom_load64(at);
          at += 8;
          break;
        case 0xdc:
        case 0xde:
          if (rest < 2) return false;
          count = nuvom_load16(at);
          at += 2;
          if (head == 0xdc) goto array;
          goto map;
        default: return false;
      }
    }
    goto push;

  bytes:
    if (count > (size_t)(end - at)) return false;
    bits = nuvom_pair((uint32_t)(at - bytes), count);
    at += count;
    goto push;

  array:
    kind = NUVOM_KIND_ARRAY;
    bits = nuvom_pair(count, 1);
    elements = count;
    goto push;

  map:
    kind = NUVOM_KIND_MAP;
    bits = nuvom_pair(count, 1);
    elements = 2 * (uint64_t)count;

  push:
    *token = (nuvom_token){.kind = kind, .start = start, .bits = bits};
    token += 1;
    if (elements > 0) {
      if (elements > (size_t)(end - at) || depth == NUVOM_MAXIMUM_DEPTH - 1) return false;
      stack[depth].container = token - 1;
      stack[depth].left = left;
      depth += 1;
      left = elements;
      continue;
    }
    // A container's last element is complete: now it is known where the next value is.
    while (--left == 0) {
      if (depth == 0) {
        tokens->count = (uint32_t)(token - tokens->base);
        return at == end;
      }
      depth -= 1;
      nuvom_token *container = stack[depth].container;
      container->bits = nuvom_pair((uint32_t)container->bits, (uint32_t)(token - container));
      left = stack[depth].left;
    }
  }
}

int nuvom_tokens_parse(nuvom_tokens *tokens, const uint8_t *bytes, size_t length, size_t *consumed) {
  if (length <= UINT32_MAX && length > 0 && nuvom_tokens_scan(tokens, bytes, length)) {
    *consumed = length;
    nuvom_tokens_end(tokens, length);
    return NUVOM_STATUS_OK;
  }
  return nuvom_tokens_parse_any(tokens, bytes, length, consumed);
}

void nuvom_tokens_free(nuvom_tokens tokens) { free(tokens.base); }

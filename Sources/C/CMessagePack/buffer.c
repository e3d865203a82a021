#include <stdlib.h>

#include "CMessagePack.h"

__attribute__((cold, noinline)) void nuvom_buffer_grow(nuvom_buffer *buffer, size_t more) {
  size_t needed;
  if (__builtin_add_overflow(buffer->count, more, &needed) || needed > PTRDIFF_MAX) abort();
  size_t capacity = buffer->capacity < 256 ? 256 : buffer->capacity;
  while (capacity < needed) capacity *= 2;
  uint8_t *base = realloc(buffer->base, capacity);
  if (base == NULL) abort();
  buffer->base = base;
  buffer->capacity = capacity;
}

void nuvom_buffer_free(nuvom_buffer *buffer) {
  free(buffer->base);
  *buffer = (nuvom_buffer){0};
}

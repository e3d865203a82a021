#include <stdlib.h>
#include <string.h>

#include "load.h"

char *buffer_reserve(struct buffer *buffer, size_t count) {
  if (buffer->capacity - buffer->end >= count) return buffer->bytes + buffer->end;
  if (buffer->start > 0) {
    memmove(buffer->bytes, buffer->bytes + buffer->start, buffer->end - buffer->start);
    buffer->end -= buffer->start;
    buffer->start = 0;
  }
  if (buffer->capacity - buffer->end < count) {
    size_t capacity = buffer->capacity ? buffer->capacity : 4096;
    while (capacity - buffer->end < count) capacity *= 2;
    buffer->bytes = realloc(buffer->bytes, capacity);
    if (!buffer->bytes) load_fail("out of memory");
    buffer->capacity = capacity;
  }
  return buffer->bytes + buffer->end;
}

void buffer_append(struct buffer *buffer, const void *bytes, size_t count) {
  memcpy(buffer_reserve(buffer, count), bytes, count);
  buffer->end += count;
}

void buffer_text(struct buffer *buffer, const char *text) { buffer_append(buffer, text, strlen(text)); }

void buffer_payload_room(struct buffer *buffer) {
  memset(buffer_reserve(buffer, options.payload), 0, options.payload);
  buffer->end += options.payload;
}

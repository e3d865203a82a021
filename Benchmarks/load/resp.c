#include "resp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void resp_command(struct buffer *buffer, size_t count, const char *const *words) {
  char line[32];
  snprintf(line, sizeof line, "*%zu\r\n", count);
  buffer_text(buffer, line);
  for (size_t i = 0; i < count; i++) {
    snprintf(line, sizeof line, "$%zu\r\n", strlen(words[i]));
    buffer_text(buffer, line);
    buffer_text(buffer, words[i]);
    buffer_text(buffer, "\r\n");
  }
}

void resp_expect(struct connection *connection, enum answer answer) {
  *buffer_reserve(&connection->expected, 1) = (char)answer;
  connection->expected.end += 1;
}

enum answer resp_expected(struct connection *connection) {
  struct buffer *expected = &connection->expected;
  if (expected->start == expected->end) load_fail("connection %u: an answer to nothing", connection->index);
  enum answer answer = (enum answer)expected->bytes[expected->start++];
  if (expected->start == expected->end) expected->start = expected->end = 0;
  return answer;
}

// Reads the number of a header line; returns the start of the next line, or NULL.
static const char *header(const char *at, const char *end, long *value) {
  const char *line_end = memchr(at, '\n', (size_t)(end - at));
  if (!line_end) return NULL;
  *value = strtol(at + 1, NULL, 10);
  return line_end + 1;
}

const char *resp_end(const char *at, const char *end) {
  long missing = 1;
  while (missing > 0) {
    if (at >= end) return NULL;
    char type = *at;
    long value;
    at = header(at, end, &value);
    if (!at) return NULL;
    missing -= 1;
    if (type == '$' && value >= 0) {
      if (end - at < value + 2) return NULL;
      at += value + 2;
    } else if (type == '*' && value > 0) {
      missing += value;
    }
  }
  return at;
}

const char *resp_bulk(const char **at, size_t *length) {
  char *text;
  *length = strtoul(*at + 1, &text, 10);
  const char *bytes = text + 2;
  *at = bytes + *length + 2;
  return bytes;
}

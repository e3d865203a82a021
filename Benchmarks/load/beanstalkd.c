// beanstalkd's text protocol: put; reserve and delete. Its replies say by themselves what they answer.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static struct buffer put;
static size_t payload_offset;

static void prepare(void) {
  char line[64];
  snprintf(line, sizeof line, "put 100 0 120 %zu\r\n", options.payload);
  buffer_text(&put, line);
  payload_offset = put.end;
  buffer_payload_room(&put);
  buffer_text(&put, "\r\n");
}

static void greet(struct connection *connection) { (void)connection; }

static void enqueue(struct connection *connection) {
  char *at = buffer_reserve(&connection->out, put.end);
  memcpy(at, put.bytes, put.end);
  load_payload(at + payload_offset);
  connection->out.end += put.end;
}

static void take(struct connection *connection) { buffer_append(&connection->out, "reserve\r\n", 9); }

static bool starts_with(const char *bytes, size_t count, const char *text) {
  size_t length = strlen(text);
  return count >= length && memcmp(bytes, text, length) == 0;
}

static size_t receive(struct connection *connection, const char *bytes, size_t count) {
  size_t used = 0;
  while (used < count) {
    const char *line = bytes + used;
    const char *end = memchr(line, '\n', count - used);
    if (!end) break;
    size_t length = (size_t)(end - line) + 1;
    if (starts_with(line, length, "INSERTED ")) {
      load_enqueued(connection, 1);
    } else if (starts_with(line, length, "DELETED")) {
      load_settled();
    } else if (starts_with(line, length, "RESERVED ")) {
      const char *id = line + strlen("RESERVED ");
      const char *space = memchr(id, ' ', (size_t)(end - id));
      if (!space) load_refused(connection, line, length);
      size_t body = strtoul(space, NULL, 10) + 2;
      if (count - used < length + body) break;
      length += body;
      load_received();
      char *at = buffer_reserve(&connection->out, 64);
      memcpy(at, "delete ", 7);
      size_t digits = (size_t)(space - id);
      memcpy(at + 7, id, digits);
      memcpy(at + 7 + digits, "\r\nreserve\r\n", 11);
      connection->out.end += 18 + digits;
    } else {
      load_refused(connection, line, length);
    }
    used += length;
  }
  return used;
}

const struct driver beanstalkd_driver = {
    .name = "beanstalkd", .prepare = prepare, .greet = greet, .enqueue = enqueue, .take = take, .receive = receive};

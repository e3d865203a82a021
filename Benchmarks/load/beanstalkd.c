// beanstalkd's text protocol: put; reserve and delete. Its replies say by themselves what they answer.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static struct buffer put;
static size_t payload_offset;

static void prepare(void) {
  char line[64];
  if (options.queues > 1) buffer_text(&put, "use q000000\r\n");
  if (options.delay_ms % 1000 != 0) load_fail("beanstalkd delays by whole seconds");
  snprintf(line, sizeof line, "put 100 %u 120 %zu\r\n", options.delay_ms / 1000, options.payload);
  buffer_text(&put, line);
  payload_offset = put.end;
  buffer_payload_room(&put);
  buffer_text(&put, "\r\n");
}

static void greet(struct connection *connection) {
  // An idle connection asks once, so that it is known to be accepted.
  if (options.mode == MODE_HOLD) buffer_append(&connection->out, "list-tube-used\r\n", 16);
}

static void enqueue(struct connection *connection) {
  static uint64_t turn;
  char *at = buffer_reserve(&connection->out, put.end);
  memcpy(at, put.bytes, put.end);
  load_payload(at + payload_offset);
  if (options.queues > 1) load_queue(at + 5, turn++);
  connection->out.end += put.end;
}

static void take(struct connection *connection) {
  static uint64_t turn;
  if (options.queues > 1) {
    // A connection watches one tube at a time; it starts with that of the name "default".
    char wanted[] = "000000", watched[] = "000000", text[64];
    load_queue(wanted, turn++);
    if (connection->watched > 0) load_queue(watched, connection->watched - 1);
    if (strcmp(wanted, watched) != 0) {
      int count = snprintf(text, sizeof text, "watch q%s\r\nignore %s%s\r\n", wanted,
                           connection->watched > 0 ? "q" : "default", connection->watched > 0 ? watched : "");
      buffer_append(&connection->out, text, (size_t)count);
      connection->watched = turn;
    }
  }
  buffer_append(&connection->out, "reserve\r\n", 9);
}

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
      if (options.finish_alone) load_continue(connection);
    } else if (starts_with(line, length, "RESERVED ")) {
      const char *id = line + strlen("RESERVED ");
      const char *space = memchr(id, ' ', (size_t)(end - id));
      if (!space) load_refused(connection, line, length);
      size_t body = strtoul(space, NULL, 10) + 2;
      if (count - used < length + body) break;
      length += body;
      load_received(end + 1, body - 2);
      char *at = buffer_reserve(&connection->out, 64);
      memcpy(at, "delete ", 7);
      size_t digits = (size_t)(space - id);
      memcpy(at + 7, id, digits);
      memcpy(at + 7 + digits, "\r\n", 2);
      connection->out.end += 9 + digits;
      if (!options.finish_alone) load_continue(connection);
    } else if (starts_with(line, length, "USING ") && (!connection->greeted || options.queues > 1)) {
      load_greeted(connection);
    } else if (starts_with(line, length, "WATCHING ") && options.queues > 1) {
      // The reserve's answer follows.
    } else {
      load_refused(connection, line, length);
    }
    used += length;
  }
  return used;
}

const struct driver beanstalkd_driver = {
    .name = "beanstalkd", .prepare = prepare, .greet = greet, .enqueue = enqueue, .take = take, .receive = receive};

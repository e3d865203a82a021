// A queue as a Redis stream with one consumer group: XADD; XREADGROUP of one entry; XACK and XDEL when the job is done.
#include <stdio.h>
#include <string.h>

#include "load.h"
#include "resp.h"

static struct buffer add;
static size_t payload_offset;

static void prepare(void) {
  char line[32];
  buffer_text(&add, "*5\r\n$4\r\nXADD\r\n$4\r\njobs\r\n$1\r\n*\r\n$1\r\np\r\n");
  snprintf(line, sizeof line, "$%zu\r\n", options.payload);
  buffer_text(&add, line);
  payload_offset = add.end;
  buffer_payload_room(&add);
  buffer_text(&add, "\r\n");
}

static void greet(struct connection *connection) {
  const char *words[] = {"XGROUP", "CREATE", "jobs", "workers", "0", "MKSTREAM"};
  resp_command(&connection->out, 6, words);
}

static void enqueue(struct connection *connection) {
  char *at = buffer_reserve(&connection->out, add.end);
  memcpy(at, add.bytes, add.end);
  load_payload(at + payload_offset);
  connection->out.end += add.end;
}

static void take(struct connection *connection) {
  char name[32];
  snprintf(name, sizeof name, "worker%06u", connection->index);
  const char *words[] = {"XREADGROUP", "GROUP",   "workers", name,   "COUNT", "1",
                         "BLOCK",      "0",       "STREAMS", "jobs", ">"};
  resp_command(&connection->out, sizeof words / sizeof words[0], words);
}

static void done(struct connection *connection, const char *id, size_t length) {
  char text[256];
  int count = snprintf(text, sizeof text,
                       "*4\r\n$4\r\nXACK\r\n$4\r\njobs\r\n$7\r\nworkers\r\n$%zu\r\n%.*s\r\n"
                       "*3\r\n$4\r\nXDEL\r\n$4\r\njobs\r\n$%zu\r\n%.*s\r\n",
                       length, (int)length, id, length, (int)length, id);
  buffer_append(&connection->out, text, (size_t)count);
}

// [[stream, [[id, [field, value]]]]]
static const char *entry_id(const char *at, size_t *length) {
  for (int line = 0; line < 2; line++) at = strchr(at, '\n') + 1;  // *1, *2
  resp_bulk(&at, length);                                          // the stream's name
  for (int line = 0; line < 2; line++) at = strchr(at, '\n') + 1;  // *1, *2
  return resp_bulk(&at, length);
}

static size_t receive(struct connection *connection, const char *bytes, size_t count) {
  const char *at = bytes, *end = bytes + count;
  while (at < end) {
    const char *next = resp_end(at, end);
    if (!next) break;
    if (strncmp(at, "-LOADING", 8) == 0) {
      load_reconnect(connection);
      return 0;
    }
    if (!connection->greeted) {
      if (*at == '-' && strncmp(at, "-BUSYGROUP", 10) != 0) load_refused(connection, at, (size_t)(next - at));
      load_greeted(connection);
    } else if (connection->role == PRODUCER && *at == '$') {
      load_enqueued(connection, 1);
    } else if (*at == ':' && at[1] == '1') {
      // XACK's answer, then XDEL's.
      if (connection->unsettled_half) load_settled();
      connection->unsettled_half = !connection->unsettled_half;
    } else if (*at == '*' && at[1] == '1') {
      load_received();
      size_t length;
      const char *id = entry_id(at, &length);
      done(connection, id, length);
      take(connection);
    } else {
      load_refused(connection, at, (size_t)(next - at));
    }
    at = next;
  }
  return (size_t)(at - bytes);
}

const struct driver redis_stream_driver = {
    .name = "redis-stream", .prepare = prepare, .greet = greet, .enqueue = enqueue, .take = take, .receive = receive};

// A queue as a Redis stream with one consumer group: XADD; XREADGROUP of one entry; XACK and XDEL when the job is done.
#include <stdio.h>
#include <string.h>

#include "load.h"
#include "resp.h"

static struct buffer add;
static size_t payload_offset;

static void prepare(void) {
  char line[32];
  if (options.queues > 1) load_fail("the driver of streams knows one queue");
  if (options.delay_ms) load_fail("redis has no delayed jobs");
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
  resp_expect(connection, ENQUEUED);
}

static void take(struct connection *connection) {
  char name[32];
  snprintf(name, sizeof name, "worker%06u", connection->index);
  const char *words[] = {"XREADGROUP", "GROUP",   "workers", name,   "COUNT", "1",
                         "BLOCK",      "0",       "STREAMS", "jobs", ">"};
  resp_command(&connection->out, sizeof words / sizeof words[0], words);
  resp_expect(connection, TAKEN);
}

static void done(struct connection *connection, const char *id, size_t length) {
  char text[256];
  int count = snprintf(text, sizeof text,
                       "*4\r\n$4\r\nXACK\r\n$4\r\njobs\r\n$7\r\nworkers\r\n$%zu\r\n%.*s\r\n"
                       "*3\r\n$4\r\nXDEL\r\n$4\r\njobs\r\n$%zu\r\n%.*s\r\n",
                       length, (int)length, id, length, (int)length, id);
  buffer_append(&connection->out, text, (size_t)count);
  resp_expect(connection, ACKNOWLEDGED);
  resp_expect(connection, SETTLED);
}

// [[stream, [[id, [field, value]]]]]
static const char *entry_id(const char *at, size_t *length, const char **payload, size_t *payload_length) {
  for (int line = 0; line < 2; line++) at = strchr(at, '\n') + 1;  // *1, *2
  resp_bulk(&at, length);                                          // the stream's name
  for (int line = 0; line < 2; line++) at = strchr(at, '\n') + 1;  // *1, *2
  const char *id = resp_bulk(&at, length);
  at = strchr(at, '\n') + 1;       // *2
  resp_bulk(&at, payload_length);  // the field's name
  *payload = resp_bulk(&at, payload_length);
  return id;
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
    enum answer answer = connection->greeted ? resp_expected(connection) : GREETED;
    if (answer == GREETED) {
      if (*at == '-' && strncmp(at, "-BUSYGROUP", 10) != 0) load_refused(connection, at, (size_t)(next - at));
      load_greeted(connection);
    } else if (answer == ENQUEUED && *at == '$') {
      load_enqueued(connection, 1);
    } else if (answer == ACKNOWLEDGED && *at == ':' && at[1] == '1') {
      // XDEL's answer follows.
    } else if (answer == SETTLED && *at == ':' && at[1] == '1') {
      load_settled();
      if (options.finish_alone) load_continue(connection);
    } else if (answer == TAKEN && *at == '*' && at[1] == '1') {
      size_t length, payload_length;
      const char *payload, *id = entry_id(at, &length, &payload, &payload_length);
      load_received(payload, payload_length);
      done(connection, id, length);
      if (!options.finish_alone) load_continue(connection);
    } else {
      load_refused(connection, at, (size_t)(next - at));
    }
    at = next;
  }
  return (size_t)(at - bytes);
}

const struct driver redis_stream_driver = {
    .name = "redis-stream", .prepare = prepare, .greet = greet, .enqueue = enqueue, .take = take, .receive = receive};

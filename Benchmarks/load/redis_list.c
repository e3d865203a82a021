// A queue as a Redis list: LPUSH; BLMOVE to the worker's own list, and LREM from it when the job is done. The worker's
// list is appended to and searched from its head, where the oldest job is, so that LREM does not scan.
#include <stdio.h>
#include <string.h>

#include "load.h"
#include "resp.h"

static struct buffer push;
static size_t payload_offset, queue_offset;

static void prepare(void) {
  char line[32];
  if (options.delay_ms) load_fail("redis has no delayed jobs");
  buffer_text(&push, options.queues > 1 ? "*3\r\n$5\r\nLPUSH\r\n$7\r\nq000000\r\n" : "*3\r\n$5\r\nLPUSH\r\n$4\r\njobs\r\n");
  queue_offset = push.end - 8;
  snprintf(line, sizeof line, "$%zu\r\n", options.payload);
  buffer_text(&push, line);
  payload_offset = push.end;
  buffer_payload_room(&push);
  buffer_text(&push, "\r\n");
}

static void greet(struct connection *connection) {
  // An idle connection asks once, so that it is known to be accepted.
  const char *words[] = {"PING"};
  if (options.mode == MODE_HOLD) resp_command(&connection->out, 1, words);
}

static void enqueue(struct connection *connection) {
  static uint64_t turn;
  char *at = buffer_reserve(&connection->out, push.end);
  memcpy(at, push.bytes, push.end);
  load_payload(at + payload_offset);
  if (options.queues > 1) load_queue(at + queue_offset, turn++);
  connection->out.end += push.end;
  resp_expect(connection, ENQUEUED);
}

static size_t list_name(struct connection *connection, char *name, size_t size) {
  return (size_t)snprintf(name, size, "working:%06u", connection->index);
}

static void take(struct connection *connection) {
  static uint64_t turn;
  char name[32], queue[] = "q000000";
  list_name(connection, name, sizeof name);
  if (options.queues > 1) load_queue(queue + 1, turn++);
  const char *words[] = {"BLMOVE", options.queues > 1 ? queue : "jobs", name, "RIGHT", "RIGHT", "0"};
  resp_command(&connection->out, 6, words);
  resp_expect(connection, TAKEN);
}

static void done(struct connection *connection, const char *bulk, size_t count) {
  char start[64], name[32];
  size_t length = list_name(connection, name, sizeof name);
  int written = snprintf(start, sizeof start, "*4\r\n$4\r\nLREM\r\n$%zu\r\n%s\r\n$1\r\n1\r\n", length, name);
  buffer_append(&connection->out, start, (size_t)written);
  buffer_append(&connection->out, bulk, count);  // the bulk string as it came: header, bytes, line end
  resp_expect(connection, SETTLED);
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
    if (answer == ENQUEUED && *at == ':') {
      load_enqueued(connection, 1);
    } else if (answer == SETTLED && *at == ':' && at[1] == '1') {
      load_settled();
      if (options.finish_alone) load_continue(connection);
    } else if (answer == TAKEN && *at == '$' && at[1] != '-') {
      size_t length;
      const char *bulk = at, *payload = resp_bulk(&bulk, &length);
      load_received(payload, length);
      done(connection, at, (size_t)(next - at));
      if (!options.finish_alone) load_continue(connection);
    } else if (answer == GREETED && *at == '+') {
      load_greeted(connection);
    } else {
      load_refused(connection, at, (size_t)(next - at));
    }
    at = next;
  }
  return (size_t)(at - bytes);
}

const struct driver redis_list_driver = {
    .name = "redis-list", .prepare = prepare, .greet = greet, .enqueue = enqueue, .take = take, .receive = receive};

// A queue as a Redis list: LPUSH; BLMOVE to the worker's own list, and LREM from it when the job is done. The worker's
// list is appended to and searched from its head, where the oldest job is, so that LREM does not scan.
#include <stdio.h>
#include <string.h>

#include "load.h"
#include "resp.h"

static struct buffer push;
static size_t payload_offset;

static void prepare(void) {
  char line[32];
  buffer_text(&push, "*3\r\n$5\r\nLPUSH\r\n$4\r\njobs\r\n");
  snprintf(line, sizeof line, "$%zu\r\n", options.payload);
  buffer_text(&push, line);
  payload_offset = push.end;
  buffer_payload_room(&push);
  buffer_text(&push, "\r\n");
}

static void greet(struct connection *connection) { (void)connection; }

static void enqueue(struct connection *connection) {
  char *at = buffer_reserve(&connection->out, push.end);
  memcpy(at, push.bytes, push.end);
  load_payload(at + payload_offset);
  connection->out.end += push.end;
}

static size_t list_name(struct connection *connection, char *name, size_t size) {
  return (size_t)snprintf(name, size, "working:%06u", connection->index);
}

static void take(struct connection *connection) {
  char name[32];
  list_name(connection, name, sizeof name);
  const char *words[] = {"BLMOVE", "jobs", name, "RIGHT", "RIGHT", "0"};
  resp_command(&connection->out, 6, words);
}

static void done(struct connection *connection, const char *bulk, size_t count) {
  char start[64], name[32];
  size_t length = list_name(connection, name, sizeof name);
  int written = snprintf(start, sizeof start, "*4\r\n$4\r\nLREM\r\n$%zu\r\n%s\r\n$1\r\n1\r\n", length, name);
  buffer_append(&connection->out, start, (size_t)written);
  buffer_append(&connection->out, bulk, count);  // the bulk string as it came: header, bytes, line end
}

static size_t receive(struct connection *connection, const char *bytes, size_t count) {
  const char *at = bytes, *end = bytes + count;
  while (at < end) {
    const char *next = resp_end(at, end);
    if (!next) break;
    if (connection->role == PRODUCER && *at == ':') {
      load_enqueued(connection, 1);
    } else if (*at == ':' && at[1] == '1') {
      load_settled();
    } else if (*at == '$' && at[1] != '-') {
      load_received();
      done(connection, at, (size_t)(next - at));
      take(connection);
    } else if (strncmp(at, "-LOADING", 8) == 0) {
      load_reconnect(connection);
      return 0;
    } else {
      load_refused(connection, at, (size_t)(next - at));
    }
    at = next;
  }
  return (size_t)(at - bytes);
}

const struct driver redis_list_driver = {
    .name = "redis-list", .prepare = prepare, .greet = greet, .enqueue = enqueue, .take = take, .receive = receive};

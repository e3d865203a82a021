// Nuvom's protocol (Protocol.md): a 4-byte length and one MessagePack message. Requests are templates with a few bytes
// exchanged; responses are read by a cursor that checks what it needs and skips the rest.
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "load.h"

// MARK: Templates

static void text(struct buffer *buffer, const char *value) {
  char head = (char)(0xa0 | strlen(value));
  buffer_append(buffer, &head, 1);
  buffer_text(buffer, value);
}

static void byte(struct buffer *buffer, unsigned value) {
  char one = (char)value;
  buffer_append(buffer, &one, 1);
}

static void uint32(struct buffer *buffer, uint32_t value) {
  uint32_t big = htonl(value);
  byte(buffer, 0xce);
  buffer_append(buffer, &big, 4);
}

static void uint64_placeholder(struct buffer *buffer) {
  uint64_t zero = 0;
  byte(buffer, 0xcf);
  buffer_append(buffer, &zero, 8);
}

enum { ID_OFFSET = 4 + 3 };  // frame length; array, type, the head of a 32-bit integer

static void start_request(struct buffer *buffer, const char *method) {
  buffer_append(buffer, "\0\0\0\0\x94\0", 6);
  uint32(buffer, 0);
  text(buffer, method);
}

static void end_request(struct buffer *buffer) {
  uint32_t length = htonl((uint32_t)(buffer->end - 4));
  memcpy(buffer->bytes, &length, 4);
}

static void settlement(struct buffer *buffer, size_t *id_offset, size_t *token_offset) {
  byte(buffer, 0x91);
  byte(buffer, 0x82);
  text(buffer, "id");
  *id_offset = buffer->end + 1;
  uint64_placeholder(buffer);
  text(buffer, "token");
  *token_offset = buffer->end + 1;
  uint64_placeholder(buffer);
}

static struct buffer enqueue_request, dequeue_request, dequeue_with_ack_request, ack_request;
static size_t first_payload, first_queue, job_stride, taken_queue, taken_queue_with_ack;
static size_t carried_id, carried_token, ack_id, ack_token;

// Returns where the digits of the queue's name are, if there are several.
static size_t queue_name(struct buffer *buffer) {
  text(buffer, options.queues > 1 ? "q000000" : "bench");
  return buffer->end - 6;
}

static size_t start_dequeue(struct buffer *buffer, unsigned fields) {
  start_request(buffer, "dequeue");
  byte(buffer, 0x80 | fields);
  text(buffer, "queues");
  byte(buffer, 0x91);
  size_t queue = queue_name(buffer);
  text(buffer, "max");
  byte(buffer, 1);
  text(buffer, "wait_ms");
  uint32(buffer, 30000);
  return queue;
}

static void prepare(void) {
  struct buffer *buffer = &enqueue_request;
  start_request(buffer, "enqueue");
  byte(buffer, 0x81);
  text(buffer, "jobs");
  if (options.batch < 16) {
    byte(buffer, 0x90 | options.batch);
  } else {
    byte(buffer, 0xdc);
    byte(buffer, options.batch >> 8);
    byte(buffer, options.batch & 0xff);
  }
  size_t start = buffer->end;
  for (unsigned job = 0; job < options.batch; job++) {
    byte(buffer, options.delay_ms ? 0x84 : 0x83);
    if (options.delay_ms) {
      text(buffer, "delay_ms");
      uint32(buffer, options.delay_ms);
    }
    text(buffer, "queue");
    size_t queue = queue_name(buffer);
    text(buffer, "task");
    text(buffer, "bench");
    text(buffer, "payload");
    byte(buffer, 0xc5);
    byte(buffer, (unsigned)(options.payload >> 8));
    byte(buffer, options.payload & 0xff);
    if (job == 0) first_queue = queue;
    if (job == 0) first_payload = buffer->end;
    buffer_payload_room(buffer);
    if (job == 0) job_stride = buffer->end - start;
  }
  end_request(buffer);

  taken_queue = start_dequeue(&dequeue_request, 3);
  end_request(&dequeue_request);

  taken_queue_with_ack = start_dequeue(&dequeue_with_ack_request, 4);
  text(&dequeue_with_ack_request, "ack");
  settlement(&dequeue_with_ack_request, &carried_id, &carried_token);
  end_request(&dequeue_with_ack_request);

  start_request(&ack_request, "ack");
  byte(&ack_request, 0x81);
  text(&ack_request, "jobs");
  settlement(&ack_request, &ack_id, &ack_token);
  end_request(&ack_request);
}

// MARK: Requests

// The lowest bits of a request's id say what its response answers.
enum kind { OTHER = 0, SETTLES = 1, ENQUEUES = 2 };

static char *append(struct connection *connection, const struct buffer *request, enum kind kind) {
  char *at = buffer_reserve(&connection->out, request->end);
  memcpy(at, request->bytes, request->end);
  connection->out.end += request->end;
  connection->requests += 1;
  uint32_t id = htonl((uint32_t)(connection->requests << 2 | kind));
  memcpy(at + ID_OFFSET, &id, 4);
  return at;
}

static void greet(struct connection *connection) {
  struct buffer request = {0};
  start_request(&request, "hello");
  byte(&request, options.safe_retries ? 0x82 : 0x81);
  text(&request, "version");
  byte(&request, 1);
  if (options.safe_retries) {
    char id[16];
    if (getrandom(id, sizeof id, 0) != sizeof id) load_fail("no random bytes");
    text(&request, "client_id");
    byte(&request, 0xc4);
    byte(&request, sizeof id);
    buffer_append(&request, id, sizeof id);
  }
  end_request(&request);
  append(connection, &request, OTHER);
  free(request.bytes);
}

static void enqueue(struct connection *connection) {
  static uint64_t turn;
  char *at = append(connection, &enqueue_request, ENQUEUES);
  for (unsigned job = 0; job < options.batch; job++) {
    load_payload(at + first_payload + job * job_stride);
    if (options.queues > 1) load_queue(at + first_queue + job * job_stride, turn++);
  }
}

static void put_uint64(char *at, uint64_t value) {
  uint64_t big = __builtin_bswap64(value);
  memcpy(at, &big, 8);
}

struct lease {
  uint64_t id, token;
};

static void take(struct connection *connection) {
  static uint64_t turn;
  struct buffer *held = &connection->held;
  if (held->start == held->end) {
    char *at = append(connection, &dequeue_request, OTHER);
    if (options.queues > 1) load_queue(at + taken_queue, turn++);
    return;
  }
  struct lease lease;
  memcpy(&lease, held->bytes + held->start, sizeof lease);
  held->start += sizeof lease;
  if (held->start == held->end) held->start = held->end = 0;
  char *at = append(connection, &dequeue_with_ack_request, SETTLES);
  if (options.queues > 1) load_queue(at + taken_queue_with_ack, turn++);
  put_uint64(at + carried_id, lease.id);
  put_uint64(at + carried_token, lease.token);
}

static void done(struct connection *connection, struct lease lease) {
  if (options.separate_acks) {
    char *at = append(connection, &ack_request, SETTLES);
    put_uint64(at + ack_id, lease.id);
    put_uint64(at + ack_token, lease.token);
  } else {
    buffer_append(&connection->held, &lease, sizeof lease);
  }
  load_continue(connection);
}

// MARK: Responses

struct cursor {
  const unsigned char *at, *end;
  bool bad;
};

static uint64_t big_endian(struct cursor *cursor, size_t width) {
  if ((size_t)(cursor->end - cursor->at) < width) {
    cursor->bad = true;
    return 0;
  }
  uint64_t value = 0;
  for (size_t i = 0; i < width; i++) value = value << 8 | cursor->at[i];
  cursor->at += width;
  return value;
}

struct head {
  enum { NIL, BOOL, UINT, INT, FLOAT, BYTES, ARRAY, MAP } type;
  uint64_t value;     // of UINT; elements of ARRAY, pairs of MAP, length of BYTES
  const char *bytes;  // of BYTES, which are skipped
};

static struct head next(struct cursor *cursor) {
  uint64_t lead = big_endian(cursor, 1);
  struct head head = {.type = NIL};
  size_t extension = 0;
  if (lead < 0x80) head = (struct head){.type = UINT, .value = lead};
  else if (lead < 0x90) head = (struct head){.type = MAP, .value = lead & 15};
  else if (lead < 0xa0) head = (struct head){.type = ARRAY, .value = lead & 15};
  else if (lead < 0xc0) head = (struct head){.type = BYTES, .value = lead & 31};
  else if (lead >= 0xe0) head.type = INT;
  else switch (lead) {
    case 0xc0: break;
    case 0xc2: case 0xc3: head.type = BOOL; break;
    case 0xc4: case 0xc5: case 0xc6:
      head = (struct head){.type = BYTES, .value = big_endian(cursor, 1ul << (lead - 0xc4))}; break;
    case 0xc7: case 0xc8: case 0xc9:
      extension = 1;
      head = (struct head){.type = BYTES, .value = big_endian(cursor, 1ul << (lead - 0xc7))}; break;
    case 0xca: case 0xcb: head.type = FLOAT; big_endian(cursor, lead == 0xca ? 4 : 8); break;
    case 0xcc: case 0xcd: case 0xce: case 0xcf:
      head = (struct head){.type = UINT, .value = big_endian(cursor, 1ul << (lead - 0xcc))}; break;
    case 0xd0: case 0xd1: case 0xd2: case 0xd3: head.type = INT; big_endian(cursor, 1ul << (lead - 0xd0)); break;
    case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8:
      extension = 1;
      head = (struct head){.type = BYTES, .value = 1ul << (lead - 0xd4)}; break;
    case 0xd9: case 0xda: case 0xdb:
      head = (struct head){.type = BYTES, .value = big_endian(cursor, 1ul << (lead - 0xd9))}; break;
    case 0xdc: case 0xdd:
      head = (struct head){.type = ARRAY, .value = big_endian(cursor, lead == 0xdc ? 2 : 4)}; break;
    case 0xde: case 0xdf:
      head = (struct head){.type = MAP, .value = big_endian(cursor, lead == 0xde ? 2 : 4)}; break;
    default: cursor->bad = true;
  }
  if (head.type == BYTES) {
    size_t length = head.value + extension;
    if ((size_t)(cursor->end - cursor->at) < length) {
      cursor->bad = true;
    } else {
      head.bytes = (const char *)cursor->at;
      cursor->at += length;
    }
  }
  return head;
}

static void skip(struct cursor *cursor) {
  for (uint64_t left = 1; left > 0 && !cursor->bad; left--) {
    struct head head = next(cursor);
    if (head.type == ARRAY) left += head.value;
    if (head.type == MAP) left += 2 * head.value;
  }
}

static bool is(struct head head, const char *word) {
  return head.type == BYTES && head.value == strlen(word) && memcmp(head.bytes, word, head.value) == 0;
}

static void delivery(struct connection *connection, struct cursor *cursor) {
  struct head map = next(cursor);
  struct lease lease = {0};
  struct head payload = {0};
  if (map.type != MAP) cursor->bad = true;
  for (uint64_t i = 0; i < map.value && !cursor->bad; i++) {
    struct head key = next(cursor);
    if (is(key, "id")) lease.id = next(cursor).value;
    else if (is(key, "token")) lease.token = next(cursor).value;
    else if (is(key, "payload")) payload = next(cursor);
    else skip(cursor);
  }
  if (lease.token == 0 || payload.type != BYTES) cursor->bad = true;
  if (cursor->bad) return;
  load_received(payload.bytes, payload.value);
  done(connection, lease);
}

static void consumer_result(struct connection *connection, struct cursor *cursor) {
  struct head map = next(cursor);
  if (map.type != MAP) cursor->bad = true;
  for (uint64_t i = 0; i < map.value && !cursor->bad; i++) {
    struct head key = next(cursor);
    if (is(key, "jobs")) {
      struct head jobs = next(cursor);
      if (jobs.type != ARRAY) cursor->bad = true;
      if (jobs.value == 0) take(connection);  // the wait ran out
      for (uint64_t job = 0; job < jobs.value && !cursor->bad; job++) delivery(connection, cursor);
    } else if (is(key, "refused")) {
      if (next(cursor).value > 0) cursor->bad = true;
    } else {
      skip(cursor);
    }
  }
}

// {"ids": [one for each job]}
static void producer_result(struct connection *connection, struct cursor *cursor) {
  struct head map = next(cursor), key = next(cursor), ids = next(cursor);
  if (map.type != MAP || !is(key, "ids") || ids.type != ARRAY || ids.value != options.batch) cursor->bad = true;
  else load_enqueued(connection, options.batch);
}

static size_t receive(struct connection *connection, const char *bytes, size_t count) {
  size_t used = 0;
  while (count - used >= 4) {
    const char *frame = bytes + used + 4;
    uint32_t length;
    memcpy(&length, bytes + used, 4);
    length = ntohl(length);
    if (count - used - 4 < length) break;
    used += 4 + (size_t)length;

    struct cursor cursor = {.at = (const unsigned char *)frame, .end = (const unsigned char *)frame + length};
    struct head message = next(&cursor), type = next(&cursor), id = next(&cursor), error = next(&cursor);
    if (message.type != ARRAY || message.value != 4 || type.value != 1 || id.type != UINT || error.type != NIL)
      load_refused(connection, frame, length);
    if (!connection->greeted) {
      load_greeted(connection);
    } else if (id.value & ENQUEUES) {
      producer_result(connection, &cursor);
    } else {
      if (id.value & SETTLES) load_settled();
      consumer_result(connection, &cursor);
    }
    if (cursor.bad) load_refused(connection, frame, length);
  }
  return used;
}

const struct driver nuvom_driver = {
    .name = "nuvom", .prepare = prepare, .greet = greet, .enqueue = enqueue, .take = take, .receive = receive};

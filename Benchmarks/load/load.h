// A load generator for job brokers: one thread, raw epoll, one driver for each protocol.
//
// It shares its machine with the server it measures, so it is written to cost little beside it: requests are copied
// from a template, replies are scanned in place, and a connection costs one read and one write a turn of the loop.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buffer {
  char *bytes;
  size_t start, end, capacity;
};

enum role { PRODUCER, CONSUMER, CYCLER, IDLER };

enum mode {
  MODE_ENQUEUE,   // producers only
  MODE_BACKLOG,   // consumers only, on jobs that are there already
  MODE_TOGETHER,  // as many producers as consumers, the backlog kept small
  MODE_FIRST,     // one consumer that keeps trying to connect until it has received one job
  MODE_PACED,     // producers by the clock, whatever the server does, and as many consumers
  MODE_CYCLE,     // each request slot enqueues a job, then takes one and settles it: the backlog keeps its length
  MODE_HOLD,      // connections that do nothing, until standard input ends
};

struct connection {
  int fd;
  unsigned index;
  enum role role;
  bool greeted;         // the server has answered all of the driver's greeting
  bool wants_writable;  // registered for EPOLLOUT
  unsigned parked;      // requests that a producer holds back while the backlog is full
  uint64_t requests;    // nuvom: numbers the requests
  struct buffer in, out;
  uint64_t watched;        // beanstalkd: the queue that it takes from, if there are several
  struct buffer held;      // nuvom: ids and tokens that the next dequeues acknowledge
  struct buffer expected;  // redis: what the replies to come answer, a byte each
};

struct options {
  const struct driver *driver;
  enum mode mode;
  int port;
  pid_t server;          // whose CPU time is reported; 0: nobody's
  unsigned connections;  // of each role
  unsigned in_flight;    // requests on each connection
  size_t payload;        // bytes
  unsigned batch;        // jobs in one enqueue (nuvom only)
  uint64_t jobs;         // enqueue: stop after these; backlog: so many are there
  double seconds;        // stop after these
  double warm_up;        // not measured
  double rate;           // paced: jobs a second
  unsigned delay_ms;     // of every job that is enqueued
  unsigned queues;       // that jobs are spread over, in turns
  bool separate_acks;    // nuvom: a frame for each ack, instead of carrying it in the next dequeue
  bool finish_alone;     // peers: the next take waits for the answer to what finishes a job, instead of following it in one write
  bool safe_retries;     // nuvom: name the client, so that the broker remembers its answers
};

extern struct options options;

// What a protocol looks like. Functions append requests to `connection->out`; the loop sends them.
struct driver {
  const char *name;
  void (*prepare)(void);                      // once, before any connection
  void (*greet)(struct connection *);         // may append nothing: then no answer is awaited
  void (*enqueue)(struct connection *);       // one request of `options.batch` jobs
  void (*take)(struct connection *);          // asks for one job; its receipt is followed by the next request
  size_t (*receive)(struct connection *, const char *bytes, size_t count);  // consumes whole replies, returns bytes used
};

extern const struct driver nuvom_driver, beanstalkd_driver, redis_list_driver, redis_stream_driver, echo_driver;

// Called by drivers.
void load_greeted(struct connection *);
void load_enqueued(struct connection *, unsigned jobs);
void load_received(const char *payload, size_t length);  // a consumer holds one more job
void load_continue(struct connection *);  // after what settles the job: the request that follows
void load_settled(void);                  // the server confirmed that a job is done
void load_reconnect(struct connection *); // the server is not ready; only while waiting for the first job
void load_payload(char *payload);         // `options.payload` bytes that differ from all others
void load_queue(char *digits, uint64_t turn);  // the six digits of the queue whose turn it is
_Noreturn void load_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void load_refused(struct connection *, const char *bytes, size_t count);  // an answer that no driver expects

char *buffer_reserve(struct buffer *, size_t count);  // room for `count` bytes; the caller advances `end`
void buffer_append(struct buffer *, const void *bytes, size_t count);
void buffer_text(struct buffer *, const char *text);
void buffer_payload_room(struct buffer *);  // appends `options.payload` zero bytes

// A server that returns what it receives: the cost that no broker can be below.
_Noreturn void serve_echo(int port);

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

struct options options = {
    .connections = 1, .in_flight = 1, .payload = 100, .batch = 1, .jobs = UINT64_MAX, .seconds = 10};

static int epoll_fd;
static unsigned connection_count;
static struct connection *connections;
static unsigned greeted;
static uint64_t sent, enqueued, received, settled;
static uint64_t backlog_limit;  // together: producers stop above it
static unsigned parked;
static clockid_t server_clock;

struct moment {
  double time, server_cpu, client_cpu;
  uint64_t enqueued, settled;
};

_Noreturn void load_fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "load: ");
  vfprintf(stderr, format, arguments);
  fprintf(stderr, "\n");
  va_end(arguments);
  exit(1);
}

_Noreturn void load_refused(struct connection *connection, const char *bytes, size_t count) {
  char text[400];
  size_t shown = count < sizeof text - 1 ? count : sizeof text - 1;
  for (size_t i = 0; i < shown; i++) text[i] = bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '.';
  text[shown] = 0;
  load_fail("connection %u: the server answered: %s", connection->index, text);
}

// Random bytes that payloads are cut from, so that a server that compresses gains nothing that real jobs would not give.
static char random_bytes[256 * 1024];

static void prepare_payloads(void) {
  uint64_t state = 88172645463325252u;  // xorshift: the same payloads in every run
  for (size_t i = 0; i < sizeof random_bytes; i += sizeof state) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    memcpy(random_bytes + i, &state, sizeof state);
  }
}

void load_payload(char *payload) {
  static uint64_t number;
  static size_t offset;
  number += 1;
  offset += options.payload;
  if (offset + options.payload > sizeof random_bytes) offset = number % 64;
  memcpy(payload, random_bytes + offset, options.payload);
  memcpy(payload, &number, sizeof number);
}

static double clock_seconds(clockid_t clock) {
  struct timespec time;
  if (clock_gettime(clock, &time) != 0) load_fail("cannot read a clock: %s (has the server died?)", strerror(errno));
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static struct moment now(void) {
  return (struct moment){
      .time = clock_seconds(CLOCK_MONOTONIC),
      .server_cpu = options.server ? clock_seconds(server_clock) : 0,
      .client_cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID),
      .enqueued = enqueued,
      .settled = settled,
  };
}

// MARK: What drivers report

static void enqueue_or_park(struct connection *connection) {
  if (options.mode == MODE_TOGETHER) {
    if (sent - settled >= backlog_limit) {
      connection->parked += 1;
      parked += 1;
      return;
    }
  } else if (sent >= options.jobs) {
    return;
  }
  sent += options.batch;
  options.driver->enqueue(connection);
}

void load_greeted(struct connection *connection) {
  if (connection->greeted) return;
  connection->greeted = true;
  greeted += 1;
}

void load_enqueued(struct connection *connection, unsigned jobs) {
  enqueued += jobs;
  enqueue_or_park(connection);
}

void load_received(void) { received += 1; }

void load_settled(void) { settled += 1; }

// MARK: Connections

static void watch(struct connection *connection, int operation) {
  struct epoll_event event = {
      .events = EPOLLIN | (connection->wants_writable ? EPOLLOUT : 0u), .data.ptr = connection};
  if (epoll_ctl(epoll_fd, operation, connection->fd, &event) != 0) load_fail("epoll_ctl: %s", strerror(errno));
}

static void flush(struct connection *connection) {
  struct buffer *out = &connection->out;
  while (out->start < out->end) {
    ssize_t written = send(connection->fd, out->bytes + out->start, out->end - out->start, MSG_NOSIGNAL);
    if (written < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) load_fail("connection %u: send: %s", connection->index, strerror(errno));
      if (!connection->wants_writable) {
        connection->wants_writable = true;
        watch(connection, EPOLL_CTL_MOD);
      }
      return;
    }
    out->start += (size_t)written;
  }
  out->start = out->end = 0;
  if (connection->wants_writable) {
    connection->wants_writable = false;
    watch(connection, EPOLL_CTL_MOD);
  }
}

static void open_connection(struct connection *connection) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)options.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  double give_up = clock_seconds(CLOCK_MONOTONIC) + options.seconds;
  for (;;) {
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0) load_fail("socket: %s", strerror(errno));
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof address) == 0) break;
    if (options.mode != MODE_FIRST || clock_seconds(CLOCK_MONOTONIC) > give_up)
      load_fail("cannot connect to port %d: %s", options.port, strerror(errno));
    close(connection->fd);
    usleep(1000);
  }
  int yes = 1;
  setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  fcntl(connection->fd, F_SETFL, O_NONBLOCK);
  connection->in.start = connection->in.end = 0;
  connection->out.start = connection->out.end = 0;
  connection->wants_writable = false;
  watch(connection, EPOLL_CTL_ADD);
  options.driver->greet(connection);
  if (connection->out.end == 0) load_greeted(connection);
  flush(connection);
}

void load_reconnect(struct connection *connection) {
  if (options.mode != MODE_FIRST) load_fail("connection %u: the server is still loading", connection->index);
  close(connection->fd);
  usleep(1000);
  bool had_asked = connection->greeted;
  if (had_asked) {
    connection->greeted = false;
    greeted -= 1;
  }
  open_connection(connection);
  if (had_asked) options.driver->take(connection);
}

static void readable(struct connection *connection) {
  struct buffer *in = &connection->in;
  char *room = buffer_reserve(in, 64 * 1024);
  ssize_t count = recv(connection->fd, room, in->capacity - in->end, 0);
  if (count < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    load_fail("connection %u: recv: %s", connection->index, strerror(errno));
  }
  if (count == 0) load_fail("connection %u: closed by the server", connection->index);
  in->end += (size_t)count;
  size_t used = options.driver->receive(connection, in->bytes + in->start, in->end - in->start);
  if (in->end == 0) return;  // reconnected: the buffers were emptied
  in->start += used;
  if (in->start == in->end) in->start = in->end = 0;
}

static void turn(int timeout_ms) {
  struct epoll_event events[128];
  int count = epoll_wait(epoll_fd, events, 128, timeout_ms);
  if (count < 0 && errno != EINTR) load_fail("epoll_wait: %s", strerror(errno));
  for (int i = 0; i < count; i++) {
    struct connection *connection = events[i].data.ptr;
    if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) readable(connection);
    if (options.mode == MODE_FIRST && received > 0) return;  // leave the job leased: nothing may follow its receipt
    if (connection->out.end > 0 || connection->wants_writable) flush(connection);
  }
  // Only at half the limit, so that producers wake with several requests at once instead of one by one.
  if (parked > 0 && sent - settled < backlog_limit / 2) {
    for (unsigned i = 0; i < connection_count; i++) {
      struct connection *connection = &connections[i];
      if (connection->parked == 0) continue;
      unsigned waiting = connection->parked;
      parked -= waiting;
      connection->parked = 0;
      while (waiting-- > 0) enqueue_or_park(connection);
      flush(connection);
    }
  }
}

// MARK: A run

static bool finished(void) {
  switch (options.mode) {
    case MODE_ENQUEUE: return sent >= options.jobs && enqueued >= sent;
    case MODE_BACKLOG: return settled >= options.jobs;
    case MODE_TOGETHER: return false;
    case MODE_FIRST: return received > 0;
  }
  return true;
}

static uint64_t progress(void) { return options.mode == MODE_ENQUEUE ? enqueued : settled; }

static void run(void) {
  bool producing = options.mode == MODE_ENQUEUE || options.mode == MODE_TOGETHER;
  bool consuming = options.mode != MODE_ENQUEUE;
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  connection_count = options.connections * ((unsigned)producing + (unsigned)consuming);
  connections = calloc(connection_count, sizeof *connections);
  if (epoll_fd < 0 || !connections) load_fail("cannot start: %s", strerror(errno));

  uint64_t in_flight = (uint64_t)options.connections * options.in_flight;
  backlog_limit = 4 * in_flight * options.batch + 1000;
  if (options.mode == MODE_BACKLOG && options.jobs != UINT64_MAX) {
    // The last jobs do not count: where a connection waits for a job that will not come, its settlements wait too.
    if (options.jobs <= 4 * in_flight) load_fail("a backlog of %lu jobs is too small", (unsigned long)options.jobs);
    options.jobs -= 2 * in_flight;
  }

  prepare_payloads();
  options.driver->prepare();
  for (unsigned i = 0; i < connection_count; i++) {
    connections[i].index = i;
    connections[i].role = producing && (!consuming || i % 2 == 0) ? PRODUCER : CONSUMER;
    open_connection(&connections[i]);
  }
  double begin = clock_seconds(CLOCK_MONOTONIC);
  while (greeted < connection_count) {
    turn(10);
    if (clock_seconds(CLOCK_MONOTONIC) > begin + options.seconds) load_fail("the server does not answer the greeting");
  }

  begin = clock_seconds(CLOCK_MONOTONIC);
  struct moment first = now();
  for (unsigned i = 0; i < connection_count; i++) {
    for (unsigned j = 0; j < options.in_flight; j++) {
      if (connections[i].role == PRODUCER) enqueue_or_park(&connections[i]);
      else options.driver->take(&connections[i]);
    }
    flush(&connections[i]);
  }
  bool measuring = options.warm_up == 0;
  for (;;) {
    turn(10);
    double time = clock_seconds(CLOCK_MONOTONIC);
    // A tenth of the jobs ends the warm-up too, so that a fast server leaves something to measure.
    if (!measuring && (time >= begin + options.warm_up || progress() >= options.jobs / 10)) {
      measuring = true;
      begin = time;
      first = now();
    }
    if (finished() || (measuring && time >= begin + options.seconds)) break;
  }
  struct moment last = now();
  if (options.mode == MODE_FIRST && received == 0) load_fail("no job within %.0f s", options.seconds);
  if (options.mode == MODE_ENQUEUE) {
    // Leave no request unanswered, so that the jobs reported are the jobs that are there.
    options.jobs = 0;
    while (enqueued < sent && clock_seconds(CLOCK_MONOTONIC) < last.time + 10) turn(10);
  }

  double seconds = last.time - first.time;
  uint64_t jobs = options.mode == MODE_ENQUEUE ? last.enqueued - first.enqueued : last.settled - first.settled;
  printf("{\"jobs\": %lu, \"seconds\": %.6f, \"jobs_per_second\": %.1f, \"server_cpu_seconds\": %.6f, "
         "\"client_cpu_seconds\": %.6f, \"enqueued_in_all\": %lu, \"settled_in_all\": %lu, \"ended_at\": %.6f}\n",
         (unsigned long)jobs, seconds, (double)jobs / seconds, last.server_cpu - first.server_cpu,
         last.client_cpu - first.client_cpu, (unsigned long)enqueued, (unsigned long)settled, last.time);
}

// MARK: Arguments

static const struct driver *driver_named(const char *name) {
  const struct driver *all[] = {&nuvom_driver, &beanstalkd_driver, &redis_list_driver, &redis_stream_driver,
                                &echo_driver};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    if (strcmp(all[i]->name, name) == 0) return all[i];
  load_fail("no protocol is named %s", name);
}

static enum mode mode_named(const char *name) {
  if (strcmp(name, "enqueue") == 0) return MODE_ENQUEUE;
  if (strcmp(name, "backlog") == 0) return MODE_BACKLOG;
  if (strcmp(name, "together") == 0) return MODE_TOGETHER;
  if (strcmp(name, "first") == 0) return MODE_FIRST;
  load_fail("no mode is named %s", name);
}

static double number(const char *name, const char *text, double least, double most) {
  char *end;
  double value = strtod(text, &end);
  if (*text == 0 || *end != 0 || !(value >= least && value <= most))
    load_fail("%s takes a number from %.0f to %.0f, not %s", name, least, most, text);
  return value;
}

static const char *const usage =
    "usage: load serve-echo PORT\n"
    "       load PROTOCOL MODE PORT [--option VALUE]…\n"
    "PROTOCOL: nuvom, beanstalkd, redis-list, redis-stream, echo\n"
    "MODE: enqueue, backlog, together, first\n"
    "options: --connections N --in-flight N --payload BYTES --batch JOBS --jobs N --seconds S --warm-up S\n"
    "         --server PID --acks carried|separate --retries plain|safe\n"
    "Prints one line of JSON.\n";

int main(int count, char **arguments) {
  if (count == 3 && strcmp(arguments[1], "serve-echo") == 0)
    serve_echo((int)number("PORT", arguments[2], 1, 65535));
  if (count < 4 || count % 2 != 0) {
    fputs(usage, stderr);
    return 2;
  }
  options.driver = driver_named(arguments[1]);
  options.mode = mode_named(arguments[2]);
  options.port = (int)number("PORT", arguments[3], 1, 65535);
  for (int i = 4; i < count; i += 2) {
    const char *name = arguments[i], *value = arguments[i + 1];
    if (strcmp(name, "--connections") == 0) options.connections = (unsigned)number(name, value, 1, 20000);
    else if (strcmp(name, "--in-flight") == 0) options.in_flight = (unsigned)number(name, value, 1, 1000);
    else if (strcmp(name, "--payload") == 0) options.payload = (size_t)number(name, value, 8, 60000);
    else if (strcmp(name, "--batch") == 0) options.batch = (unsigned)number(name, value, 1, 10000);
    else if (strcmp(name, "--jobs") == 0) options.jobs = (uint64_t)number(name, value, 1, 1e9);
    else if (strcmp(name, "--seconds") == 0) options.seconds = number(name, value, 0, 3600);
    else if (strcmp(name, "--warm-up") == 0) options.warm_up = number(name, value, 0, 60);
    else if (strcmp(name, "--server") == 0) options.server = (pid_t)number(name, value, 1, 1e9);
    else if (strcmp(name, "--acks") == 0) options.separate_acks = strcmp(value, "separate") == 0;
    else if (strcmp(name, "--retries") == 0) options.safe_retries = strcmp(value, "safe") == 0;
    else load_fail("no option is named %s", name);
  }
  if (options.batch > 1 && options.driver != &nuvom_driver) load_fail("only nuvom takes batches");
  if (options.server && clock_getcpuclockid(options.server, &server_clock) != 0)
    load_fail("there is no process %d", (int)options.server);
  run();
  return 0;
}

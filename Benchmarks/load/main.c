#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

struct options options = {
    .connections = 1, .in_flight = 1, .payload = 100, .batch = 1, .queues = 1, .jobs = UINT64_MAX, .seconds = 10};

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
  uint64_t enqueued, received, settled;
};

// Paced: jobs are sent at `begin` + i/rate. Those sent between `warm_up` and `warm_up` + `seconds` count.
static struct {
  uint64_t begin, count_from, count_until, end;  // nanoseconds
  uint64_t stamp;                                // of the job that is being written: when it should be received at the earliest
  uint64_t sent;
  uint64_t counted, *lateness, got;  // nanoseconds from the stamp to the receipt, of the jobs that count
  uint64_t *send_lateness;
  unsigned char *seen;               // a byte a job, against jobs delivered twice
} paced;
static int pace_timer = -1;
static uint64_t payload_number;
static bool released;  // hold: standard input has ended

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
  static size_t offset;
  uint64_t number = ++payload_number;
  offset += options.payload;
  if (offset + options.payload > sizeof random_bytes) offset = number % 64;
  memcpy(payload, random_bytes + offset, options.payload);
  memcpy(payload, &number, sizeof number);
  if (options.mode == MODE_PACED) memcpy(payload + sizeof number, &paced.stamp, sizeof paced.stamp);
}

void load_queue(char *digits, uint64_t turn) {
  unsigned number = (unsigned)(turn % options.queues) + 1;
  for (int i = 5; i >= 0; i--, number /= 10) digits[i] = (char)('0' + number % 10);
}

static double clock_seconds(clockid_t clock) {
  struct timespec time;
  if (clock_gettime(clock, &time) != 0) load_fail("cannot read a clock: %s (has the server died?)", strerror(errno));
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static uint64_t nanoseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static struct moment now(void) {
  return (struct moment){
      .time = clock_seconds(CLOCK_MONOTONIC),
      .server_cpu = options.server ? clock_seconds(server_clock) : 0,
      .client_cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID),
      .enqueued = enqueued,
      .received = received,
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
  if (options.mode == MODE_CYCLE) options.driver->take(connection);
  else if (options.mode != MODE_PACED) enqueue_or_park(connection);
}

static void paced_received(const char *payload) {
  uint64_t number, stamp, time = nanoseconds();
  memcpy(&number, payload, sizeof number);
  memcpy(&stamp, payload + sizeof number, sizeof stamp);
  uint64_t due = stamp - (uint64_t)options.delay_ms * 1000000u;
  if (due < paced.begin || due > paced.end + 1000000000u) return;  // left by an earlier run
  if (number == 0 || number > paced.sent || paced.seen[number]++) load_fail("job %lu came twice", (unsigned long)number);
  if (due < paced.count_from || due >= paced.count_until) return;
  // The broker's delay began after our clock was read, so it cannot be early but by its resolution: beanstalkd's.
  paced.lateness[paced.got++] = time > stamp ? time - stamp : 0;
}

void load_received(const char *payload, size_t length) {
  if (length != options.payload) load_fail("a payload of %zu bytes came back with %zu", options.payload, length);
  received += 1;
  if (options.mode == MODE_PACED) paced_received(payload);
}

void load_continue(struct connection *connection) {
  if (options.mode == MODE_CYCLE) {
    sent += 1;
    options.driver->enqueue(connection);
  } else {
    options.driver->take(connection);
  }
}

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
  connection->expected.start = connection->expected.end = 0;
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

static void send_due(void) {
  uint64_t expirations, time = nanoseconds();
  if (read(pace_timer, &expirations, sizeof expirations) < 0) return;
  for (;;) {
    uint64_t intended = paced.begin + (uint64_t)((double)paced.sent * 1e9 / options.rate);
    if (intended > time || intended >= paced.end) return;
    // Producers are the connections with an even index.
    struct connection *connection = &connections[2 * (paced.sent % options.connections)];
    time = nanoseconds();
    // A delay starts when the job is sent, latency when it should have been.
    uint64_t start = options.delay_ms ? time : intended;
    paced.stamp = start + (uint64_t)options.delay_ms * 1000000u;
    if (start >= paced.count_from && start < paced.count_until) paced.send_lateness[paced.counted++] = time - intended;
    paced.sent += 1;
    sent += 1;
    options.driver->enqueue(connection);
    flush(connection);
  }
}

static void turn(int timeout_ms) {
  struct epoll_event events[128];
  int count = epoll_wait(epoll_fd, events, 128, timeout_ms);
  if (count < 0 && errno != EINTR) load_fail("epoll_wait: %s", strerror(errno));
  for (int i = 0; i < count; i++) {
    struct connection *connection = events[i].data.ptr;
    if (events[i].data.ptr == &pace_timer) {
      send_due();
      continue;
    }
    if (events[i].data.ptr == &released) {
      char bytes[64];
      released = read(STDIN_FILENO, bytes, sizeof bytes) <= 0;
      continue;
    }
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
    case MODE_PACED: case MODE_CYCLE: case MODE_HOLD: return false;
  }
  return true;
}

static uint64_t progress(void) { return options.mode == MODE_ENQUEUE ? enqueued : settled; }

static enum role role_of(unsigned index) {
  switch (options.mode) {
    case MODE_ENQUEUE: return PRODUCER;
    case MODE_BACKLOG: case MODE_FIRST: return CONSUMER;
    case MODE_TOGETHER: case MODE_PACED: return index % 2 == 0 ? PRODUCER : CONSUMER;
    case MODE_CYCLE: return CYCLER;
    case MODE_HOLD: return IDLER;
  }
  return IDLER;
}

static void wait_for_greetings(unsigned count) {
  double give_up = clock_seconds(CLOCK_MONOTONIC) + options.seconds;
  while (greeted < count) {
    turn(10);
    if (clock_seconds(CLOCK_MONOTONIC) > give_up) load_fail("the server does not answer the greeting");
  }
}

static void hold(void) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &released};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0) load_fail("standard input must be a pipe");
  printf("{\"connections\": %u}\n", greeted);
  fflush(stdout);
  while (!released) turn(-1);
}

static int ascending(const void *left, const void *right) {
  uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return (a > b) - (a < b);
}

static double at_quantile(const uint64_t *sorted, uint64_t count, double quantile) {
  uint64_t index = (uint64_t)(quantile * (double)count);
  return count == 0 ? 0 : (double)sorted[index < count ? index : count - 1] * 1e-3;
}

static void run_paced(void) {
  // No slack: a timer that is 50 us late would be the latency that is measured.
  prctl(PR_SET_TIMERSLACK, 1);
  uint64_t delay = (uint64_t)options.delay_ms * 1000000u, second = 1000000000u;
  paced.begin = nanoseconds() + 10000000u;
  paced.count_from = paced.begin + (uint64_t)(options.warm_up * 1e9);
  paced.count_until = paced.count_from + (uint64_t)(options.seconds * 1e9);
  paced.end = paced.count_until + delay;  // the last that count become due under the same load as the first
  size_t most = (size_t)(options.rate * (options.warm_up + options.seconds + options.delay_ms * 1e-3)) + 100;
  paced.lateness = calloc(most, sizeof *paced.lateness);
  paced.send_lateness = calloc(most, sizeof *paced.send_lateness);
  paced.seen = calloc(most, 1);
  if (!paced.lateness || !paced.send_lateness || !paced.seen) load_fail("out of memory");

  for (unsigned i = 0; i < connection_count; i++) {
    if (connections[i].role != CONSUMER) continue;
    for (unsigned j = 0; j < options.in_flight; j++) options.driver->take(&connections[i]);
    flush(&connections[i]);
  }
  // At most 10,000 ticks a second: at higher rates several jobs share one.
  uint64_t tick = options.rate > 10000 ? 100000u : (uint64_t)(1e9 / options.rate);
  struct itimerspec timing = {
      .it_interval = {.tv_nsec = (long)(tick % second), .tv_sec = (time_t)(tick / second)},
      .it_value = {.tv_sec = (time_t)(paced.begin / second), .tv_nsec = (long)(paced.begin % second)}};
  pace_timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &pace_timer};
  if (pace_timer < 0 || timerfd_settime(pace_timer, TFD_TIMER_ABSTIME, &timing, NULL) != 0 ||
      epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pace_timer, &event) != 0)
    load_fail("no timer: %s", strerror(errno));

  while (nanoseconds() < paced.count_from + delay) turn(10);
  struct moment first = now();
  while (nanoseconds() < paced.end) turn(10);
  struct moment last = now();
  // What counts may still come; a server that cannot keep up is given up on after three seconds.
  while (nanoseconds() < paced.end + delay + 3 * second && (received < sent || enqueued < sent)) turn(10);

  qsort(paced.lateness, paced.got, sizeof *paced.lateness, ascending);
  qsort(paced.send_lateness, paced.counted, sizeof *paced.send_lateness, ascending);
  double seconds = last.time - first.time;
  printf("{\"jobs\": %lu, \"missing\": %lu, \"seconds\": %.6f, \"jobs_per_second\": %.1f, \"server_cpu_seconds\": %.6f, "
         "\"client_cpu_seconds\": %.6f, \"enqueued_in_all\": %lu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
         "\"max_us\": %.1f, \"send_p50_us\": %.1f, \"send_p99_us\": %.1f}\n",
         (unsigned long)paced.counted, (unsigned long)(paced.counted - paced.got), seconds,
         (double)(last.received - first.received) / seconds, last.server_cpu - first.server_cpu,
         last.client_cpu - first.client_cpu, (unsigned long)enqueued, at_quantile(paced.lateness, paced.got, 0.5),
         at_quantile(paced.lateness, paced.got, 0.99), at_quantile(paced.lateness, paced.got, 0.999),
         at_quantile(paced.lateness, paced.got, 1), at_quantile(paced.send_lateness, paced.counted, 0.5),
         at_quantile(paced.send_lateness, paced.counted, 0.99));
}

static void run(void) {
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  connection_count = options.connections * (role_of(0) != role_of(1) ? 2 : 1);
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
    connections[i].role = role_of(i);
    open_connection(&connections[i]);
    // In groups, so that no server's queue of new connections overflows.
    if (i % 100 == 99) wait_for_greetings(i + 1);
  }
  wait_for_greetings(connection_count);
  if (options.mode == MODE_HOLD) {
    hold();
    return;
  }
  if (options.mode == MODE_PACED) {
    run_paced();
    return;
  }

  double begin = clock_seconds(CLOCK_MONOTONIC);
  struct moment first = now();
  for (unsigned i = 0; i < connection_count; i++) {
    for (unsigned j = 0; j < options.in_flight; j++) {
      if (connections[i].role != CONSUMER) enqueue_or_park(&connections[i]);
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
  if (strcmp(name, "paced") == 0) return MODE_PACED;
  if (strcmp(name, "cycle") == 0) return MODE_CYCLE;
  if (strcmp(name, "hold") == 0) return MODE_HOLD;
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
    "MODE: enqueue, backlog, together, first, paced, cycle, hold\n"
    "options: --connections N --in-flight N --payload BYTES --batch JOBS --jobs N --seconds S --warm-up S\n"
    "         --rate JOBS/S (paced) --delay-ms MS --queues N --server PID\n"
    "         --acks carried|separate --retries plain|safe\n"
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
    else if (strcmp(name, "--rate") == 0) options.rate = number(name, value, 1, 1e6);
    else if (strcmp(name, "--delay-ms") == 0) options.delay_ms = (unsigned)number(name, value, 0, 1e9);
    else if (strcmp(name, "--queues") == 0) options.queues = (unsigned)number(name, value, 1, 999999);
    else if (strcmp(name, "--server") == 0) options.server = (pid_t)number(name, value, 1, 1e9);
    else if (strcmp(name, "--acks") == 0) options.separate_acks = strcmp(value, "separate") == 0;
    else if (strcmp(name, "--finish") == 0) options.finish_alone = strcmp(value, "alone") == 0;
    else if (strcmp(name, "--retries") == 0) options.safe_retries = strcmp(value, "safe") == 0;
    else load_fail("no option is named %s", name);
  }
  if (options.mode == MODE_PACED && (options.rate == 0 || options.payload < 16)) load_fail("paced needs a rate and room for a time");
  if (options.batch > 1 && options.driver != &nuvom_driver) load_fail("only nuvom takes batches");
  if (options.server && clock_getcpuclockid(options.server, &server_clock) != 0)
    load_fail("there is no process %d", (int)options.server);
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  run();
  return 0;
}

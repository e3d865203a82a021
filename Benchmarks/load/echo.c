// Frames of a 4-byte length and a payload, and a server that returns them.
#define _GNU_SOURCE  // accept4
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

static struct buffer frame;

static void prepare(void) {
  if (options.mode != MODE_ENQUEUE) load_fail("an echo has no jobs to take");
  uint32_t length = htonl((uint32_t)options.payload);
  buffer_append(&frame, &length, sizeof length);
  buffer_payload_room(&frame);
}

static void greet(struct connection *connection) { (void)connection; }

static void enqueue(struct connection *connection) { buffer_append(&connection->out, frame.bytes, frame.end); }

static void take(struct connection *connection) { (void)connection; }

static size_t receive(struct connection *connection, const char *bytes, size_t count) {
  (void)bytes;
  size_t used = 0;
  for (; count - used >= frame.end; used += frame.end) load_enqueued(connection, 1);
  return used;
}

const struct driver echo_driver = {
    .name = "echo", .prepare = prepare, .greet = greet, .enqueue = enqueue, .take = take, .receive = receive};

_Noreturn void serve_echo(int port) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int yes = 1;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1024) != 0)
    load_fail("cannot listen on port %d: %s", port, strerror(errno));
  int poll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
  static char bytes[256 * 1024];
  for (;;) {
    struct epoll_event events[128];
    int count = epoll_wait(poll, events, 128, -1);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        event.data.fd = fd;
        epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
        continue;
      }
      // Blocking sends are enough: the generator always reads.
      ssize_t received = recv(fd, bytes, sizeof bytes, 0), sent = 0;
      while (sent < received) {
        ssize_t part = send(fd, bytes + sent, (size_t)(received - sent), MSG_NOSIGNAL);
        if (part < 0) break;
        sent += part;
      }
      if (received <= 0 || sent < received) close(fd);
    }
  }
}

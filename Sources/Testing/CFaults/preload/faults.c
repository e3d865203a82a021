/* A library to be preloaded into a real broker, that makes its disk fail, its clock jump, and kills it where it hurts.
 *
 *   cc -shared -fPIC -O2 -I Sources/Testing/CFaults/include -o libnuvom-faults.so Sources/Testing/CFaults/preload/faults.c   (scripts/faults-library)
 *   LD_PRELOAD=…/libnuvom-faults.so NUVOM_FAULTS_PAGE=FILE NUVOM_FAULTS_DIRECTORY=DIR nuvom broker --data DIR
 *
 *   NUVOM_FAULTS_PAGE       a file of at least sizeof(struct nuvom_faults): what is to happen, and what happened; CFaults.h says what is in it.
 *   NUVOM_FAULTS_DIRECTORY  the log's directory, spelt as the broker is told it. Only files in it are touched; sockets are only watched, for the
 *                           moment before a reply.
 *
 * A sync of a segment that is made to fail loses what was written since the one before: whoever was told of it, was told too early.
 *
 * It stands between the program and glibc, which a broker with Swift's runtime linked statically calls dynamically all the same. */

#define _GNU_SOURCE
#include "CFaults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The function of this name that ours stands before. Looked up at the first call: there are some before any constructor has run. */
#define NEXT(name)                                                            \
  ({                                                                          \
    static __typeof__(&name) next;                                            \
    if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name);             \
    next;                                                                     \
  })

enum { no_file = -1, name_size = 64, open_files = 64 };

static struct nuvom_faults *page;
static const char *directory;
static size_t directory_length;
/* A segment was synced, and nothing was sent since. */
static uint32_t has_synced;
/* Which file this thread has renamed or removed last. */
static _Thread_local int named = nuvom_file_other;

/* The open files of the directory. */
static struct {
  int descriptor;
  int file;
  char name[name_size];
} files[open_files];
static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void prepare(void) {
  const char *path = getenv("NUVOM_FAULTS_PAGE");
  directory = getenv("NUVOM_FAULTS_DIRECTORY");
  int descriptor = path && directory ? NEXT(open)(path, O_RDWR | O_CLOEXEC) : -1;
  void *mapped = descriptor < 0
      ? MAP_FAILED
      : mmap(NULL, sizeof(struct nuvom_faults), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (mapped == MAP_FAILED) {
    fprintf(stderr, "nuvom-faults: NUVOM_FAULTS_PAGE must be a file, and NUVOM_FAULTS_DIRECTORY be set\n");
    _exit(127);
  }
  NEXT(close)(descriptor);
  directory_length = strlen(directory);
  page = mapped;
}

/* Names */

static bool ends(const char *name, const char *end) {
  size_t length = strlen(name), wanted = strlen(end);
  return length >= wanted && strcmp(name + length - wanted, end) == 0;
}

static const char *name_of(const char *path) { return path[directory_length] ? path + directory_length + 1 : "."; }

/* The kind of the file at a path, or no_file if it is not in the directory. */
static int file_at(const char *path) {
  if (!page || strncmp(path, directory, directory_length) != 0) return no_file;
  if (path[directory_length] != 0 && path[directory_length] != '/') return no_file;
  if (ends(path, ".wal")) return nuvom_file_segment;
  if (ends(path, ".spare")) return nuvom_file_spare;
  if (ends(path, ".spare.tmp")) return nuvom_file_new_spare;
  if (ends(path, ".wal.tmp")) return nuvom_file_first_segment;
  if (ends(path, ".snapshot")) return nuvom_file_snapshot;
  if (ends(path, ".snapshot.tmp")) return nuvom_file_new_snapshot;
  if (ends(path, "/LOCK")) return nuvom_file_lock;
  return nuvom_file_other;
}

static void remember(int descriptor, int file, const char *name) {
  pthread_mutex_lock(&files_lock);
  for (int index = 0; index < open_files; index++) {
    if (files[index].name[0] != 0) continue;
    files[index].descriptor = descriptor;
    files[index].file = file;
    snprintf(files[index].name, name_size, "%s", name);
    pthread_mutex_unlock(&files_lock);
    return;
  }
  fprintf(stderr, "nuvom-faults: more than %d open files\n", open_files);
  _exit(127);
}

/* The kind of an open file, or no_file; its name too, if there is room for it. */
static int file_of(int descriptor, char *name) {
  int file = no_file;
  if (!page) return file;
  pthread_mutex_lock(&files_lock);
  for (int index = 0; index < open_files; index++) {
    if (files[index].name[0] == 0 || files[index].descriptor != descriptor) continue;
    file = files[index].file;
    if (name) memcpy(name, files[index].name, name_size);
  }
  pthread_mutex_unlock(&files_lock);
  return file;
}

static void forget(int descriptor) {
  pthread_mutex_lock(&files_lock);
  for (int index = 0; index < open_files; index++) {
    if (files[index].descriptor == descriptor) files[index].name[0] = 0;
  }
  pthread_mutex_unlock(&files_lock);
}

/* Open files keep their descriptors when they get another name. */
static void rename_open(const char *old, const char *new) {
  pthread_mutex_lock(&files_lock);
  for (int index = 0; index < open_files; index++) {
    if (strcmp(files[index].name, name_of(old)) != 0) continue;
    files[index].file = file_at(new);
    snprintf(files[index].name, name_size, "%s", name_of(new));
  }
  pthread_mutex_unlock(&files_lock);
}

/* What a failed sync loses */

/* What was in a segment where it has been written to since its last sync; kept only while a sync is to fail. */
static struct loss {
  struct loss *next;
  int descriptor;
  off_t offset;
  size_t size;
  void *bytes;
} *losses;
static pthread_mutex_t losses_lock = PTHREAD_MUTEX_INITIALIZER;

/* Takes note of what a write is about to replace. */
static void keep_for_loss(int descriptor, size_t size, off_t offset) {
  struct loss *loss = calloc(1, sizeof *loss);
  if (!loss || posix_memalign(&loss->bytes, 4096, size) != 0 ||
      NEXT(pread)(descriptor, loss->bytes, size, offset) != (ssize_t)size) {
    fprintf(stderr, "nuvom-faults: cannot keep what a write replaces\n");
    _exit(127);
  }
  loss->descriptor = descriptor;
  loss->offset = offset;
  loss->size = size;
  pthread_mutex_lock(&losses_lock);
  loss->next = losses;
  losses = loss;
  pthread_mutex_unlock(&losses_lock);
}

/* The file was synced, or its sync has failed: then what was written to it since the last one is gone, as the kernel may have it. Latest first. */
static void end_losses(int descriptor, bool are_lost) {
  pthread_mutex_lock(&losses_lock);
  for (struct loss **place = &losses; *place;) {
    struct loss *loss = *place;
    if (loss->descriptor != descriptor) {
      place = &loss->next;
      continue;
    }
    if (are_lost && NEXT(pwrite)(descriptor, loss->bytes, loss->size, loss->offset) < 0) {
      fprintf(stderr, "nuvom-faults: a failed sync could not be made to lose anything\n");
    }
    *place = loss->next;
    free(loss->bytes);
    free(loss);
  }
  pthread_mutex_unlock(&losses_lock);
}

/* Points */

static void die(void) {
  nuvom_faults_store(&page->was_killed, 1);
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

/* Counts the point; whether the process is to be killed at it. */
static bool is_end(int file, int operation, int moment) {
  uint32_t point = nuvom_point(file, operation, moment);
  __atomic_fetch_add(&page->met[point], 1, __ATOMIC_ACQ_REL);
  if (__atomic_load_n(&page->kill_in, __ATOMIC_ACQUIRE) == 0 || page->kill_point != point) return false;
  return __atomic_fetch_sub(&page->kill_in, 1, __ATOMIC_ACQ_REL) == 1;
}

static void meet(int file, int operation, int moment) {
  if (is_end(file, operation, moment)) die();
}

static int fail(const char *name, int code) {
  struct timespec now;
  NEXT(clock_gettime)(CLOCK_MONOTONIC, &now);
  pthread_mutex_lock(&files_lock);
  size_t length = strnlen(page->failed_files, sizeof page->failed_files);
  if (length + strlen(name) + 2 <= sizeof page->failed_files) {
    snprintf(page->failed_files + length, sizeof page->failed_files - length, "%s\n", name);
  }
  pthread_mutex_unlock(&files_lock);
  nuvom_faults_store(&page->failed_at_nanoseconds, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
  __atomic_fetch_add(&page->failures, 1, __ATOMIC_ACQ_REL);
  errno = code;
  return -1;
}

/* The beginning of an operation: 0 to go on, -1 with errno if it is one that fails. */
static int begin(int file, int operation, const char *name) {
  meet(file, operation, nuvom_moment_before);
  bool is_meant = page->fail_operation == (uint32_t)operation && page->fail_files >> file & 1;
  if (!is_meant) return 0;
  if (__atomic_load_n(&page->is_failing, __ATOMIC_ACQUIRE)) return fail(name, (int)page->fail_error);
  if (__atomic_load_n(&page->fail_in, __ATOMIC_ACQUIRE) == 0) return 0;
  if (__atomic_fetch_sub(&page->fail_in, 1, __ATOMIC_ACQ_REL) != 1) return 0;
  if (page->fail_is_sticky) __atomic_store_n(&page->is_failing, 1, __ATOMIC_RELEASE);
  return fail(name, (int)page->fail_error);
}

static bool is_full(void) { return nuvom_faults_load(&page->is_full) != 0; }

/* Files */

static int open_file(int (*next)(const char *, int, ...), const char *path, int flags, mode_t mode) {
  int file = file_at(path);
  if (file == no_file) return next(path, flags, mode);
  int operation = flags & O_CREAT ? nuvom_operation_create : nuvom_operation_open;
  if (begin(file, operation, name_of(path)) < 0) return -1;
  int descriptor = next(path, flags, mode);
  if (descriptor >= 0) {
    remember(descriptor, file, name_of(path));
    meet(file, operation, nuvom_moment_after);
  }
  return descriptor;
}

int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_file(NEXT(open), path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_file(NEXT(open64), path, flags, mode);
}

int close(int descriptor) {
  if (page) forget(descriptor);
  return NEXT(close)(descriptor);
}

static ssize_t write_file(
    ssize_t (*next)(int, const void *, size_t, off_t), int descriptor, const void *bytes, size_t size, off_t offset) {
  char name[name_size];
  int file = file_of(descriptor, name);
  if (file == no_file) return next(descriptor, bytes, size, offset);
  if (begin(file, nuvom_operation_write, name) < 0) return -1;
  if (is_full()) {
    struct stat status;
    if (fstat(descriptor, &status) == 0 && offset + (off_t)size > status.st_size) return fail(name, ENOSPC);
  }
  if (is_end(file, nuvom_operation_write, nuvom_moment_half)) {
    /* Half a write need not be whole blocks. */
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_DIRECT);
    if (next(descriptor, bytes, size / 2, offset) < 0) fprintf(stderr, "nuvom-faults: half a write failed\n");
    die();
  }
  bool may_be_lost = file == nuvom_file_segment && page->fail_operation == nuvom_operation_sync && page->fail_files >> file & 1;
  if (may_be_lost && __atomic_load_n(&page->fail_in, __ATOMIC_ACQUIRE)) keep_for_loss(descriptor, size, offset);
  ssize_t written = next(descriptor, bytes, size, offset);
  if (written >= 0) meet(file, nuvom_operation_write, nuvom_moment_after);
  return written;
}

ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t offset) {
  return write_file(NEXT(pwrite), descriptor, bytes, size, offset);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t size, off_t offset) {
  return write_file(NEXT(pwrite64), descriptor, bytes, size, offset);
}

static ssize_t read_file(
    ssize_t (*next)(int, void *, size_t, off_t), int descriptor, void *bytes, size_t size, off_t offset) {
  char name[name_size];
  int file = file_of(descriptor, name);
  if (file != no_file && begin(file, nuvom_operation_read, name) < 0) return -1;
  return next(descriptor, bytes, size, offset);
}

ssize_t pread(int descriptor, void *bytes, size_t size, off_t offset) {
  return read_file(NEXT(pread), descriptor, bytes, size, offset);
}

ssize_t pread64(int descriptor, void *bytes, size_t size, off_t offset) {
  return read_file(NEXT(pread64), descriptor, bytes, size, offset);
}

static int truncate_file(int (*next)(int, off_t), int descriptor, off_t size) {
  char name[name_size];
  int file = file_of(descriptor, name);
  if (file != no_file && begin(file, nuvom_operation_truncate, name) < 0) return -1;
  return next(descriptor, size);
}

int ftruncate(int descriptor, off_t size) { return truncate_file(NEXT(ftruncate), descriptor, size); }

int ftruncate64(int descriptor, off_t size) { return truncate_file(NEXT(ftruncate64), descriptor, size); }

static int allocate_file(int (*next)(int, int, off_t, off_t), int descriptor, int mode, off_t offset, off_t size) {
  char name[name_size];
  int file = file_of(descriptor, name);
  if (file == no_file) return next(descriptor, mode, offset, size);
  if (begin(file, nuvom_operation_allocate, name) < 0) return -1;
  if (is_full()) return fail(name, ENOSPC);
  int status = next(descriptor, mode, offset, size);
  if (status == 0) meet(file, nuvom_operation_allocate, nuvom_moment_after);
  return status;
}

int fallocate(int descriptor, int mode, off_t offset, off_t size) {
  return allocate_file(NEXT(fallocate), descriptor, mode, offset, size);
}

int fallocate64(int descriptor, int mode, off_t offset, off_t size) {
  return allocate_file(NEXT(fallocate64), descriptor, mode, offset, size);
}

static int sync_file(int (*next)(int), int descriptor) {
  char name[name_size];
  int file = file_of(descriptor, name);
  if (file == no_file) return next(descriptor);
  bool is_directory = strcmp(name, ".") == 0;
  int operation = is_directory ? nuvom_operation_sync_directory : nuvom_operation_sync;
  if (is_directory) file = named;
  if (begin(file, operation, name) < 0) {
    int code = errno;
    end_losses(descriptor, true);
    errno = code;
    return -1;
  }
  uint64_t delay = nuvom_faults_load(&page->sync_delay_microseconds);
  if (delay) usleep((useconds_t)delay);
  int status = next(descriptor);
  if (status != 0) return status;
  end_losses(descriptor, false);
  meet(file, operation, nuvom_moment_after);
  if (file == nuvom_file_segment && !is_directory) __atomic_store_n(&has_synced, 1, __ATOMIC_RELEASE);
  return 0;
}

int fdatasync(int descriptor) { return sync_file(NEXT(fdatasync), descriptor); }

int fsync(int descriptor) { return sync_file(NEXT(fsync), descriptor); }

int rename(const char *old, const char *new) {
  int file = file_at(old);
  if (file == no_file) return NEXT(rename)(old, new);
  if (begin(file, nuvom_operation_rename, name_of(old)) < 0) return -1;
  int status = NEXT(rename)(old, new);
  if (status != 0) return status;
  rename_open(old, new);
  named = file;
  meet(file, nuvom_operation_rename, nuvom_moment_after);
  return 0;
}

int unlink(const char *path) {
  int file = file_at(path);
  if (file == no_file) return NEXT(unlink)(path);
  /* That nothing is there to be removed is no point of interest. */
  if (access(path, F_OK) == 0 && begin(file, nuvom_operation_remove, name_of(path)) < 0) return -1;
  int status = NEXT(unlink)(path);
  if (status != 0) return status;
  named = file;
  meet(file, nuvom_operation_remove, nuvom_moment_after);
  return 0;
}

int statvfs(const char *path, struct statvfs *status) {
  int result = NEXT(statvfs)(path, status);
  if (result == 0 && file_at(path) != no_file && is_full()) status->f_bavail = status->f_bfree = 0;
  return result;
}

int statvfs64(const char *path, struct statvfs64 *status) {
  int result = NEXT(statvfs64)(path, status);
  if (result == 0 && file_at(path) != no_file && is_full()) status->f_bavail = status->f_bfree = 0;
  return result;
}

/* Sockets: only the first bytes after a sync are of interest. */

static void send_first(int descriptor) {
  if (!page || !__atomic_load_n(&has_synced, __ATOMIC_ACQUIRE)) return;
  struct stat status;
  if (fstat(descriptor, &status) != 0 || !S_ISSOCK(status.st_mode)) return;
  if (__atomic_exchange_n(&has_synced, 0, __ATOMIC_ACQ_REL)) {
    meet(nuvom_file_socket, nuvom_operation_reply, nuvom_moment_before);
  }
}

ssize_t write(int descriptor, const void *bytes, size_t size) {
  send_first(descriptor);
  return NEXT(write)(descriptor, bytes, size);
}

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
  send_first(descriptor);
  return NEXT(writev)(descriptor, parts, count);
}

ssize_t sendmsg(int descriptor, const struct msghdr *message, int flags) {
  send_first(descriptor);
  return NEXT(sendmsg)(descriptor, message, flags);
}

/* Clocks */

static int64_t wall_offset(void) {
  return page ? __atomic_load_n(&page->wall_offset_microseconds, __ATOMIC_ACQUIRE) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int status = NEXT(clock_gettime)(clock, now);
  if (status != 0 || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return status;
  int64_t offset = wall_offset();
  int64_t nanoseconds = now->tv_nsec + offset % 1000000 * 1000;
  now->tv_sec += offset / 1000000 + (nanoseconds < 0 ? -1 : nanoseconds / 1000000000);
  now->tv_nsec = (nanoseconds + 1000000000) % 1000000000;
  return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec precise;
  int status = NEXT(gettimeofday)(now, zone);
  if (status == 0 && clock_gettime(CLOCK_REALTIME, &precise) == 0) {
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
  }
  return status;
}

time_t time(time_t *into) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (into) *into = now.tv_sec;
  return now.tv_sec;
}

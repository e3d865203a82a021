#define _GNU_SOURCE
#include "CPlatform.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#if defined(F_OFD_SETLK)

/* Locks of the open file description, not of the process: a second open in the same process is refused too,
 * and closing some other descriptor of the file does not drop the lock. */
int nuvom_file_lock(int descriptor) {
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  if (fcntl(descriptor, F_OFD_SETLK, &whole) == 0) return 0;
  return errno == EACCES ? EAGAIN : errno;
}

void nuvom_file_unlock(int descriptor) {
  struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
  fcntl(descriptor, F_OFD_SETLK, &lock);
}

bool nuvom_file_is_locked(int descriptor) {
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  return fcntl(descriptor, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}

#else

int nuvom_file_lock(int descriptor) {
  if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) return 0;
  return errno == EWOULDBLOCK ? EAGAIN : errno;
}

void nuvom_file_unlock(int descriptor) { flock(descriptor, LOCK_UN); }

/* Without a way to ask, the question is answered by a shared lock that is given back at once. */
bool nuvom_file_is_locked(int descriptor) {
  if (flock(descriptor, LOCK_SH | LOCK_NB) != 0) return true;
  flock(descriptor, LOCK_UN);
  return false;
}

#endif

#if defined(__linux__)

int nuvom_file_allocate(int descriptor, int64_t size) {
  return fallocate(descriptor, 0, 0, size) == 0 ? 0 : errno;
}

bool nuvom_file_set_direct(int descriptor) {
  int flags = fcntl(descriptor, F_GETFL);
  return flags >= 0 && fcntl(descriptor, F_SETFL, flags | O_DIRECT) == 0;
}

void nuvom_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

#else

int nuvom_file_allocate(int descriptor, int64_t size) {
  (void)descriptor;
  (void)size;
  return EOPNOTSUPP;
}

bool nuvom_file_set_direct(int descriptor) {
  (void)descriptor;
  return false;
}

void nuvom_name_thread(const char *name) { (void)name; }

#endif

void *nuvom_memory_map(size_t size) {
  void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return mapped == MAP_FAILED ? NULL : mapped;
}

void nuvom_memory_touch(void *memory, size_t size) {
#ifdef MADV_POPULATE_WRITE
  if (madvise(memory, size, MADV_POPULATE_WRITE) == 0) return;
#endif
  for (size_t at = 0; at < size; at += 4096) ((volatile char *)memory)[at] = 0;
}

void nuvom_memory_unmap(void *memory, size_t size) { munmap(memory, size); }

void nuvom_return_blocks(int size) {
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, size);
#else
  (void)size;
#endif
}

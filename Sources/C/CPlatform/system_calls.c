#define _GNU_SOURCE
#include "CPlatform.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>

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

void nuvom_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

#else

int nuvom_file_allocate(int descriptor, int64_t size) {
  (void)descriptor;
  (void)size;
  return EOPNOTSUPP;
}

void nuvom_name_thread(const char *name) { (void)name; }

#endif

void nuvom_return_blocks(int size) {
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, size);
#else
  (void)size;
#endif
}

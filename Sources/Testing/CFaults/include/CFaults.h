#ifndef CFAULTS_H
#define CFAULTS_H

/* What a proof says to the library that it preloads into a broker (preload/faults.c), and what it hears from it: one page of memory, a
 * file that both map. Either side may read and write it at any time; each field is set and read as a whole. */

#include <stdint.h>

/* The files that a log consists of, by their names. A rename counts for the file of the old name. */
enum {
  nuvom_file_segment,           /* N.wal: batches */
  nuvom_file_spare,             /* N.spare: waits to become a segment */
  nuvom_file_new_spare,         /* N.spare.tmp: is being filled with zeros */
  nuvom_file_first_segment,     /* N.wal.tmp: the segment that the log goes on in after a start */
  nuvom_file_snapshot,          /* N.snapshot */
  nuvom_file_new_snapshot,      /* N.snapshot.tmp */
  nuvom_file_lock,              /* LOCK */
  nuvom_file_other,             /* the directory itself, and what is no file of a log */
  nuvom_file_socket,            /* what is sent to clients */
  nuvom_file_count
};

/* What is done to them. */
enum {
  nuvom_operation_open,
  nuvom_operation_create,       /* an open that may make the file */
  nuvom_operation_allocate,
  nuvom_operation_read,
  nuvom_operation_write,
  nuvom_operation_truncate,
  nuvom_operation_sync,
  nuvom_operation_rename,
  nuvom_operation_remove,
  nuvom_operation_sync_directory, /* counts for the file that this thread has renamed or removed last */
  nuvom_operation_reply,        /* the first bytes to any client after a sync of a segment */
  nuvom_operation_count
};

/* The moments of an operation at which a process can be killed. */
enum {
  nuvom_moment_before,
  nuvom_moment_half,            /* of a write: its first half is written */
  nuvom_moment_after,
  nuvom_moment_count
};

enum { nuvom_point_count = nuvom_file_count * nuvom_operation_count * nuvom_moment_count };

/* The number of a point: a file, an operation, a moment. */
static inline uint32_t nuvom_point(uint32_t file, uint32_t operation, uint32_t moment) {
  return (file * nuvom_operation_count + operation) * nuvom_moment_count + moment;
}

struct nuvom_faults {
  /* Added to CLOCK_REALTIME, in microseconds. CLOCK_MONOTONIC and CLOCK_BOOTTIME stay what they are. */
  int64_t wall_offset_microseconds;
  /* Not 0: the disk is full. What takes room fails with ENOSPC, and no room is left to be asked for. */
  uint64_t is_full;
  /* How much longer each sync of a file takes. */
  uint64_t sync_delay_microseconds;

  /* The process kills itself when it comes to the point for the n-th time from now: kill_in is n. 0: never. */
  uint32_t kill_point;
  uint32_t kill_in;
  /* The n-th operation of the kind from now, on a file of the mask (1 << nuvom_file_…), fails with the error: fail_in is n. 0: none does.
   * Is it sticky, all such operations after it fail too. Write fail_in last. */
  uint32_t fail_operation;
  uint32_t fail_files;
  uint32_t fail_error;
  uint32_t fail_is_sticky;
  uint32_t fail_in;
  uint32_t is_failing;

  /* How often each point was met; before comes also where the operation then fails. */
  uint64_t met[nuvom_point_count];
  /* Not 0: the process has killed itself at kill_point. */
  uint64_t was_killed;
  /* Operations that were made to fail; when the last did (CLOCK_MONOTONIC), and of which files, a line each, as far as there is room. */
  uint64_t failures;
  uint64_t failed_at_nanoseconds;
  char failed_files[1024];
};

static inline uint64_t nuvom_faults_load(const uint64_t *field) { return __atomic_load_n(field, __ATOMIC_ACQUIRE); }
static inline void nuvom_faults_store(uint64_t *field, uint64_t value) { __atomic_store_n(field, value, __ATOMIC_RELEASE); }

/* Says which operation is to fail; `in` 0 calls it off. */
void nuvom_faults_fail(struct nuvom_faults *, uint32_t operation, uint32_t files, uint32_t error, uint32_t in, uint32_t is_sticky);
/* Says where the process is to kill itself; `in` 0 calls it off. */
void nuvom_faults_kill(struct nuvom_faults *, uint32_t point, uint32_t in);
/* How often the point was met. */
uint64_t nuvom_faults_met(const struct nuvom_faults *, uint32_t point);

#endif

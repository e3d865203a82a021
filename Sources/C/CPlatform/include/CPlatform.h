/* What Swift cannot say itself: CRC instructions behind a run-time check, and system calls that the Glibc module lacks. */
#ifndef NUVOM_CPLATFORM_H
#define NUVOM_CPLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli) of `length` bytes, continued from `crc` (0 to begin):
 * nuvom_crc32c(nuvom_crc32c(0, a), b) == nuvom_crc32c(0, ab). Uses the processor's instruction where there is one. */
uint32_t nuvom_crc32c(uint32_t crc, const void *data, size_t length);

/* The same figure from a table, on any processor; the reference that the fast one is tested against. */
uint32_t nuvom_crc32c_table(uint32_t crc, const void *data, size_t length);

/* Whether nuvom_crc32c uses the processor's instruction. */
bool nuvom_crc32c_is_accelerated(void);

/* Takes the exclusive lock of an open file description, without waiting. 0, or the errno: EAGAIN when another holds it.
 * The lock ends with the last descriptor of that open file, so also when the process dies. */
int nuvom_file_lock(int descriptor);

/* Gives the lock back, also while copies of the descriptor are open elsewhere. */
void nuvom_file_unlock(int descriptor);

/* Whether another open file description holds the lock of this file; never takes it. Needs only a readable descriptor. */
bool nuvom_file_is_locked(int descriptor);

/* Takes blocks for the file's first `size` bytes, and makes it that long. 0, or the errno; EOPNOTSUPP where that cannot be asked for. */
int nuvom_file_allocate(int descriptor, int64_t size);

/* Reads and writes of the descriptor pass by the system's page cache from now on: blocks and memory must then be aligned. False where the
 * file system cannot do that. */
bool nuvom_file_set_direct(int descriptor);

/* `size` bytes of memory; NULL when there is none. */
void *nuvom_memory_map(size_t size);

/* Makes the pages of such memory exist, which the first touch would do otherwise. */
void nuvom_memory_touch(void *memory, size_t size);

/* Gives such memory back. */
void nuvom_memory_unmap(void *memory, size_t size);

/* Names the calling thread, for debuggers and top; at most 15 bytes of it. */
void nuvom_name_thread(const char *name);

/* From now on blocks of at least `size` bytes come from the system and go back to it when they are freed. */
void nuvom_return_blocks(int size);

#endif

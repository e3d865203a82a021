#include "CPlatform.h"

#include <string.h>

/* Slicing by eight, built by the compiler from the polynomial: table 0 is the byte-wise CRC, table n advances it by n zero bytes. */
static uint32_t table[8][256];

__attribute__((constructor)) static void build_table(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0x82F63B78u & (0u - (crc & 1)));
    table[0][byte] = crc;
  }
  for (int slice = 1; slice < 8; slice++)
    for (int byte = 0; byte < 256; byte++)
      table[slice][byte] = (table[slice - 1][byte] >> 8) ^ table[0][table[slice - 1][byte] & 0xFF];
}

uint32_t nuvom_crc32c_table(uint32_t crc, const void *data, size_t length) {
  const uint8_t *next = data;
  crc = ~crc;
  while (length >= 8) {
    uint32_t low = crc ^ ((uint32_t)next[0] | (uint32_t)next[1] << 8 | (uint32_t)next[2] << 16 | (uint32_t)next[3] << 24);
    crc = table[7][low & 0xFF] ^ table[6][(low >> 8) & 0xFF] ^ table[5][(low >> 16) & 0xFF] ^ table[4][low >> 24] ^
          table[3][next[4]] ^ table[2][next[5]] ^ table[1][next[6]] ^ table[0][next[7]];
    next += 8;
    length -= 8;
  }
  while (length-- > 0) crc = (crc >> 8) ^ table[0][(crc ^ *next++) & 0xFF];
  return ~crc;
}

#if defined(__x86_64__)

#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc32c_instruction(uint32_t crc, const void *data, size_t length) {
  const uint8_t *next = data;
  uint64_t wide = (uint32_t)~crc;
  while (length >= 8) {
    uint64_t word;
    memcpy(&word, next, 8);
    wide = _mm_crc32_u64(wide, word);
    next += 8;
    length -= 8;
  }
  crc = (uint32_t)wide;
  while (length-- > 0) crc = _mm_crc32_u8(crc, *next++);
  return ~crc;
}

bool nuvom_crc32c_is_accelerated(void) { return __builtin_cpu_supports("sse4.2"); }

#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)

#include <arm_acle.h>

static uint32_t crc32c_instruction(uint32_t crc, const void *data, size_t length) {
  const uint8_t *next = data;
  crc = ~crc;
  while (length >= 8) {
    uint64_t word;
    memcpy(&word, next, 8);
    crc = __crc32cd(crc, word);
    next += 8;
    length -= 8;
  }
  while (length-- > 0) crc = __crc32cb(crc, *next++);
  return ~crc;
}

bool nuvom_crc32c_is_accelerated(void) { return true; }

#else

static uint32_t crc32c_instruction(uint32_t crc, const void *data, size_t length) {
  return nuvom_crc32c_table(crc, data, length);
}

bool nuvom_crc32c_is_accelerated(void) { return false; }

#endif

uint32_t nuvom_crc32c(uint32_t crc, const void *data, size_t length) {
  return nuvom_crc32c_is_accelerated() ? crc32c_instruction(crc, data, length)
                                       : nuvom_crc32c_table(crc, data, length);
}

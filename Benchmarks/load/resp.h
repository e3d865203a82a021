// Redis's serialisation protocol, as far as both Redis drivers need it.
#pragma once

#include <stddef.h>

#include "load.h"

void resp_command(struct buffer *, size_t count, const char *const *words);

// Replies come in the order of the commands and many look alike, so that what each answers is kept beside the connection.
enum answer { GREETED, ENQUEUED, TAKEN, ACKNOWLEDGED, SETTLED };
void resp_expect(struct connection *, enum answer);
enum answer resp_expected(struct connection *);  // of the next reply

// The end of the value that starts at `at`, or NULL if it is not all there.
const char *resp_end(const char *at, const char *end);

// The bytes of a bulk string that is all there; `*at` moves behind it.
const char *resp_bulk(const char **at, size_t *length);

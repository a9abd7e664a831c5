/* SPDX-License-Identifier: Apache-2.0 */
/* Allocation. The only way to memory in the library; every size computation is checked here. */
#ifndef VECQ_BASE_ALLOC_H
#define VECQ_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#include "vecq/status.h"

#define VECQ_ALIGNMENT 64u

/* `count` elements of `size` bytes, aligned to 64; NULL on overflow or when memory is out. A count of 0 gives
 * a valid pointer to nothing. */
void *vecq_alloc(size_t count, size_t size);
void *vecq_calloc(size_t count, size_t size);
/* Moves `old_count` elements to a larger block; `memory` may be NULL. On failure the old block stays. */
void *vecq_realloc(void *memory, size_t old_count, size_t count, size_t size);
void vecq_free(void *memory); /* NULL is fine */

/* Makes room for one element more in a doubling array: *items (size bytes each) of which `count` are used.
 * Returns 0 when memory is out (array unchanged). */
int vecq_grow(void **items, size_t *capacity, size_t count, size_t size);

/* a * b and a + b in size_t; return 0 on overflow. */
int vecq_mul_size(size_t a, size_t b, size_t *out);
int vecq_add_size(size_t a, size_t b, size_t *out);

/* Region of small objects that are freed together. */
typedef struct vecq_arena {
    struct vecq_arena_block *head;
    size_t used;       /* bytes handed out of the head block */
    size_t n_reserved; /* bytes in all blocks */
} vecq_arena;

void *vecq_arena_alloc(vecq_arena *arena, size_t count, size_t size); /* zeroed, 16-byte aligned, or NULL */
char *vecq_arena_string(vecq_arena *arena, const char *text,
                        size_t n); /* copy of n bytes plus NUL, or NULL */
char *vecq_arena_printf(vecq_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void vecq_arena_clear(vecq_arena *arena);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALLOC_HUGE ((size_t)4 << 20)
#define ALLOC_PAGE ((uintptr_t)4096)

/* Large blocks ask for huge pages: matrices are walked across their rows, and a page fault for every 4 KiB
 * costs about as much as all that is done with them. Whole pages inside the block only; a refusal is
 * harmless. */
static void *alloc_malloc(void *context, size_t n_bytes)
{
    void *memory = malloc(n_bytes);

    (void)context;
#ifdef MADV_HUGEPAGE
    if (memory != NULL && n_bytes >= ALLOC_HUGE) {
        uintptr_t begin = ((uintptr_t)memory + ALLOC_PAGE - 1) / ALLOC_PAGE * ALLOC_PAGE;
        uintptr_t end = ((uintptr_t)memory + n_bytes) / ALLOC_PAGE * ALLOC_PAGE;
        int keep = errno;

        madvise((char *)memory + (begin - (uintptr_t)memory), (size_t)(end - begin), MADV_HUGEPAGE);
        errno = keep;
    }
#endif
    return memory;
}

static void alloc_free(void *context, void *memory)
{
    (void)context;
    free(memory);
}

static const vecq_allocator alloc_default = {alloc_malloc, alloc_free, NULL};
static vecq_allocator alloc_current = {alloc_malloc, alloc_free, NULL};

void vecq_set_allocator(const vecq_allocator *allocator)
{
    alloc_current = allocator != NULL ? *allocator : alloc_default;
}

int vecq_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

int vecq_add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* Blocks are over-allocated by one alignment; the pointer that the allocator gave stands just before ours. */
void *vecq_alloc(size_t count, size_t size)
{
    size_t n_bytes, total;
    void *raw;
    uintptr_t at;

    if (!vecq_mul_size(count, size, &n_bytes) ||
        !vecq_add_size(n_bytes, VECQ_ALIGNMENT + sizeof(void *), &total) || total > PTRDIFF_MAX)
        return NULL;
    raw = alloc_current.allocate(alloc_current.context, total);
    if (raw == NULL)
        return NULL;
    at = ((uintptr_t)raw + sizeof(void *) + VECQ_ALIGNMENT - 1) & ~(uintptr_t)(VECQ_ALIGNMENT - 1);
    memcpy((char *)at - sizeof(void *), &raw, sizeof raw);
    return (void *)at;
}

void *vecq_calloc(size_t count, size_t size)
{
    void *memory = vecq_alloc(count, size);

    if (memory != NULL)
        memset(memory, 0, count * size);
    return memory;
}

void *vecq_realloc(void *memory, size_t old_count, size_t count, size_t size)
{
    void *fresh = vecq_alloc(count, size);

    if (fresh == NULL)
        return NULL;
    if (memory != NULL) {
        memcpy(fresh, memory, (old_count < count ? old_count : count) * size);
        vecq_free(memory);
    }
    return fresh;
}

void vecq_free(void *memory)
{
    void *raw;

    if (memory == NULL)
        return;
    memcpy(&raw, (char *)memory - sizeof(void *), sizeof raw);
    alloc_current.release(alloc_current.context, raw);
}

int vecq_grow(void **items, size_t *capacity, size_t count, size_t size)
{
    size_t wanted;
    void *fresh;

    if (count < *capacity)
        return 1;
    wanted = *capacity == 0 ? 8 : *capacity;
    if (!vecq_mul_size(wanted, 2, &wanted))
        return 0;
    fresh = vecq_realloc(*items, count, wanted, size);
    if (fresh == NULL)
        return 0;
    *items = fresh;
    *capacity = wanted;
    return 1;
}

struct vecq_arena_block {
    struct vecq_arena_block *next;
    size_t n_bytes;
    _Alignas(16) unsigned char data[];
};

#define ARENA_BLOCK 65536u

static struct vecq_arena_block *arena_block(vecq_arena *arena, size_t room)
{
    struct vecq_arena_block *block;
    size_t total;

    if (!vecq_add_size(room, sizeof *block, &total))
        return NULL;
    block = vecq_alloc(1, total);
    if (block == NULL)
        return NULL;
    block->n_bytes = room;
    block->next = NULL;
    arena->n_reserved += room;
    return block;
}

void *vecq_arena_alloc(vecq_arena *arena, size_t count, size_t size)
{
    size_t n_bytes;
    struct vecq_arena_block *block;
    void *memory;

    if (!vecq_mul_size(count, size, &n_bytes) || !vecq_add_size(n_bytes, 15, &n_bytes))
        return NULL;
    n_bytes &= ~(size_t)15;
    if (arena->head != NULL && n_bytes > ARENA_BLOCK / 4) {
        /* Large: a block of its own behind the head, which goes on serving the small ones. */
        block = arena_block(arena, n_bytes);
        if (block == NULL)
            return NULL;
        block->next = arena->head->next;
        arena->head->next = block;
        memset(block->data, 0, n_bytes);
        return block->data;
    }
    if (arena->head == NULL || arena->head->n_bytes - arena->used < n_bytes) {
        block = arena_block(arena, n_bytes > ARENA_BLOCK ? n_bytes : ARENA_BLOCK);
        if (block == NULL)
            return NULL;
        block->next = arena->head;
        arena->head = block;
        arena->used = 0;
    }
    memory = arena->head->data + arena->used;
    arena->used += n_bytes;
    memset(memory, 0, n_bytes);
    return memory;
}

char *vecq_arena_string(vecq_arena *arena, const char *text, size_t n)
{
    char *copy = n < SIZE_MAX ? vecq_arena_alloc(arena, n + 1, 1) : NULL;

    if (copy != NULL && n > 0)
        memcpy(copy, text, n);
    return copy;
}

char *vecq_arena_printf(vecq_arena *arena, const char *format, ...)
{
    va_list args, again;
    char *text = NULL;
    int n;

    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, args);
    if (n >= 0)
        text = vecq_arena_alloc(arena, (size_t)n + 1, 1);
    if (text != NULL)
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

void vecq_arena_clear(vecq_arena *arena)
{
    struct vecq_arena_block *block = arena->head;

    while (block != NULL) {
        struct vecq_arena_block *next = block->next;
        vecq_free(block);
        block = next;
    }
    memset(arena, 0, sizeof *arena);
}

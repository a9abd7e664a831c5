/* SPDX-License-Identifier: Apache-2.0 */
/* Hash map from strings to pointers. Keys are borrowed: they must outlive the map. */
#ifndef VECQ_BASE_MAP_H
#define VECQ_BASE_MAP_H

#include <stddef.h>

typedef struct vecq_map {
    struct vecq_map_slot *slots;
    size_t capacity; /* power of two, or 0 */
    size_t count;
} vecq_map;

/* Value of a key, or NULL. */
void *vecq_map_get(const vecq_map *map, const char *key);
/* Sets or replaces; returns 0 when memory is out. `value` must not be NULL. */
int vecq_map_put(vecq_map *map, const char *key, void *value);
void vecq_map_clear(vecq_map *map);

#endif

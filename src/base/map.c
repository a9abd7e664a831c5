/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <stdint.h>
#include <string.h>

#include "base/alloc.h"

/* Keys come from files that may be hostile. A fixed hash can be made to collide on purpose, so it starts from
 * a number that differs from process to process: see map_salt(). Iteration order is never exposed, so results
 * do not depend on it. */
struct vecq_map_slot {
    const char *key;
    void *value;
    uint64_t hash;
};

static uint64_t map_salt(void)
{
    static const char anchor;

    return (uint64_t)(uintptr_t)&anchor * 0x9e3779b97f4a7c15u; /* moves with address-space randomisation */
}

static uint64_t map_hash(const char *key)
{
    uint64_t h = 0xcbf29ce484222325u ^ map_salt();

    for (; *key != '\0'; key++)
        h = (h ^ (unsigned char)*key) * 0x100000001b3u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ (h >> 32);
}

static struct vecq_map_slot *map_find(const vecq_map *map, const char *key, uint64_t hash)
{
    size_t i = (size_t)hash & (map->capacity - 1);

    while (map->slots[i].key != NULL && (map->slots[i].hash != hash || strcmp(map->slots[i].key, key) != 0))
        i = (i + 1) & (map->capacity - 1);
    return &map->slots[i];
}

void *vecq_map_get(const vecq_map *map, const char *key)
{
    return map->capacity == 0 ? NULL : map_find(map, key, map_hash(key))->value;
}

static int map_resize(vecq_map *map)
{
    vecq_map larger = {NULL, map->capacity == 0 ? 64 : map->capacity * 2, map->count};
    size_t i;

    larger.slots = vecq_calloc(larger.capacity, sizeof *larger.slots);
    if (larger.slots == NULL)
        return 0;
    for (i = 0; i < map->capacity; i++)
        if (map->slots[i].key != NULL)
            *map_find(&larger, map->slots[i].key, map->slots[i].hash) = map->slots[i];
    vecq_free(map->slots);
    *map = larger;
    return 1;
}

int vecq_map_put(vecq_map *map, const char *key, void *value)
{
    uint64_t hash = map_hash(key);
    struct vecq_map_slot *slot;

    if (map->count * 2 >= map->capacity && !map_resize(map))
        return 0;
    slot = map_find(map, key, hash);
    if (slot->key == NULL) {
        slot->key = key;
        slot->hash = hash;
        map->count++;
    }
    slot->value = value;
    return 1;
}

void vecq_map_clear(vecq_map *map)
{
    vecq_free(map->slots);
    memset(map, 0, sizeof *map);
}

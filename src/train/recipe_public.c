/* SPDX-License-Identifier: Apache-2.0 */
/* The recipe functions of vecq/train.h, and the list of networks. */
#include <string.h>

#include "base/status.h"
#include "train/recipe_private.h"
#include "vecq/train.h"
#include "zoo/zoo.h"

static vecq_status recipe_new(const char *path, vecq_recipe **out, vecq_error *err)
{
    vecq_recipe *recipe = vecq_calloc(1, sizeof *recipe);
    vecq_status status;

    *out = NULL;
    if (recipe == NULL)
        return vecq_error_memory(err, sizeof *recipe);
    status = path != NULL ? vecq_recipe_load(path, recipe, err) : vecq_recipe_defaults(recipe, err);
    if (status != VECQ_OK) {
        vecq_free(recipe);
        return status;
    }
    *out = recipe;
    return VECQ_OK;
}

vecq_status vecq_recipe_create(vecq_recipe **out, vecq_error *err)
{
    return recipe_new(NULL, out, err);
}

vecq_status vecq_recipe_open(const char *path, vecq_recipe **out, vecq_error *err)
{
    return recipe_new(path, out, err);
}

void vecq_recipe_free(vecq_recipe *recipe)
{
    if (recipe == NULL)
        return;
    vecq_recipe_clear(recipe);
    vecq_free(recipe);
}

const char *vecq_recipe_get(vecq_recipe *recipe, const char *path)
{
    const vecq_recipe_key *key = vecq_recipe_key_find(path);
    vecq_text_writer text = {NULL, 0, 0, 0};
    const char *value, *plain;
    size_t n;

    if (key == NULL)
        return NULL;
    vecq_recipe_value_write(recipe, key, &text);
    n = text.n;
    plain = text.data;
    if (n >= 2 && plain[0] == '"' && plain[n - 1] == '"') { /* a text without its quotes */
        plain++;
        n -= 2;
    }
    value = text.failed ? NULL : vecq_arena_string(recipe->memory, plain, n);
    vecq_text_clear(&text);
    return value;
}

int vecq_recipe_has(const vecq_recipe *recipe, const char *path)
{
    return vecq_recipe_is_given(recipe, path);
}

size_t vecq_recipe_doc_count(void)
{
    return vecq_recipe_key_count();
}

vecq_recipe_doc vecq_recipe_doc_at(size_t index)
{
    const vecq_recipe_key *key = vecq_recipe_key_at(index);
    vecq_recipe_doc doc = {0};
    size_t i;

    if (key == NULL)
        return doc;
    doc.section = key->section;
    doc.name = key->name;
    doc.initial = key->initial;
    doc.unit = key->unit;
    doc.text = key->doc;
    for (i = 0; i < vecq_recipe_section_count(); i++)
        if (strcmp(vecq_recipe_section_at(i)->name, key->section) == 0)
            doc.section_text = vecq_recipe_section_at(i)->doc;
    return doc;
}

size_t vecq_network_count(void)
{
    return vecq_zoo_count();
}

const char *vecq_network_name(size_t index)
{
    return index < vecq_zoo_count() ? vecq_zoo_at(index)->name : NULL;
}

const char *vecq_network_title(size_t index)
{
    return index < vecq_zoo_count() ? vecq_zoo_at(index)->title : NULL;
}

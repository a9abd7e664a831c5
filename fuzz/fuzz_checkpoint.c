/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints of arbitrary bytes. The input is tried as it is, and once more with its checksums made right,
 * so that what lies behind them is reached too. All entries of what opens must be readable.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/status.h"
#include "train/checkpoint_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            abort();                                                                                         \
    } while (0)

static void fuzz_open(const uint8_t *data, size_t n)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_checkpoint *c;
    vecq_span span = {data, n};
    vecq_status status = vecq_checkpoint_open_memory(span, "fuzz", &c, &err);
    size_t i, j, sum = 0;

    REQUIRE(status == VECQ_OK || status == VECQ_ERR_FORMAT);
    REQUIRE((status == VECQ_OK) == (err.message[0] == '\0'));
    if (status != VECQ_OK) {
        REQUIRE(c == NULL);
        return;
    }
    for (i = 0; i < vecq_checkpoint_count(c); i++) {
        const vecq_checkpoint_entry *e = vecq_checkpoint_at(c, i);
        const uint8_t *bytes = e->data;

        REQUIRE(vecq_checkpoint_find(c, e->name) == e);
        for (j = 0; j < e->count * checkpoint_element((uint32_t)e->type); j++)
            sum += bytes[j];
        if (e->type == VECQ_CHECKPOINT_TEXT) {
            char *text;

            REQUIRE(vecq_checkpoint_read_text(c, e->name, &text, NULL) == VECQ_OK);
            REQUIRE(strlen(text) == e->count);
            vecq_free(text);
        }
    }
    REQUIRE(sum < SIZE_MAX);
    vecq_checkpoint_close(c);
}

/* Right checksums for whatever rows can be found. */
static void fuzz_mend(uint8_t *data, size_t n)
{
    uint8_t *footer = data + n - CHECKPOINT_FOOTER, *row, *end;
    uint64_t at = checkpoint_get64(footer);

    memcpy(data, CHECKPOINT_MAGIC, 8);
    memset(data + 8, 0, CHECKPOINT_HEADER - 8);
    data[8] = CHECKPOINT_VERSION;
    memcpy(footer + 56, CHECKPOINT_END, 8);
    checkpoint_put64(footer + 24, n);
    checkpoint_put64(footer + 40, 0);
    if (at <= n - CHECKPOINT_FOOTER) {
        checkpoint_put64(footer + 8, n - CHECKPOINT_FOOTER - at);
        for (row = data + at, end = footer; (size_t)(end - row) >= CHECKPOINT_ROW;) {
            uint64_t offset = checkpoint_get64(row), n_bytes = checkpoint_get64(row + 8);
            size_t step = (size_t)CHECKPOINT_ROW + checkpoint_get32(row + 28);

            if (offset <= at && n_bytes <= at - offset)
                checkpoint_put64(row + 16, checkpoint_hash(data + offset, (size_t)n_bytes));
            step += checkpoint_gap(step, 8);
            if (step > (size_t)(end - row))
                break;
            row += step;
        }
        checkpoint_put64(footer + 32, checkpoint_hash(data + at, n - CHECKPOINT_FOOTER - (size_t)at));
    }
    checkpoint_put64(footer + 48, checkpoint_hash(footer, 48));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t *copy = calloc(n > 0 ? n : 1, 1);

    REQUIRE(copy != NULL);
    if (n > 0)
        memcpy(copy, data, n);
    fuzz_open(copy, n);
    if (n >= CHECKPOINT_HEADER + CHECKPOINT_FOOTER) {
        fuzz_mend(copy, n);
        fuzz_open(copy, n);
    }
    free(copy);
    return 0;
}

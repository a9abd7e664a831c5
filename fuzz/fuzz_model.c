/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public model API on arbitrary bytes: load, plan, inspect, quantize with settings that follow from the
 * bytes, save, load again, inspect, unpack, save. Every failure must have a message of one line; a model that
 * was quantized must save (that reads back and compares), load again and, packed ones, unpack.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vecq/vecq.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char fuzz_folder[64], fuzz_path[80], fuzz_unpacked[80];

static void fuzz_clean(void)
{
    char data[96];

    snprintf(data, sizeof data, "%s.data", fuzz_path);
    unlink(data);
    unlink(fuzz_path);
    snprintf(data, sizeof data, "%s.data", fuzz_unpacked);
    unlink(data);
    unlink(fuzz_unpacked);
}

static void fuzz_leave(void)
{
    fuzz_clean();
    rmdir(fuzz_folder);
}

static void fuzz_enter(void)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

    snprintf(fuzz_folder, sizeof fuzz_folder, "%s/vecq-fuzz-XXXXXX", base);
    if (mkdtemp(fuzz_folder) == NULL)
        abort();
    snprintf(fuzz_path, sizeof fuzz_path, "%s/m.onnx", fuzz_folder);
    snprintf(fuzz_unpacked, sizeof fuzz_unpacked, "%s/u.onnx", fuzz_folder);
    atexit(fuzz_leave);
}

/* A call that may fail with one of the statuses in `allowed` (a bit each) and a proper message. */
static int fuzz_try(vecq_status status, const vecq_error *err, unsigned allowed)
{
    if (status == VECQ_OK)
        return 1;
    if ((allowed >> status & 1u) == 0 || err->status != status || err->message[0] == '\0' ||
        strchr(err->message, '\n') != NULL) {
        fprintf(stderr, "status %s: %s\n", vecq_status_name(status), err->message);
        abort();
    }
    return 0;
}

#define BIT(status) (1u << (VECQ_ERR_##status))
#define REFUSED     (BIT(FORMAT) | BIT(UNSUPPORTED) | BIT(VALUE) | BIT(IO))

static void fuzz_look(vecq_model *model)
{
    vecq_report *report;
    vecq_error err = VECQ_ERROR_INIT;
    size_t i;

    if (!fuzz_try(vecq_model_inspect(model, &report, &err), &err, REFUSED))
        return;
    for (i = 0; i < report->n_weights && i < 4; i++) {
        uint64_t n = report->weights[i].elements;
        float *values = n <= 1u << 20 ? malloc((n > 0 ? n : 1) * sizeof *values) : NULL;
        vecq_error why = VECQ_ERROR_INIT;

        if (values != NULL)
            fuzz_try(vecq_model_weight_rows(model, i, values, &why), &why, REFUSED);
        free(values);
    }
    vecq_report_free(report);
}

static void fuzz_options(vecq_quantize_options *o, unsigned choice)
{
    static const vecq_format formats[] = {VECQ_FORMAT_PACKED, VECQ_FORMAT_PACKED, VECQ_FORMAT_QDQ,
                                          VECQ_FORMAT_FLOAT};

    vecq_quantize_options_default(o);
    o->bits = 1 + choice % 4;
    o->format = formats[choice / 4 % 4];
    o->inline_bodies = choice / 4 % 4 == 1;
    o->granularity = (vecq_granularity)(choice / 16 % 3);
    o->group = 3;
    o->biases = (choice / 48 & 1) != 0;
    o->lambda = (vecq_lambda_mode)(choice / 96 % 3);
    o->threads = 1;
    o->scratch = fuzz_folder;
}

/* Whether the input has packed weights already, which may be damaged. */
static int fuzz_holds(const uint8_t *data, size_t n, const char *text)
{
    size_t i, length = strlen(text);

    for (i = 0; i + length <= n; i++)
        if (memcmp(data + i, text, length) == 0)
            return 1;
    return 0;
}

static void fuzz_unpack(int must)
{
    vecq_model *model;
    vecq_error err = VECQ_ERROR_INIT;

    if (!fuzz_try(vecq_model_load(fuzz_path, &model, &err), &err, 0))
        return;
    fuzz_look(model);
    if (fuzz_try(vecq_model_unpack(model, NULL, &err), &err, must ? 0 : REFUSED))
        fuzz_try(vecq_model_save(model, fuzz_unpacked, NULL, NULL, &err), &err, 0);
    vecq_model_close(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    vecq_quantize_options options;
    vecq_save_options save;
    vecq_report *report;
    vecq_model *model;
    vecq_error err = VECQ_ERROR_INIT, why = VECQ_ERROR_INIT;
    unsigned choice = 0;
    size_t i;

    if (fuzz_folder[0] == '\0')
        fuzz_enter();
    for (i = 0; i < n; i++)
        choice += data[i];
    fuzz_options(&options, choice);
    vecq_save_options_default(&save);
    save.external_data = (int)(choice % 5 % 3) - 1;
    if (!fuzz_try(vecq_model_load_memory(data, n, "input", NULL, &model, &err), &err, REFUSED))
        return 0;
    fuzz_look(model);
    if (fuzz_try(vecq_model_plan(model, &options, &report, &why), &why, REFUSED | BIT(USAGE)))
        vecq_report_free(report);
    if (fuzz_try(vecq_model_quantize(model, &options, NULL, &err), &err, REFUSED | BIT(USAGE))) {
        if (fuzz_try(vecq_model_save(model, fuzz_path, &save, NULL, &err), &err, 0))
            fuzz_unpack(options.format != VECQ_FORMAT_FLOAT && !fuzz_holds(data, n, "vecq"));
    }
    vecq_model_close(model);
    if (choice % 7 == 0) { /* a model that was not changed is written as it is; packed ones come back */
        vecq_error last = VECQ_ERROR_INIT;

        if (!fuzz_try(vecq_model_load_memory(data, n, "input", NULL, &model, &last), &last, 0))
            return 0;
        fuzz_try(vecq_model_save(model, fuzz_path, &save, NULL, &last), &last, 0);
        if (fuzz_try(vecq_model_unpack(model, NULL, &last), &last, REFUSED))
            fuzz_try(vecq_model_save(model, fuzz_path, NULL, NULL, &last), &last, 0);
        vecq_model_close(model);
    }
    fuzz_clean();
    return 0;
}

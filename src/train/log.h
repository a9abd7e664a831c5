/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of a run: one JSON object a line, appended. A record is built in memory and written in one piece:
 *
 *     vecq_log_begin(log, "train");
 *     vecq_log_count(log, "step", step);
 *     vecq_log_real(log, "loss", loss);
 *     status = vecq_log_end(log, &err);          {"event":"train","step":120,"loss":0.0625}
 *
 * Numbers have as many digits as are needed to read back the same double; NaN and infinities, which JSON does
 * not have, are the strings "NaN", "Infinity" and "-Infinity". When a record cannot be written (full disk),
 * what there is of it is taken back and the log can be used on; memory that is out is reported by
 * vecq_log_end() too. A resumed run takes back what the old one wrote after the checkpoint. One log is used
 * by one thread at a time. NULL is a log that goes nowhere: every function but the first two takes it.
 */
#ifndef VECQ_TRAIN_LOG_H
#define VECQ_TRAIN_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "vecq/status.h"

typedef struct vecq_log vecq_log;

/* A new log; what the file held is gone. A device or a pipe is fine here. */
vecq_status vecq_log_create(const char *path, vecq_log **out, vecq_error *err);

/*
 * Goes on with a log: the first record whose "step" is above `step` is cut off with all that follow, and so
 * is a last line that was not finished. A file that is not made of JSON lines is refused untouched; one that
 * is not there is begun.
 */
vecq_status vecq_log_resume(const char *path, uint64_t step, vecq_log **out, vecq_error *err);

void vecq_log_begin(vecq_log *log, const char *event);
void vecq_log_count(vecq_log *log, const char *key, uint64_t number);
void vecq_log_real(vecq_log *log, const char *key, double number);
void vecq_log_bool(vecq_log *log, const char *key, int flag);
void vecq_log_text(vecq_log *log, const char *key, const char *text); /* NULL: null */
void vecq_log_reals(vecq_log *log, const char *key, const double *numbers, size_t n);
void vecq_log_open(vecq_log *log, const char *key); /* an object in the record ... */
void vecq_log_close(vecq_log *log);                 /* ... and its end */
vecq_status vecq_log_end(vecq_log *log, vecq_error *err);

/* To disk, before a checkpoint that stands for these records is committed. */
vecq_status vecq_log_sync(vecq_log *log, vecq_error *err);
void vecq_log_destroy(vecq_log *log); /* closes; NULL is fine */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What mappings, outputs and spools share. Not for use outside of file.c, output.c and spool.c. */
#ifndef VECQ_BASE_FILE_PRIVATE_H
#define VECQ_BASE_FILE_PRIVATE_H

#include <sys/types.h>

#include "base/file.h"

#define VECQ_FILE_CHUNK (1u << 20) /* bytes read or written at a time */

/* "<name>: cannot <what>: <errno in words>"; VECQ_ERR_MEMORY for ENOMEM, else VECQ_ERR_IO. */
vecq_status vecq_file_errno(vecq_error *err, const char *name, const char *what);
int vecq_file_write_all(int fd, const void *data, size_t n); /* 0 with errno */
char *vecq_file_string(const char *text, size_t n);          /* copy, to be freed; NULL when memory is out */

/* Opens a file without a name in `folder`: nothing to clean up, whatever happens. -1 with errno. */
int vecq_file_nameless(const char *folder, mode_t mode);
/* The same for scratch data; where the file system does not know such files, one whose name is removed. */
int vecq_file_temporary(const char *folder);
/* Folder for temporary files: the one given, or $TMPDIR, or /tmp. */
const char *vecq_file_scratch(const char *folder);

/* Turns the bytes of a spool into a mapping that outlives it: of its file, or a copy when they are few. The
 * spool can only be closed then. */
vecq_status vecq_spool_take(vecq_spool *spool, vecq_mapping *out, vecq_error *err);

#endif

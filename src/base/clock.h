/* SPDX-License-Identifier: Apache-2.0 */
/* Elapsed time, for reports. */
#ifndef VECQ_BASE_CLOCK_H
#define VECQ_BASE_CLOCK_H

/* Seconds of a clock that never goes back; only differences mean something. */
double vecq_clock_seconds(void);

#endif

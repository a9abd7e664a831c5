/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The learning rate at each step, as a pure function: resuming needs no state. With e the epoch as a real
 * number (step / steps per epoch), E the length of training and W the warm-up:
 *
 *     warm-up      lr (step + 1) / (W steps)                     in the first W epochs, then
 *     constant     lr
 *     step         lr gamma^(number of milestones <= e)
 *     cosine       min_lr + (lr - min_lr) (1 + cos(pi (e - W) / (E - W))) / 2
 *     exponential  lr gamma^e                                    e without its fraction
 *
 * and never below min_lr, except in the warm-up. Milestones and epochs of the exponential schedule count from
 * the start, warm-up included.
 */
#ifndef VECQ_TRAIN_SCHEDULE_H
#define VECQ_TRAIN_SCHEDULE_H

#include "train/recipe.h"

typedef struct vecq_schedule {
    vecq_recipe_schedule name;
    double lr, min_lr, gamma;
    double epochs, warmup;        /* E and W */
    vecq_recipe_reals milestones; /* borrowed from the recipe */
    double steps_per_epoch;       /* > 0 */
} vecq_schedule;

void vecq_schedule_of(const vecq_recipe *recipe, uint64_t steps_per_epoch, vecq_schedule *out);

/* Rate of a step, counted from 0. At and after the end: that of the end. */
double vecq_schedule_lr(const vecq_schedule *schedule, uint64_t step);

/* Steps that an epoch number or an interval means: rounded to the nearest, at least 1 for an interval;
 * UINT64_MAX for never. */
uint64_t vecq_schedule_steps(double epochs, uint64_t steps_per_epoch);
uint64_t vecq_schedule_interval(const vecq_recipe_interval *interval, uint64_t steps_per_epoch);

#endif

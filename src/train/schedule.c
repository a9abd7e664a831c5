/* SPDX-License-Identifier: Apache-2.0 */
#include "train/schedule.h"

#include <math.h>

void vecq_schedule_of(const vecq_recipe *recipe, uint64_t steps_per_epoch, vecq_schedule *out)
{
    out->name = recipe->schedule.name;
    out->lr = recipe->optimizer.lr;
    out->min_lr = recipe->schedule.min_lr;
    out->gamma = recipe->schedule.gamma;
    out->epochs = recipe->train.epochs;
    out->warmup = recipe->schedule.warmup;
    out->milestones = recipe->schedule.milestones;
    out->steps_per_epoch = (double)(steps_per_epoch > 0 ? steps_per_epoch : 1);
}

/* Milestones are compared as steps: an epoch that is no binary fraction (0.1 at 10 steps an epoch) must not
 * come one step late. */
static size_t schedule_passed(const vecq_schedule *s, uint64_t step)
{
    size_t n = 0;

    while (n < s->milestones.n && (double)step >= round(s->milestones.items[n] * s->steps_per_epoch))
        n++;
    return n;
}

double vecq_schedule_lr(const vecq_schedule *s, uint64_t step)
{
    static const double pi = 3.14159265358979323846;
    double warm = round(s->warmup * s->steps_per_epoch), end = round(s->epochs * s->steps_per_epoch);
    double at = (double)step, lr = s->lr;

    if (at < warm)
        return s->lr * (at + 1) / warm;
    if (at > end)
        at = end;
    switch (s->name) {
    case VECQ_RECIPE_CONSTANT:
        break;
    case VECQ_RECIPE_STEP:
        lr = s->lr * pow(s->gamma, (double)schedule_passed(s, (uint64_t)at));
        break;
    case VECQ_RECIPE_COSINE:
        if (end > warm)
            lr = s->min_lr + (s->lr - s->min_lr) * (1 + cos(pi * (at - warm) / (end - warm))) / 2;
        break;
    case VECQ_RECIPE_EXPONENTIAL:
        lr = s->lr * pow(s->gamma, floor(at / s->steps_per_epoch));
        break;
    }
    return lr > s->min_lr ? lr : s->min_lr;
}

uint64_t vecq_schedule_steps(double epochs, uint64_t steps_per_epoch)
{
    double steps = round(epochs * (double)steps_per_epoch);

    if (!(steps < 9e18)) /* never is infinite */
        return UINT64_MAX;
    return steps > 0 ? (uint64_t)steps : 0;
}

uint64_t vecq_schedule_interval(const vecq_recipe_interval *interval, uint64_t steps_per_epoch)
{
    uint64_t steps;

    if (interval->steps > 0)
        return interval->steps;
    if (!(interval->epochs > 0))
        return UINT64_MAX;
    steps = vecq_schedule_steps(interval->epochs, steps_per_epoch);
    return steps > 0 ? steps : 1;
}

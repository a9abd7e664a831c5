/* SPDX-License-Identifier: Apache-2.0 */
/* Body of ref_norm.c, included once for each type: `real`, NORM(name). All ranges are channels. */

/* y = x * a + b */
static void NORM(scale_channel)(const norm_work *q, size_t channel, double a, double b)
{
    const real *x = q->x;
    real *y = q->y;
    size_t image, i;

    for (image = 0; image < q->batch && y != NULL; image++) {
        size_t at = (image * q->channels + channel) * q->plane;

        for (i = 0; i < q->plane; i++)
            y[at + i] = (real)(a * (double)x[at + i] + b);
    }
}

static vecq_status NORM(given_range)(void *context, size_t begin, size_t end, unsigned thread,
                                     vecq_error *err)
{
    const norm_work *q = context;
    const real *scale = q->scale, *bias = q->bias, *mean = q->mean, *variance = q->variance;

    (void)thread;
    (void)err;
    for (; begin < end; begin++) {
        double a = (double)scale[begin] / sqrt((double)variance[begin] + q->epsilon);

        NORM(scale_channel)(q, begin, a, (double)bias[begin] - a * (double)mean[begin]);
    }
    return VECQ_OK;
}

/* Sum over a channel of (x - shift), or of its square. */
static double NORM(channel_sum)(const norm_work *q, size_t channel, double shift, int squared)
{
    const real *x = q->x;
    double total = 0;
    size_t image, i;

    for (image = 0; image < q->batch; image++) {
        const real *plane = x + (image * q->channels + channel) * q->plane;
        double part[4] = {0, 0, 0, 0};

        if (squared)
            for (i = 0; i < q->plane; i++) {
                double d = (double)plane[i] - shift;
                part[i & 3] += d * d;
            }
        else
            for (i = 0; i < q->plane; i++)
                part[i & 3] += (double)plane[i] - shift;
        total += (part[0] + part[1]) + (part[2] + part[3]);
    }
    return total;
}

static vecq_status NORM(train_range)(void *context, size_t begin, size_t end, unsigned thread,
                                     vecq_error *err)
{
    const norm_work *q = context;
    const real *scale = q->scale, *bias = q->bias;
    real *mean_out = q->mean_out, *variance_out = q->variance_out;
    double n = (double)(q->batch * q->plane);

    (void)thread;
    (void)err;
    for (; begin < end; begin++) {
        double mean = NORM(channel_sum)(q, begin, 0, 0) / n;
        double variance = NORM(channel_sum)(q, begin, mean, 1) / n;
        double a = (double)scale[begin] / sqrt(variance + q->epsilon);

        if (mean_out != NULL)
            mean_out[begin] = (real)mean;
        if (variance_out != NULL)
            variance_out[begin] = (real)variance;
        NORM(scale_channel)(q, begin, a, (double)bias[begin] - a * mean);
    }
    return VECQ_OK;
}

/* sums[0] = sum of dy, sums[1] = sum of dy * (x - mean) */
static void NORM(gradient_sums)(const norm_work *q, size_t channel, double mean, double sums[2])
{
    const real *x = q->x, *dy = q->dy;
    size_t image, i;

    sums[0] = sums[1] = 0;
    for (image = 0; image < q->batch; image++) {
        size_t at = (image * q->channels + channel) * q->plane;
        double a[2] = {0, 0}, b[2] = {0, 0};

        for (i = 0; i < q->plane; i++) {
            double d = (double)dy[at + i];
            a[i & 1] += d;
            b[i & 1] += d * ((double)x[at + i] - mean);
        }
        sums[0] += a[0] + a[1];
        sums[1] += b[0] + b[1];
    }
}

/*
 * With u = 1 / sqrt(variance + epsilon) and z = (x - mean) u:  dbias = sum dy, dscale = sum dy z;
 * dx = scale u dy, and with statistics of the batch  scale u (dy - (dbias + z dscale) / n).
 */
static vecq_status NORM(grad_range)(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const norm_work *q = context;
    const real *x = q->x, *dy = q->dy, *scale = q->scale, *means = q->mean, *variance = q->variance;
    real *dx = q->y, *dscale = q->dscale, *dbias = q->dbias;
    double n = (double)(q->batch * q->plane);

    (void)thread;
    (void)err;
    for (; begin < end; begin++) {
        double u = 1 / sqrt((double)variance[begin] + q->epsilon), a = (double)scale[begin] * u;
        double mean = (double)means[begin], sums[2], c = 0, s = 0;
        size_t image, i;

        NORM(gradient_sums)(q, begin, mean, sums);
        if (dscale != NULL)
            dscale[begin] = (real)(sums[1] * u);
        if (dbias != NULL)
            dbias[begin] = (real)sums[0];
        if (q->is_train) {
            c = sums[0] / n;
            s = sums[1] * u * u / n;
        }
        for (image = 0; image < q->batch && dx != NULL; image++) {
            size_t at = (image * q->channels + begin) * q->plane;

            for (i = 0; i < q->plane; i++)
                dx[at + i] = (real)(a * ((double)dy[at + i] - c - ((double)x[at + i] - mean) * s));
        }
    }
    return VECQ_OK;
}

static void NORM(average)(real *state, const real *value, size_t n, const vecq_average_params *params)
{
    double keep = params->momentum, take = (1 - keep) * params->factor;
    size_t i;

    for (i = 0; i < n; i++)
        state[i] = (real)(keep * (double)state[i] + take * (double)value[i]);
}

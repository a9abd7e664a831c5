/* SPDX-License-Identifier: Apache-2.0 */
/* Every cell of the paper's size tables: the parameters of each network counted from its layers. */
#include "vecq_test.h"

#include <math.h>

#include "vecq/quant.h"

typedef struct network {
    const char *name;
    uint64_t kernels, biases, norms;
    uint64_t total; /* as published */
    double mib[9];  /* [0] in float, then 1..8 bits; 0: not published */
} network;

static const network networks[] = {
    {"LeNet5",
     800 + 51200 + 1605632 + 5120,
     32 + 64 + 512 + 10,
     128 + 256 + 2048,
     1665802,
     {6.3545, 0.2076, 0.4059, 0.6041, 0.8024, 1.0007, 1.1990, 1.3973, 1.5956}},
    {"VGG-like",
     1728 + 36864 + 73728 + 147456 + 294912 + 589824 + 4194304 + 10240,
     64 + 64 + 128 + 128 + 256 + 256 + 1024 + 10,
     256 + 256 + 512 + 512 + 1024 + 1024 + 4096,
     5358666,
     {20.4417, 0.6672, 1.3051, 1.9430, 2.5808, 3.2187, 3.8566, 4.4945, 5.1324}},
    {"AlexNet",
     34848 + 614400 + 884736 + 1327104 + 884736 + 26214400 + 16777216 + 4096000,
     96 + 256 + 384 + 384 + 256 + 4096 + 4096 + 1000,
     384 + 1024 + 1536 + 1536 + 1024 + 16384 + 16384,
     50882280,
     {194.1005, 6.2071, 12.2682, 18.3292, 24.3903, 30.4514, 36.5125, 42.5735, 48.6346}},
    {"ResNet-18",
     9408 + 4 * 36864 + 4096 + 73728 + 3 * 147456 + 8192 + 294912 + 3 * 589824 + 32768 + 1179648 +
         3 * 2359296 + 131072 + 512000,
     1000,
     9 + 4 * (64 + 64 * 4 + 64 + 128 * 3 + 128 + 256 * 3 + 256 + 512 * 3 + 512),
     11699889,
     {44.6315, 1.4534, 2.8463, 4.2391, 5.6320, 7.0248, 8.4176, 9.8105, 11.2033}},
    {"MobileNetV2",
     864 + 800 + 4704 + 8208 + 9360 + 2 * 14016 + 20160 + 3 * 52608 + 64896 + 2 * 115776 + 152640 +
         2 * 315840 + 469440 + 409600 + 1280000,
     1000,
     128 + 192 + 864 + 1248 + 1280 + 2 * 1664 + 1792 + 3 * 3328 + 3456 + 2 * 4992 + 5248 + 2 * 8320 + 8960 +
         5120,
     3538984,
     {13.5002, 0.6740, 1.0877, 1.5015, 1.9152, 2.3290, 2.7427, 3.1565, 3.5702}},
    {"IMDB",
     20000 * 128 + 5 * 128 * 64 + 4 * (64 * 70 + 70 * 70) + 70,
     64 + 4 * 70 + 1,
     0,
     2638895,
     {10.0666, 0, 0.6292, 0, 1.2583, 0, 0, 0, 2.5166}},
    {"THUCNews",
     5000 * 128 + 4 * (128 * 128 + 128 * 128) + 128 * 128 + 1280,
     4 * 128 + 128 + 10,
     0,
     789386,
     {3.0113, 0, 0.1882, 0, 0.3764, 0, 0, 0, 0.7528}},
};

static void test_every_cell(void **state)
{
    size_t i;
    unsigned bits;

    (void)state;
    for (i = 0; i < sizeof networks / sizeof *networks; i++) {
        const network *net = &networks[i];

        if (net->kernels + net->biases + net->norms != net->total)
            fail_msg("%s: %llu parameters", net->name,
                     (unsigned long long)(net->kernels + net->biases + net->norms));
        for (bits = 0; bits <= 8; bits++) {
            double got = vecq_paper_size_mib(net->kernels + net->biases, net->norms, bits == 0 ? 32 : bits);

            if (net->mib[bits] != 0.0 && rint(got * 1e4) != rint(net->mib[bits] * 1e4))
                fail_msg("%s at %u bits: %.6f, table %.4f", net->name, bits, got, net->mib[bits]);
        }
    }
}

static void test_large(void **state)
{
    (void)state;
    assert_true(vecq_paper_size_mib(0, 0, 3) == 0.0);
    assert_true(vecq_paper_size_mib((uint64_t)1 << 50, 0, 8) == 0x1p30);
    assert_true(vecq_paper_size_mib(0, (uint64_t)1 << 50, 1) == 0x1p32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_cell), cmocka_unit_test(test_large)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

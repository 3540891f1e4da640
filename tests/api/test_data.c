/* test_data.c -- the bytes of files: reserved, punched, zeroed, copied, in several pieces, atomic */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data_model.h"

#define BLOCK  ((uint64_t)VMFS_BLOCK_SIZE)
#define ROUNDS 8000u

static uint64_t draw_seed(void)
{
    const char *wanted = getenv("VMFS_TEST_SEED");
    return wanted ? strtoull(wanted, NULL, 0) : seed_from_clock();
}

static void fill_region(struct fixture *fixture, uint64_t spare)
{
    static uint8_t bytes[64 * 1024];
    struct vmfs_file *file = fixture_file(fixture, "/filler", VMFS_O_CREAT | VMFS_O_RDWR);
    int64_t written = 1;
    uint64_t size = 0;
    while (written > 0) {
        written = vmfs_file_pwrite(file, bytes, sizeof bytes, size);
        size += written > 0 ? (uint64_t)written : 0;
    }
    expect_ok(vmfs_file_truncate(file, size > spare ? size - spare : 0));
    expect_ok(vmfs_file_close(file));
    expect_ok(vmfs_sync(fixture->fs));
}

/* ------------------------------------------------------------------------------------ the model */

static void run_model(const char *name, uint64_t bytes, uint64_t spare, unsigned rounds)
{
    static struct data_model model;
    struct fixture fixture;
    struct seed seed;
    memset(&model, 0, sizeof model);
    model.seed = draw_seed();
    model.is_full = spare > 0;
    fprintf(stderr, "VMFS_TEST_SEED=%llu\n", (unsigned long long)model.seed);
    seed_init(&seed, model.seed);
    fixture_open(&fixture, name, bytes);
    if (spare)
        fill_region(&fixture, spare);
    model.file = fixture_file(&fixture, "/file", VMFS_O_CREAT | VMFS_O_RDWR);
    for (unsigned round = 0; round < rounds; round++) {
        data_step(&model, &seed);
        data_compare(&model);
        if (round % 250 == 249) {
            expect_ok(vmfs_file_close(model.file));
            expect_ok(region_check(fixture.fs));
            fixture_reopen(&fixture);
            model.file = fixture_file(&fixture, "/file", VMFS_O_RDWR);
        }
    }
    expect_ok(vmfs_file_close(model.file));
    fixture_close(&fixture);
}

Test(data, model)
{
    run_model("data-model", 32 * REGION_MIB, 0, ROUNDS);
}

Test(data, model_small_records)
{
    run_model("data-small", 2 * REGION_MIB, 0, ROUNDS);
}

Test(data, model_nearly_full)
{
    run_model("data-full", 2 * REGION_MIB, 40 * BLOCK, ROUNDS);
}

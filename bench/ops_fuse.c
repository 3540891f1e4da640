/* ops_fuse.c -- the operations that are measured on mounts
 *
 * Names are made in prepare(), right before they are used, and taken away in settle(). Data lies in one
 * file for each row, FUSE_FILE_BYTES long but for what is appended. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuse.h"
#include "random.h"

static int result_of(int64_t result)
{
    return result < 0 ? -errno : 0;
}

static int setup_directory(struct fuse_job *job)
{
    return result_of(mkdir(job->name, 0755));
}

static void name_entry(const struct fuse_job *job, char *path, char prefix, uint64_t number)
{
    snprintf(path, FUSE_PATH_BYTES, "%.16s/%c%" PRIu64, job->name, prefix, number);
}

static int name_entries(struct fuse_job *job, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        name_entry(job, job->from[i], 'f', job->names);
        name_entry(job, job->to[i], 'g', job->names++);
    }
    return 0;
}

static int create_entries(struct fuse_job *job, uint32_t count)
{
    int err = name_entries(job, count);

    for (uint32_t i = 0; err == 0 && i < count; i++)
        err = job->fs->calls->create(job->fs, job->from[i]);
    return err;
}

static int create_call(struct fuse_job *job, uint32_t index)
{
    return job->fs->calls->create(job->fs, job->from[index]);
}

static int unlink_call(struct fuse_job *job, uint32_t index)
{
    return job->fs->calls->unlink(job->fs, job->from[index]);
}

static int rename_call(struct fuse_job *job, uint32_t index)
{
    return job->fs->calls->rename(job->fs, job->from[index], job->to[index]);
}

static int unlink_from(struct fuse_job *job, uint32_t count)
{
    int err = 0;

    for (uint32_t i = 0; err == 0 && i < count; i++)
        err = unlink_call(job, i);
    return err;
}

static int unlink_to(struct fuse_job *job, uint32_t count)
{
    int err = 0;

    for (uint32_t i = 0; err == 0 && i < count; i++)
        err = job->fs->calls->unlink(job->fs, job->to[i]);
    return err;
}

/* As many files as calls that lead: none is opened for the first time in a second when timed. */
static int setup_standing(struct fuse_job *job)
{
    int err = setup_directory(job);

    return err != 0 ? err : create_entries(job, FUSE_LEAD);
}

static int repeat_entries(struct fuse_job *job, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        name_entry(job, job->from[i], 'f', i % FUSE_LEAD);
    return 0;
}

static int open_close_call(struct fuse_job *job, uint32_t index)
{
    return job->fs->calls->open_close(job->fs, job->from[index]);
}

static int open_data(struct fuse_job *job, int flags)
{
    job->fd = open(job->name, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0644);
    return result_of(job->fd);
}

static int transfer_result(int64_t done, uint32_t length)
{
    return fs_transfer_result(done < 0 ? -errno : done, length);
}

static int fill_data(struct fuse_job *job)
{
    int err = 0;

    for (uint64_t at = 0; err == 0 && at < FUSE_FILE_BYTES; at += FUSE_TRANSFER_BYTES)
        err = transfer_result(pwrite(job->fd, job->buffer, FUSE_TRANSFER_BYTES, (off_t)at),
                              FUSE_TRANSFER_BYTES);
    return err;
}

static int setup_cached(struct fuse_job *job)
{
    int err = open_data(job, 0);

    return err != 0 ? err : fill_data(job);
}

static int setup_direct(struct fuse_job *job)
{
    int err = open_data(job, O_DIRECT);

    return err != 0 ? err : fill_data(job);
}

static int draw_pages(struct fuse_job *job, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        job->offsets[i] = (uint64_t)random_below(&job->random, FUSE_FILE_BYTES / FUSE_PAGE_BYTES) *
                          FUSE_PAGE_BYTES;
    return 0;
}

static int number_transfers(struct fuse_job *job, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        job->offsets[i] = (uint64_t)i * FUSE_TRANSFER_BYTES;
    return 0;
}

/* What is read comes from the daemon, not out of the kernel's cache. */
static int drop_cache(struct fuse_job *job, uint32_t count)
{
    int err = posix_fadvise(job->fd, 0, 0, POSIX_FADV_DONTNEED);

    return err != 0 ? -err : number_transfers(job, count);
}

static int setup_append(struct fuse_job *job)
{
    return open_data(job, 0);
}

static int empty_data(struct fuse_job *job, uint32_t count)
{
    int err = result_of(ftruncate(job->fd, 0));

    return err != 0 ? err : number_transfers(job, count);
}

static int read_page(struct fuse_job *job, uint32_t index)
{
    return transfer_result(pread(job->fd, job->buffer, FUSE_PAGE_BYTES, (off_t)job->offsets[index]),
                           FUSE_PAGE_BYTES);
}

static int write_page(struct fuse_job *job, uint32_t index)
{
    return transfer_result(
        pwrite(job->fd, job->buffer, FUSE_PAGE_BYTES, (off_t)job->offsets[index]), FUSE_PAGE_BYTES);
}

static int read_transfer(struct fuse_job *job, uint32_t index)
{
    return transfer_result(
        pread(job->fd, job->buffer, FUSE_TRANSFER_BYTES, (off_t)job->offsets[index]),
        FUSE_TRANSFER_BYTES);
}

static int write_transfer(struct fuse_job *job, uint32_t index)
{
    return transfer_result(
        pwrite(job->fd, job->buffer, FUSE_TRANSFER_BYTES, (off_t)job->offsets[index]),
        FUSE_TRANSFER_BYTES);
}

static const struct fuse_op create_op = {
    1, FUSE_BATCH, FUSE_LEAD, setup_directory, name_entries, create_call, unlink_from};
static const struct fuse_op unlink_op = {
    1, FUSE_BATCH, FUSE_LEAD, setup_directory, create_entries, unlink_call, NULL};
static const struct fuse_op rename_op = {
    1, FUSE_BATCH, FUSE_LEAD, setup_directory, create_entries, rename_call, unlink_to};
static const struct fuse_op open_close_op = {
    1, FUSE_BATCH, FUSE_LEAD, setup_standing, repeat_entries, open_close_call, NULL};
static const struct fuse_op read_page_op = {1,          FUSE_BATCH, FUSE_LEAD, setup_direct,
                                            draw_pages, read_page,  NULL};
static const struct fuse_op write_page_op = {1,          FUSE_BATCH, FUSE_LEAD, setup_direct,
                                             draw_pages, write_page, NULL};
static const struct fuse_op read_op = {1,          FUSE_BATCH,    0,   setup_cached,
                                       drop_cache, read_transfer, NULL};
static const struct fuse_op write_op = {
    1, FUSE_BATCH, 0, setup_cached, number_transfers, write_transfer, NULL};
static const struct fuse_op read_direct_op = {
    1, FUSE_BATCH, 0, setup_direct, number_transfers, read_transfer, NULL};
static const struct fuse_op write_direct_op = {
    1, FUSE_BATCH, 0, setup_direct, number_transfers, write_transfer, NULL};
static const struct fuse_op append_op = {1,          FUSE_BATCH,     0,   setup_append,
                                         empty_data, write_transfer, NULL};
static const struct fuse_op create_4t_op = {
    FUSE_THREADS_MAX, FUSE_CALLS_MAX, 0, setup_directory, name_entries, create_call, unlink_from};

const struct fuse_row fuse_rows[FUSE_ROWS_COUNT] = {
    [FUSE_CREATE] = {"fuse_create", "open(O_CREAT | O_EXCL) and close on the mount", &create_op},
    [FUSE_UNLINK] = {"fuse_unlink", "an empty file, its last name", &unlink_op},
    [FUSE_RENAME] = {"fuse_rename", "within a directory, to a free name", &rename_op},
    [FUSE_OPEN_CLOSE] = {"fuse_open_close", "one of eight files, to read", &open_close_op},
    [FUSE_RAND4K_READ] = {"fuse_rand4k_read", "O_DIRECT, random pages of a 64 MiB file",
                          &read_page_op},
    [FUSE_RAND4K_WRITE] = {"fuse_rand4k_write", "O_DIRECT, random pages of a 64 MiB file",
                           &write_page_op},
    [FUSE_SEQ1M_READ] = {"fuse_seq1m_read", "1 MiB of 64, in order, none of it cached", &read_op},
    [FUSE_SEQ1M_WRITE] = {"fuse_seq1m_write", "1 MiB of 64, in order, over what is there",
                          &write_op},
    [FUSE_CREATE_4T] = {"fuse_create_4t", "create by four threads in one directory", &create_4t_op},
    [FUSE_SEQ1M_READ_DIRECT] = {"fuse_seq1m_read_direct", "fuse_seq1m_read with O_DIRECT",
                                &read_direct_op},
    [FUSE_SEQ1M_WRITE_DIRECT] = {"fuse_seq1m_write_direct", "fuse_seq1m_write with O_DIRECT",
                                 &write_direct_op},
    [FUSE_SEQ1M_APPEND] = {"fuse_seq1m_append", "1 MiB to a file that grows to 64", &append_op},
};

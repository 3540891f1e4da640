/* ops_raw.c -- requests that libfuse 3.14 does not know: STATX, for the time of birth, and SYNCFS */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "convert.h"
#include "transport.h"
#include "wire.h"

static struct wire_time to_wire_time(struct timespec time)
{
    return (struct wire_time){.seconds = time.tv_sec, .ns = (uint32_t)time.tv_nsec};
}

static int statx_answer(struct vmfs *fs, uint64_t ino, struct wire_statx_out *out)
{
    struct vmfs_stat stat;
    int err = vmfs_stat_at(fs, place_self(ino), VMFS_NOFOLLOW, &stat);
    if (err)
        return err;
    const struct stat plain = convert_stat(&stat);
    const struct timespec birth = convert_timespec(stat.btime_ns);
    out->attr_valid = (uint64_t)TIMEOUT_S;
    out->stat = (struct wire_statx){.mask = STATX_BASIC_STATS | STATX_BTIME,
                                    .blksize = IO_BLOCK,
                                    .nlink = stat.nlink,
                                    .uid = stat.uid,
                                    .gid = stat.gid,
                                    .mode = (uint16_t)stat.mode,
                                    .ino = stat.ino,
                                    .size = stat.size,
                                    .blocks = stat.blocks,
                                    .atime = to_wire_time(plain.st_atim),
                                    .btime = to_wire_time(birth),
                                    .ctime = to_wire_time(plain.st_ctim),
                                    .mtime = to_wire_time(plain.st_mtim),
                                    .rdev_major = major(stat.rdev),
                                    .rdev_minor = minor(stat.rdev)};
    return 0;
}

int raw_answer(struct frontend *frontend, const struct raw_request *request, void *out,
               size_t *out_bytes)
{
    struct wire_statx_out answer;
    if (request->opcode == WIRE_SYNCFS)
        return vmfs_sync(frontend->fs);
    if (request->opcode != WIRE_STATX)
        return -ENOSYS;
    memset(&answer, 0, sizeof answer);
    int err = statx_answer(frontend->fs, request->ino, &answer);
    if (err)
        return err;
    memcpy(out, &answer, sizeof answer);
    *out_bytes = sizeof answer;
    return 0;
}

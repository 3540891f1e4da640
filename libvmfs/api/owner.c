/* owner.c -- the owner line, and waiting for its owner */
#include "api/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"

#define OWNER_OFFSET ((uint64_t)VM_OWNER_BLOCK * VM_BLOCK_BYTES)

/* How often it is looked again; and how long for one who serves others, until he has noticed that he was told to
 * end, and for one who has not said who he is yet, or any more. */
#define STEP_MS  5u
#define GRACE_MS 1000u

static void sleep_step(void)
{
    const struct timespec step = {.tv_nsec = (long)STEP_MS * 1000000};
    (void)nanosleep(&step, NULL);
}

/* How long the owner of a line is worth waiting for. */
static uint32_t patience_ms(const struct vm_owner_media *owner, uint32_t wait_ms)
{
    uint32_t state = vm_get32(owner->state);
    uint32_t grace_ms = wait_ms < GRACE_MS ? wait_ms : GRACE_MS;
    if (vm_get64(owner->pid) == 0 || state == VM_OWNER_SERVED)
        return grace_ms;
    return state == VM_OWNER_CLOSING ? wait_ms : 0;
}

/* The lock that is in the way. */
static short lock_of(int fd, uint64_t offset, uint64_t length)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)offset, .l_len = (off_t)length};
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 ? lock.l_type : F_RDLCK;
}

static void line_read(int fd, uint64_t offset, struct vm_owner_media *out)
{
    if (!vm_device_read(fd, offset + OWNER_OFFSET, out, sizeof *out))
        memset(out, 0, sizeof *out);
}

bool vm_owner_has(const struct vm_owner_wait *wait)
{
    int number = errno;
    bool is_locked = lock_of(wait->fd, wait->offset, wait->length) != F_UNLCK;
    errno = number;
    return is_locked;
}

/* Readers write no line, and stay as long as they like. */
bool vm_owner_wait(struct vm_owner_wait *wait)
{
    struct vm_owner_media owner;
    line_read(wait->fd, wait->offset, &owner);
    short lock = lock_of(wait->fd, wait->offset, wait->length);
    wait->pid = lock == F_RDLCK ? 0 : vm_get64(owner.pid);
    if (lock == F_UNLCK) /* he has gone since */
        return true;
    if (lock == F_RDLCK || wait->slept_ms >= patience_ms(&owner, wait->wait_ms))
        return false;
    sleep_step();
    wait->slept_ms += STEP_MS;
    return true;
}

int64_t vm_owner_busy(struct vm_err *err, uint64_t pid)
{
    const char *text =
        pid ? "the region is in use by process " : "the region is in use by readers, pid unknown ";
    return vm_errno(vm_raise_text(err, VMFS_R_BUSY, text, pid));
}

/* When a process started, in clock ticks since boot: with its pid it names one process. */
static uint64_t start_ticks(uint64_t pid)
{
    char path[64];
    char line[1024];
    snprintf(path, sizeof path, "/proc/%llu/stat", (unsigned long long)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    size_t got = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[got] = '\0';
    const char *at = strrchr(line, ')'); /* the command's name may hold anything */
    unsigned long long ticks = 0;
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at && sscanf(at, "%llu", &ticks) == 1 ? ticks : 0;
}

static uint64_t boot_hash(void)
{
    char id[64];
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    size_t got = file ? fread(id, 1, sizeof id, file) : 0;
    if (file)
        fclose(file);
    return vm_hash64(0, id, got);
}

static void line_load(const struct vmfs *fs, struct vm_owner_media *out)
{
    memcpy(out, fs->map + OWNER_OFFSET, sizeof *out);
}

static bool is_alive(const struct vm_owner_media *owner, uint64_t boot)
{
    uint64_t pid = vm_get64(owner->pid);
    uint64_t ticks = vm_get64(owner->start_ticks);
    return pid && vm_get64(owner->boot) == boot && ticks && ticks == start_ticks(pid);
}

/* 0 once nobody alive has the memory. */
static int64_t wait_for_memory(const struct vmfs *fs, struct vm_err *err, uint64_t boot)
{
    struct vm_owner_media owner;
    line_load(fs, &owner);
    for (uint32_t slept_ms = 0; is_alive(&owner, boot); slept_ms += STEP_MS) {
        if (slept_ms >= patience_ms(&owner, fs->wait_ms))
            return vm_owner_busy(err, vm_get64(owner.pid));
        sleep_step();
        line_load(fs, &owner);
    }
    return 0;
}

int64_t vm_owner_claim(struct vmfs *fs, struct vm_ctx *ctx)
{
    uint64_t boot = boot_hash();
    int64_t result = fs->fd < 0 ? wait_for_memory(fs, &ctx->err, boot) : 0;
    if (result)
        return result;
    uint64_t self = (uint64_t)getpid();
    const struct vm_owner_media owner = {
        .pid = vm_put64(self),
        .start_ticks = vm_put64(start_ticks(self)),
        .boot = vm_put64(boot),
        .state = vm_put32(fs->is_served ? VM_OWNER_SERVED : VM_OWNER_HELD),
    };
    vm_io_store(&ctx->io, OWNER_OFFSET, &owner, sizeof owner);
    return 0;
}

void vm_owner_close(struct vmfs *fs, struct vm_ctx *ctx)
{
    const struct {
        struct vm_le32 state;
        struct vm_le32 zero_;
    } closing = {vm_put32(VM_OWNER_CLOSING), {0}};
    (void)fs;
    vm_io_store(&ctx->io, OWNER_OFFSET + offsetof(struct vm_owner_media, state), &closing,
                sizeof closing);
}

void vm_owner_release(struct vmfs *fs, struct vm_ctx *ctx)
{
    (void)fs;
    const struct vm_owner_media nobody = {.state = {0}};
    vm_io_store(&ctx->io, OWNER_OFFSET, &nobody, sizeof nobody);
}

/* What the line says of somebody who was killed means nothing: with a file the lock tells. */
void vm_owner_look(const struct vmfs *fs, struct vm_owner *out)
{
    struct vm_owner_media owner;
    line_load(fs, &owner);
    bool is_own = !fs->is_read_only && !fs->is_staged;
    bool is_there =
        is_own || (fs->fd >= 0 && lock_of(fs->fd, fs->file_offset, fs->map_bytes) == F_WRLCK);
    out->pid = is_there ? vm_get64(owner.pid) : 0;
    out->state = vm_get32(owner.state);
}

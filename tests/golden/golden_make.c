/* golden_make.c -- makes the region of which tests/golden keeps an image, one for each format version
 *
 * golden_make FILE
 *
 * FILE becomes a region with every structure of the format, left by a process that was killed: its last
 * records are in the journal and their homes are not stored, as after a power cut. regenerate.py runs
 * this, checks the result and packs it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmfs.h"

#define REGION_BYTES ((uint64_t)144 << 20) /* two groups */
#define BLOCK        4096u
#define WATERMARKS   BLOCK /* offset and length of what a checkpoint would change */
#define LANES_START  (6u * BLOCK)
#define LANES_END    (LANES_START + 16u * (64u << 10))

static void must(int64_t result, const char *what)
{
    if (result >= 0)
        return;
    fprintf(stderr, "golden_make: %s: %s\n", what, strerror((int)-result));
    exit(1);
}

/* ---- phase 1: a full tree, closed properly ---- */

/* Lines of text that tell where they are. */
static void fill(char *bytes, size_t len_bytes, const char *path, uint64_t offset)
{
    char line[65];
    for (size_t at = 0; at < len_bytes; at++) {
        if (at % 64 == 0)
            snprintf(line, sizeof line, "%-40.40s %22" PRIu64 "\n", path, offset + at);
        bytes[at] = line[at % 64];
    }
}

static void put(struct vmfs *fs, const char *path, uint64_t offset, size_t len_bytes)
{
    struct vmfs_file *file;
    char *bytes = malloc(len_bytes + 1);
    if (!bytes)
        exit(1);
    fill(bytes, len_bytes, path, offset);
    must(vmfs_file_open(fs, path, VMFS_O_CREAT | VMFS_O_WRONLY, 0644, &file), path);
    must(vmfs_file_pwrite(file, bytes, len_bytes, offset), path);
    must(vmfs_file_close(file), path);
    free(bytes);
}

static void put_pieces(struct vmfs *fs, const char *path, unsigned pieces)
{
    for (unsigned piece = 0; piece < pieces; piece++)
        put(fs, path, (uint64_t)piece * 3 * BLOCK, 100 + piece);
}

static void reserve(struct vmfs *fs, const char *path, int mode, uint64_t offset,
                    uint64_t len_bytes)
{
    struct vmfs_file *file;
    must(vmfs_file_open(fs, path, VMFS_O_CREAT | VMFS_O_WRONLY, 0640, &file), path);
    must(vmfs_file_allocate(file, mode, offset, len_bytes), path);
    must(vmfs_file_close(file), path);
}

static void make_files(struct vmfs *fs)
{
    must(vmfs_mkdir(fs, "/files", 0755), "/files");
    put(fs, "/files/empty", 0, 0);
    put(fs, "/files/small", 0, 100);
    put(fs, "/files/blocks", 0, 5 * BLOCK + 17);
    put(fs, "/files/megabytes", 0, (size_t)3 << 20);
    put_pieces(fs, "/files/extents-in-the-inode", 4);
    put_pieces(fs, "/files/extents-in-a-leaf", 40);
    put_pieces(fs, "/files/extents-in-a-tree", 400);
    put(fs, "/files/far", (uint64_t)1 << 40, 4000);
    reserve(fs, "/files/reserved", 0, 0, 1 << 20);
    reserve(fs, "/files/reserved-behind-the-end", VMFS_ALLOC_KEEP_SIZE, 0, 64 << 10);
    reserve(fs, "/files/partly-written", 0, 0, 128 << 10);
    put(fs, "/files/partly-written", 50000, 9000);
    put(fs, "/files/punched", 0, 100000);
    reserve(fs, "/files/punched", VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE, 10000, 50000);
    put(fs, "/files/inserted", 0, 5 * BLOCK);
    reserve(fs, "/files/inserted", VMFS_ALLOC_INSERT, BLOCK, 3 * BLOCK);
    reserve(fs, "/files/second-group", VMFS_ALLOC_KEEP_SIZE, 0, (uint64_t)120 << 20);
}

/* Written all at once over older blocks, and named when it was complete. */
static void make_atomic(struct vmfs *fs)
{
    char bytes[20000];
    struct vmfs_file *file;
    fill(bytes, sizeof bytes, "atomic", 0);
    must(vmfs_file_open(fs, "/files", VMFS_O_TMPFILE | VMFS_O_RDWR | VMFS_O_ATOMIC, 0600, &file),
         "tmpfile");
    must(vmfs_file_pwrite(file, bytes, sizeof bytes, 0), "first");
    must(vmfs_file_pwrite(file, bytes, 9000, 5000), "second");
    must(vmfs_file_link(file, vmfs_at(0, "/files/atomic")), "link");
    must(vmfs_file_close(file), "close");
}

/* `number` in `name_bytes` bytes. */
static void name_make(char *path, size_t size, const char *dir, unsigned number,
                      unsigned name_bytes)
{
    int used = snprintf(path, size, "%s/%u", dir, number);
    int wanted = (int)strlen(dir) + 1 + (int)name_bytes;
    for (; used < wanted; used++)
        path[used] = (char)('a' + used % 26);
    path[used] = '\0';
}

static void make_names(struct vmfs *fs)
{
    char path[400];
    must(vmfs_mkdir(fs, "/many", 0755), "/many");
    for (unsigned number = 0; number < 500; number++) {
        name_make(path, sizeof path, "/many", number, number % 10 ? 4 : 1 + number / 2);
        must(vmfs_mknod(fs, path, 0600, 0), path);
        if (number % 4 == 3)
            must(vmfs_unlink(fs, path), path);
    }
    must(vmfs_mkdir(fs, "/long", 01777), "/long");
    for (unsigned number = 0; number < 9; number++) {
        name_make(path, sizeof path, "/long", number, 255);
        must(vmfs_mkdir(fs, path, 0700), path);
    }
    size_t used = (size_t)snprintf(path, sizeof path, "/deep");
    for (unsigned depth = 0; depth < 30; depth++) {
        must(vmfs_mkdir(fs, path, 0755), path);
        used += (size_t)snprintf(path + used, sizeof path - used, "/in");
    }
}

static void make_links(struct vmfs *fs)
{
    char target[3001];
    memset(target, 't', sizeof target);
    must(vmfs_mkdir(fs, "/links", 0755), "/links");
    must(vmfs_symlink(fs, "../files/small", "/links/short"), "short");
    target[128] = '\0';
    must(vmfs_symlink(fs, target, "/links/longest-in-the-inode"), "inline");
    target[128] = 't';
    target[3000] = '\0';
    must(vmfs_symlink(fs, target, "/links/in-a-block"), "block");
    must(vmfs_symlink(fs, "nowhere", "/links/dangling"), "dangling");
    must(vmfs_link(fs, "/files/small", "/links/hard-1"), "hard");
    must(vmfs_link(fs, "/files/small", "/links/hard-2"), "hard");
    must(vmfs_link(fs, "/links/short", "/links/hard-to-symlink"), "hard");
    must(vmfs_mkdir(fs, "/nodes", 0755), "/nodes");
    must(vmfs_mknod(fs, "/nodes/char", VMFS_S_IFCHR | 0620, 0x501), "char");
    must(vmfs_mknod(fs, "/nodes/block", VMFS_S_IFBLK | 0660, 0x123456789abcu), "block");
    must(vmfs_mknod(fs, "/nodes/fifo", VMFS_S_IFIFO | 0644, 0), "fifo");
    must(vmfs_mknod(fs, "/nodes/socket", VMFS_S_IFSOCK | 0755, 0), "socket");
}

static void set_xattr(struct vmfs *fs, const char *path, const char *name, size_t size)
{
    char *value = malloc(size + 1);
    if (!value)
        exit(1);
    fill(value, size, name, 0);
    must(vmfs_xattr_set(fs, path, VMFS_NOFOLLOW, name, value, size), name);
    free(value);
}

static void make_attributes(struct vmfs *fs)
{
    char name[32];
    put(fs, "/attributes", 0, 10);
    set_xattr(fs, "/attributes", "user.empty", 0);
    set_xattr(fs, "/attributes", "user.in-a-cell", 20);
    set_xattr(fs, "/attributes", "user.in-the-leaf", 600);
    set_xattr(fs, "/attributes", "user.in-blocks", 5000);
    set_xattr(fs, "/attributes", "user.largest", VMFS_XATTR_MAX);
    set_xattr(fs, "/attributes", "trusted.one", 30);
    set_xattr(fs, "/attributes", "security.one", 30);
    set_xattr(fs, "/attributes", "system.posix_acl_access", 44);
    set_xattr(fs, "/many", "system.posix_acl_default", 44);
    set_xattr(fs, "/links/short", "trusted.of-a-symlink", 30);
    for (unsigned number = 0; number < 100; number++) {
        snprintf(name, sizeof name, "user.number-%u", number);
        set_xattr(fs, "/many", name, number);
    }
    must(vmfs_chmod(fs, "/files/blocks", 06751), "chmod");
    must(vmfs_chown(fs, "/files/blocks", 4000000000u, 65534), "chown");
    must(vmfs_utimens(fs, "/files/blocks", -1234567890123456789, 2345678901234567890), "utimens");
}

static void make_flags(struct vmfs *fs)
{
    static const struct {
        const char *path;
        uint32_t flags;
    } files[] = {
        {"/flags/immutable", VMFS_INODE_IMMUTABLE},
        {"/flags/append", VMFS_INODE_APPEND},
        {"/flags/noatime-nodump", VMFS_INODE_NOATIME | VMFS_INODE_NODUMP},
    };
    must(vmfs_mkdir(fs, "/flags", 0755), "/flags");
    for (size_t index = 0; index < sizeof files / sizeof *files; index++) {
        const struct vmfs_attr attr = {.mask = VMFS_ATTR_FLAGS, .flags = files[index].flags};
        put(fs, files[index].path, 0, 50);
        must(vmfs_setattr(fs, files[index].path, 0, &attr), files[index].path);
    }
}

static void first_life(const char *path)
{
    struct vmfs *fs;
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = VMFS_CREATE | VMFS_FORCE;
    options.region_bytes = REGION_BYTES;
    options.owner_uid = 1000;
    options.owner_gid = 100;
    must(vmfs_open(path, &options, &fs), path);
    make_files(fs);
    make_atomic(fs);
    make_names(fs);
    make_links(fs);
    make_attributes(fs);
    make_flags(fs);
    put(fs, "/orphan", 0, 300000);
    put_pieces(fs, "/orphan-in-pieces", 200);
    put(fs, "/goes", 0, 10000);
    must(vmfs_mkdir(fs, "/moves", 0755), "/moves");
    must(vmfs_close(fs), "close");
}

/* ---- phase 2: a killed life, whose records the journal keeps ---- */

static void load(const char *path, char *image)
{
    int fd = open(path, O_RDONLY);
    size_t done = 0;
    while (fd >= 0 && done < REGION_BYTES) {
        ssize_t count = pread(fd, image + done, REGION_BYTES - done, (off_t)done);
        if (count <= 0)
            break;
        done += (size_t)count;
    }
    if (done < REGION_BYTES)
        must(-errno, "read back");
    close(fd);
}

static void save(const char *path, const char *image)
{
    static const char zeros[BLOCK];
    int fd = open(path, O_RDWR | O_TRUNC | O_CREAT, 0600);
    must(fd < 0 ? -errno : ftruncate(fd, (off_t)REGION_BYTES), path);
    for (size_t at = 0; at < REGION_BYTES; at += BLOCK)
        if (memcmp(image + at, zeros, BLOCK) != 0 &&
            pwrite(fd, image + at, BLOCK, (off_t)at) != BLOCK)
            must(-EIO, path);
    close(fd);
}

/* Only what is whole in its record: no new data and no new nodes, which records point to. */
static void second_life(struct vmfs *fs)
{
    struct vmfs_file *file;
    char path[64];
    must(vmfs_file_open(fs, "/orphan", VMFS_O_RDWR, 0, &file), "/orphan");
    must(vmfs_unlink(fs, "/orphan"), "/orphan");
    must(vmfs_file_open(fs, "/orphan-in-pieces", VMFS_O_RDWR, 0, &file), "/orphan-in-pieces");
    must(vmfs_unlink(fs, "/orphan-in-pieces"), "/orphan-in-pieces");
    for (unsigned number = 0; number < 20; number++) {
        snprintf(path, sizeof path, "/moves/last life %u", number);
        must(vmfs_mknod(fs, path, 0600 | number, 0), path);
    }
    must(vmfs_rename(fs, "/moves/last life 1", "/moves/renamed", 0), "rename");
    must(vmfs_rename(fs, "/moves/last life 2", "/moves/last life 3", VMFS_RENAME_EXCHANGE), "swap");
    must(vmfs_rename(fs, "/moves/last life 4", "/moves/last life 5", 0), "replace");
    must(vmfs_unlink(fs, "/goes"), "unlink");
    must(vmfs_truncate(fs, "/files/blocks", 5000), "cut");
    must(vmfs_truncate(fs, "/files/small", 9000), "grow");
    must(vmfs_rename(fs, "/deep/in/in", "/moves/deep", 0), "move");
    must(vmfs_chmod(fs, "/nodes", 0711), "chmod");
    must(vmfs_xattr_set(fs, "/moves", 0, "user.last", "value", 5), "xattr");
}

/* Where block `block` has its bit, by docs/spec.md. */
static bool is_free(const char *image, uint64_t block)
{
    uint64_t head;
    uint32_t groups;
    memcpy(&head, image + 288 + 16, 8);
    memcpy(&groups, image + 288 + 24, 4);
    uint64_t bitmap = (head + 1 + (groups + 31) / 32) * BLOCK;
    return !((unsigned char)image[bitmap + block / 8] >> block % 8 & 1);
}

/* The smallest sequence number above `above` of a record in the lanes, or 0. */
static uint64_t next_sequence(const char *image, uint64_t above)
{
    uint64_t least = 0;
    for (size_t at = LANES_START; at < LANES_END; at += 64) {
        uint64_t sequence;
        if (memcmp(image + at, image + WATERMARKS, 8) != 0) /* the era's nonce */
            continue;
        memcpy(&sequence, image + at + 8, 8);
        if (sequence > above && (least == 0 || sequence < least))
            least = sequence;
    }
    return least;
}

static uint64_t last_sequence(const char *image)
{
    uint64_t last = 0;
    uint64_t next;
    while ((next = next_sequence(image, last)) != 0)
        last = next;
    return last;
}

/* What a power cut behind the record `sequence` leaves if no home of this life has got out: all of
 * `before`, but for the records, and the new nodes that they point to, in blocks that were free. */
static void compose(const char *before, const char *after, uint64_t sequence, char *out)
{
    memcpy(out, before, REGION_BYTES);
    memcpy(out + LANES_START, after + LANES_START, LANES_END - LANES_START);
    for (uint64_t block = LANES_END / BLOCK; block < REGION_BYTES / BLOCK; block++)
        if (is_free(before, block))
            memcpy(out + block * BLOCK, after + block * BLOCK, BLOCK);
    for (size_t at = LANES_START; at < LANES_END; at += 64) {
        uint64_t number;
        memcpy(&number, out + at + 8, 8);
        if (memcmp(out + at, out + WATERMARKS, 8) == 0 && number > sequence)
            memset(out + at, 0, 64);
    }
    memset(out + (size_t)4 * BLOCK, 0, BLOCK); /* nobody has it open */
}

#define COLLAPSED "/files/extents-in-a-tree"

/* The three states of the killed life, in memory that the parent shares. */
struct images {
    char before[REGION_BYTES];
    char middle[REGION_BYTES];
    char after[REGION_BYTES];
};

static _Noreturn void live_and_die(const char *path, struct images *images)
{
    struct vmfs *fs;
    struct vmfs_file *file;
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.owner_uid = 1000;
    options.owner_gid = 100;
    must(vmfs_open(path, &options, &fs), path);
    load(path, images->before);
    second_life(fs);
    load(path, images->middle);
    must(vmfs_file_open(fs, COLLAPSED, VMFS_O_RDWR, 0, &file), COLLAPSED);
    must(vmfs_file_allocate(file, VMFS_ALLOC_COLLAPSE, (uint64_t)30 * BLOCK, (uint64_t)60 * BLOCK),
         "collapse");
    load(path, images->after);
    if (memcmp(images->before + WATERMARKS, images->after + WATERMARKS, (size_t)2 * BLOCK) != 0)
        must(-EAGAIN, "a checkpoint came between");
    _exit(0);
}

static uint64_t size_of(const char *path, const char *name)
{
    struct vmfs *fs;
    struct vmfs_stat stat;
    struct vmfs_options options = VMFS_OPTIONS_INIT;
    options.flags = VMFS_RDONLY;
    must(vmfs_open(path, &options, &fs), path);
    must(vmfs_stat(fs, name, 0, &stat), name);
    must(vmfs_close(fs), path);
    return stat.size;
}

/* Cuts the life off behind the first record that shows the collapsed file: what it has left behind is a
 * nameless inode of the form RETIRED, of which nothing is freed yet. */
static void cut_off(const char *path, const struct images *images)
{
    char *image = malloc(REGION_BYTES);
    uint64_t sequence = last_sequence(images->middle);
    if (!image)
        exit(1);
    compose(images->before, images->after, sequence, image);
    save(path, image);
    uint64_t size = size_of(path, COLLAPSED);
    do {
        sequence = next_sequence(images->after, sequence);
        must(sequence ? 0 : -ENOENT, "no record collapses the file");
        compose(images->before, images->after, sequence, image);
        save(path, image);
    } while (size_of(path, COLLAPSED) == size);
    free(image);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: golden_make FILE\n");
        return 2;
    }
    struct images *images = mmap(NULL, sizeof *images, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    must(images == MAP_FAILED ? -errno : 0, "mmap");
    first_life(argv[1]);
    pid_t child = fork();
    if (child == 0)
        live_and_die(argv[1], images);
    int status;
    waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        return 1;
    cut_off(argv[1], images);
    return 0;
}

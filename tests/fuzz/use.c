/* use.c -- what is done to each kind of object */
#include "use.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NAMES_MAX  400u
#define DEPTH_MAX  12u
#define BUFFER     20000u
#define CHANGES    5u
#define FAR_OFFSET ((uint64_t)1 << 40)

static uint8_t buffer[VMFS_XATTR_MAX];

/* Ids that this walk has met: looking at every name of one file would tell nothing new. */
#define SEEN_SLOTS 1024u
static uint64_t seen[SEEN_SLOTS];

static bool was_seen(uint64_t id)
{
    uint64_t *slot = &seen[seed_mix(id, 0) % SEEN_SLOTS];
    bool is_known = *slot == id;
    *slot = id;
    return is_known;
}

static bool note(struct use *use, int64_t code)
{
    use->calls++;
    use->errors += code < 0;
    return code >= 0;
}

static struct vmfs_at at_id(uint64_t id)
{
    return vmfs_at(id, "");
}

/* ---- looking ---- */

static void look_at_permissions(struct use *use, uint64_t id)
{
    const uint32_t groups[] = {7, 1000};
    const struct vmfs_cred cred = {1000, 8, groups, 2};
    for (int mask = 0; mask <= (VMFS_R_OK | VMFS_W_OK | VMFS_X_OK); mask++)
        note(use, vmfs_access_at(use->fs, at_id(id), VMFS_NOFOLLOW, &cred, mask));
}

static void look_at_xattrs(struct use *use, uint64_t id)
{
    char names[2000];
    int64_t len_bytes = vmfs_xattr_list_at(use->fs, at_id(id), VMFS_NOFOLLOW, names, sizeof names);
    if (!note(use, len_bytes))
        return;
    for (int64_t at = 0; at < len_bytes; at += (int64_t)strlen(names + at) + 1)
        note(use, vmfs_xattr_get_at(use->fs, at_id(id), VMFS_NOFOLLOW, names + at, buffer,
                                    sizeof buffer));
}

/* Every byte that a view shows can be read. */
static void look_through(struct use *use, struct vmfs_file *file, uint64_t offset)
{
    struct vmfs_iovec pieces[16];
    struct vmfs_view view;
    unsigned count = 16;
    uint64_t sum = 0;
    if (!note(use, vmfs_file_view(file, BUFFER, offset, pieces, &count, &view)))
        return;
    for (unsigned index = 0; index < count; index++)
        for (size_t at = 0; at < pieces[index].length; at++)
            sum += ((const volatile uint8_t *)pieces[index].base)[at];
    (void)sum;
    vmfs_view_end(&view);
}

static void look_at_file(struct use *use, uint64_t id, uint64_t size)
{
    struct vmfs_file *file;
    if (!note(use, vmfs_file_open_at(use->fs, at_id(id), VMFS_O_RDONLY, 0, &file)))
        return;
    const uint64_t offsets[] = {0, size / 2, size > 4096 ? size - 4096 : 0, FAR_OFFSET};
    for (unsigned index = 0; index < sizeof offsets / sizeof offsets[0]; index++) {
        note(use, vmfs_file_pread(file, buffer, index ? 5000 : BUFFER, offsets[index]));
        look_through(use, file, offsets[index]);
        note(use, vmfs_file_seek(file, (int64_t)offsets[index], VMFS_SEEK_DATA));
        note(use, vmfs_file_seek(file, (int64_t)offsets[index], VMFS_SEEK_HOLE));
    }
    note(use, vmfs_file_close(file));
}

static void walk(struct use *use, uint64_t id, unsigned depth, unsigned *left);

static void look_at(struct use *use, uint64_t id, unsigned depth, unsigned *left)
{
    struct vmfs_stat stat;
    if (!note(use, vmfs_stat_at(use->fs, at_id(id), VMFS_NOFOLLOW, &stat)))
        return;
    look_at_xattrs(use, id);
    look_at_permissions(use, id);
    switch (stat.mode & VMFS_S_IFMT) {
    case VMFS_S_IFLNK:
        note(use, vmfs_readlink_at(use->fs, at_id(id), (char *)buffer, BUFFER));
        break;
    case VMFS_S_IFREG:
        look_at_file(use, id, stat.size);
        break;
    case VMFS_S_IFDIR:
        walk(use, id, depth + 1, left);
        break;
    default:
        break;
    }
}

static void walk(struct use *use, uint64_t id, unsigned depth, unsigned *left)
{
    struct vmfs_dirent entry;
    struct vmfs_dir *dir;
    if (depth > DEPTH_MAX || !note(use, vmfs_dir_open_at(use->fs, at_id(id), &dir)))
        return;
    int more = 1;
    uint64_t cookie = 0;
    while (*left > 0 && more > 0) {
        struct vmfs_dirent again;
        struct vmfs_stat held;
        int found = vmfs_dir_read_at(use->fs, id, cookie, &again, &held);
        note(use, found);
        if (found > 0 && again.cookie > 2)
            note(use, vmfs_release(use->fs, again.ino, 1));
        more = vmfs_dir_read(dir, &entry);
        note(use, more);
        cookie = more > 0 ? entry.cookie : cookie;
        if (more <= 0 || strcmp(entry.name, ".") == 0 || strcmp(entry.name, "..") == 0)
            continue;
        --*left;
        struct vmfs_stat stat;
        if (*left % 8 == 0)
            note(use, vmfs_stat_at(use->fs, vmfs_at(id, entry.name), VMFS_NOFOLLOW, &stat));
        if (!was_seen(entry.ino))
            look_at(use, entry.ino, depth, left);
    }
    note(use, vmfs_dir_close(dir));
}

void use_walk(struct use *use)
{
    unsigned left = NAMES_MAX;
    memset(seen, 0, sizeof seen);
    for (unsigned index = 0; index < USE_TARGETS_MAX; index++)
        if (use->targets[index])
            look_at(use, use->targets[index], DEPTH_MAX, &left);
    look_at(use, 1, 0, &left);
}

/* ---- changing ---- */

/* One number drawn for each, and never two in one expression: their order would be the compiler's. */
static uint64_t any_offset(struct use *use, uint64_t size)
{
    uint64_t inside = seed_below(&use->seed, size | 1);
    const uint64_t offsets[] = {0, size / 2, size, inside, size + 10000, inside % (1u << 21)};
    return offsets[seed_below(&use->seed, sizeof offsets / sizeof offsets[0])];
}

static void allocate(struct use *use, struct vmfs_file *file, uint64_t size)
{
    static const int modes[] = {0,
                                VMFS_ALLOC_KEEP_SIZE,
                                VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE,
                                VMFS_ALLOC_COLLAPSE,
                                VMFS_ALLOC_ZERO,
                                VMFS_ALLOC_INSERT};
    int mode = modes[seed_below(&use->seed, sizeof modes / sizeof modes[0])];
    uint64_t offset = any_offset(use, size);
    uint64_t length = 1 + seed_below(&use->seed, 30000);
    if (mode == VMFS_ALLOC_COLLAPSE || mode == VMFS_ALLOC_INSERT) {
        offset = offset / 4096 * 4096;
        length = (length / 4096 + 1) * 4096;
    }
    note(use, vmfs_file_allocate(file, mode, offset, length));
}

static void copy_somewhere(struct use *use, struct vmfs_file *file, uint64_t size)
{
    struct vmfs_file *other;
    if (!note(use, vmfs_file_open(use->fs, "/copy", VMFS_O_CREAT | VMFS_O_RDWR, 0600, &other)))
        return;
    if (seed_chance(&use->seed, 50))
        note(use, vmfs_file_copy_range(file, any_offset(use, size) / 2, other, 100, 40000));
    else
        note(use, vmfs_file_copy_range(other, 0, file, any_offset(use, size), 20000));
    note(use, vmfs_file_close(other));
}

static void change_file(struct use *use, uint64_t id, uint64_t size)
{
    struct vmfs_file *file;
    int flags = VMFS_O_RDWR | (seed_chance(&use->seed, 20) ? VMFS_O_ATOMIC : 0);
    if (!note(use, vmfs_file_open_at(use->fs, at_id(id), flags, 0, &file)))
        return;
    for (unsigned turn = 0; turn < CHANGES; turn++) {
        size_t length = 1 + seed_below(&use->seed, 9000);
        uint64_t offset = any_offset(use, size);
        switch (seed_below(&use->seed, 6)) {
        case 0:
        case 1:
            note(use, vmfs_file_pwrite(file, buffer, length, offset));
            break;
        case 2:
            note(use, vmfs_file_truncate(file, offset));
            break;
        case 3:
            allocate(use, file, size);
            break;
        case 4:
            copy_somewhere(use, file, size);
            break;
        default:
            note(use, vmfs_file_pread(file, buffer, BUFFER, offset));
            break;
        }
    }
    note(use, vmfs_file_close(file));
}

/* The first name that is no dot: true and its name. */
static bool first_name(struct use *use, uint64_t id, char name[VMFS_NAME_MAX + 1])
{
    struct vmfs_dirent entry;
    struct vmfs_dir *dir;
    if (!note(use, vmfs_dir_open_at(use->fs, at_id(id), &dir)))
        return false;
    uint64_t skipped = seed_below(&use->seed, 12);
    bool is_found = false;
    while (vmfs_dir_read(dir, &entry) > 0) {
        if (strcmp(entry.name, ".") == 0 || strcmp(entry.name, "..") == 0)
            continue;
        memcpy(name, entry.name, entry.name_bytes + (size_t)1);
        is_found = true;
        if (skipped-- == 0)
            break;
    }
    note(use, vmfs_dir_close(dir));
    return is_found;
}

static void change_name(struct use *use, uint64_t id, const char *name, const char *fresh)
{
    struct vmfs_at old = vmfs_at(id, name);
    struct vmfs_at new = vmfs_at(id, fresh);
    switch (seed_below(&use->seed, 6)) {
    case 0:
        note(use, vmfs_unlink_at(use->fs, old));
        break;
    case 1:
        note(use, vmfs_rmdir_at(use->fs, old));
        break;
    case 2:
        note(use, vmfs_rename_at(use->fs, old, new, 0));
        break;
    case 3:
        note(use, vmfs_rename_at(use->fs, old, vmfs_at(0, "/moved"), 0));
        break;
    case 4:
        note(use, vmfs_rename_at(use->fs, old, vmfs_at(0, "/f"), VMFS_RENAME_EXCHANGE));
        break;
    default:
        note(use, vmfs_link_at(use->fs, old, new, 0));
        break;
    }
}

static void change_directory(struct use *use, uint64_t id)
{
    char fresh[VMFS_NAME_MAX + 100];
    char name[VMFS_NAME_MAX + 1];
    for (unsigned turn = 0; turn < CHANGES; turn++) {
        int digits = 1 + (int)(seed_below(&use->seed, 200) & 0xff);
        snprintf(fresh, sizeof fresh, "new-%u-%0*u", use->round % 1000, digits, turn);
        struct vmfs_at new = vmfs_at(id, fresh);
        switch (seed_below(&use->seed, 5)) {
        case 0:
            note(use, vmfs_mknod_at(use->fs, new, VMFS_S_IFREG | 0600, 0));
            break;
        case 1:
            note(use, vmfs_mkdir_at(use->fs, new, 0700));
            break;
        case 2:
            note(use, vmfs_symlink_at(use->fs, fresh, new));
            break;
        default:
            if (first_name(use, id, name))
                change_name(use, id, name, fresh);
            break;
        }
    }
}

static void change_attributes(struct use *use, uint64_t id)
{
    char name[32];
    snprintf(name, sizeof name, "trusted.%u", (unsigned)seed_below(&use->seed, 5));
    size_t size = seed_chance(&use->seed, 70) ? seed_below(&use->seed, 900) : 10000;
    note(use, vmfs_xattr_set_at(use->fs, at_id(id), VMFS_NOFOLLOW, name, buffer, size));
    if (seed_chance(&use->seed, 50))
        note(use, vmfs_xattr_remove_at(use->fs, at_id(id), VMFS_NOFOLLOW, "user.large"));
    const struct vmfs_attr attr = {.mask = (uint32_t)seed_below(&use->seed, 64) &
                                           ~(uint32_t)VMFS_ATTR_SIZE,
                                   .mode = 0640,
                                   .uid = 3,
                                   .gid = 4,
                                   .atime_ns = 5,
                                   .mtime_ns = VMFS_TIME_NOW};
    note(use, vmfs_setattr_at(use->fs, at_id(id), VMFS_NOFOLLOW, &attr));
}

static void change(struct use *use, uint64_t id)
{
    struct vmfs_stat stat;
    if (!note(use, vmfs_stat_at(use->fs, at_id(id), VMFS_NOFOLLOW, &stat)))
        return;
    if ((stat.mode & VMFS_S_IFMT) == VMFS_S_IFREG)
        change_file(use, id, stat.size);
    if ((stat.mode & VMFS_S_IFMT) == VMFS_S_IFDIR)
        change_directory(use, id);
    change_attributes(use, id);
}

void use_change(struct use *use)
{
    for (unsigned index = 0; index < USE_TARGETS_MAX; index++)
        if (use->targets[index])
            change(use, use->targets[index]);
    change(use, 1);
    use->round++;
}

int use_prove(struct use *use)
{
    static const char path[] = "/proof of use";
    struct vmfs_file *file;
    int result = vmfs_file_open(use->fs, path, VMFS_O_CREAT | VMFS_O_RDWR, 0600, &file);
    if (result)
        return result;
    int64_t done = vmfs_file_pwrite(file, path, sizeof path, 4090);
    if (done >= 0)
        done = vmfs_file_pread(file, buffer, 100, 4090);
    if (done == sizeof path && memcmp(buffer, path, sizeof path) != 0)
        done = -EIO;
    result = vmfs_file_close(file);
    int unlinked = vmfs_unlink(use->fs, path);
    if (done < 0)
        return (int)done;
    return result ? result : unlinked;
}

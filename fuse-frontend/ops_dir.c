/* ops_dir.c -- listing directories: a cookie says all, so nothing is open */
#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "ops.h"

/* The kernel remembers this answer and does not ask again. */
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    (void)fi;
    fuse_reply_err(req, ENOSYS);
}

struct listing {
    fuse_req_t req; /* until it is answered */
    struct vmfs *fs;
    char *buffer;
    size_t size;
    size_t used;
};

/* Adds an entry that fits and returns true. */
static bool list_plain(struct listing *listing, const struct vmfs_dirent *entry)
{
    const struct stat stat = {.st_ino = entry->ino, .st_mode = entry->type};
    size_t left = listing->size - listing->used;
    size_t need = fuse_add_direntry(listing->req, listing->buffer + listing->used, left,
                                    entry->name, &stat, (off_t)entry->cookie);
    listing->used += need <= left ? need : 0;
    return need <= left;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* "." and ".." are not held, and so have no node id. */
static bool list_plus(struct listing *listing, const struct vmfs_dirent *entry,
                      const struct vmfs_stat *stat)
{
    struct fuse_entry_param param = convert_entry(stat);
    if (is_dots(entry->name))
        param.ino = 0;
    size_t left = listing->size - listing->used;
    size_t need = fuse_add_direntry_plus(listing->req, listing->buffer + listing->used, left,
                                         entry->name, &param, (off_t)entry->cookie);
    listing->used += need <= left ? need : 0;
    return need <= left;
}

static void give_back(struct vmfs *fs, const struct vmfs_dirent *entry)
{
    if (!is_dots(entry->name))
        vmfs_release(fs, entry->ino, 1);
}

/* Gives back what a reply that nobody heard had held. */
static void listing_undo(const struct listing *listing)
{
    size_t at = 0;
    while (at < listing->used) {
        struct fuse_direntplus *entry = (void *)(listing->buffer + at);
        if (entry->entry_out.nodeid)
            vmfs_release(listing->fs, entry->entry_out.nodeid, 1);
        at += FUSE_DIRENTPLUS_SIZE(entry);
    }
}

/* Fills the buffer: 0, or the error of the first entry, as others come before it. */
static int listing_fill(struct listing *listing, uint64_t dir, uint64_t cookie, bool is_plus)
{
    struct vmfs *fs = listing->fs;
    struct vmfs_dirent entry;
    struct vmfs_stat stat;
    for (;;) {
        int got = vmfs_dir_read_at(fs, dir, cookie, &entry, is_plus ? &stat : NULL);
        if (got <= 0)
            return listing->used ? 0 : got;
        bool fits = is_plus ? list_plus(listing, &entry, &stat) : list_plain(listing, &entry);
        if (!fits) {
            if (is_plus)
                give_back(fs, &entry);
            return 0;
        }
        cookie = entry.cookie;
    }
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool is_plus)
{
    struct listing listing = {.req = req, .fs = fs_of(req), .buffer = malloc(size), .size = size};
    int err = listing.buffer ? listing_fill(&listing, ino, (uint64_t)offset, is_plus) : -ENOMEM;
    if (err)
        reply_result(req, err);
    else if (fuse_reply_buf(req, listing.buffer, listing.used) < 0 && is_plus)
        listing_undo(&listing);
    free(listing.buffer);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                struct fuse_file_info *fi)
{
    (void)fi;
    list(req, ino, size, offset, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *fi)
{
    (void)fi;
    list(req, ino, size, offset, true);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    (void)ino;
    (void)datasync;
    (void)fi;
    reply_result(req, frontend_of(req)->is_power ? -ENOSYS : vmfs_sync(fs_of(req)));
}

/* host_compare.c -- the whole tree of the model beside the one on tmpfs */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "host_internal.h"

struct walk {
    char *text;
    size_t text_bytes;
    bool is_different;
};

static void report(struct walk *walk, const char *path, const char *what, int64_t number)
{
    if (!walk->is_different)
        snprintf(walk->text, walk->text_bytes, "host: %.200s: %s (%lld)", path, what,
                 (long long)number);
    walk->is_different = true;
}

int64_t host_list(int dir, struct op_result *out)
{
    memset(out, 0, offsetof(struct op_result, data) + sizeof(uint64_t));
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOATIME);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (stream == NULL)
        return -1;
    const struct dirent *entry;
    while ((entry = readdir(stream)) != NULL)
        op_digest_entry(out, entry->d_name, (uint32_t)entry->d_type << 12);
    closedir(stream);
    return out->code;
}

static void compare_content(struct walk *walk, const char *path, const struct model_node *node)
{
    static uint8_t buffer[65536];
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME);
    if (fd < 0) {
        report(walk, path, "open failed", errno);
        return;
    }
    for (size_t at = 0; at < node->data_bytes;) {
        size_t wanted =
            node->data_bytes - at < sizeof(buffer) ? node->data_bytes - at : sizeof(buffer);
        ssize_t got = pread(fd, buffer, wanted, (off_t)at);
        if (got != (ssize_t)wanted || memcmp(buffer, node->data + at, wanted) != 0)
            report(walk, path, "content differs in the 64 KiB at", (int64_t)at);
        at += wanted;
    }
    int flags = 0;
    if (node->flags != 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 &&
        (((flags & FS_IMMUTABLE_FL) != 0) != ((node->flags & VMFS_INODE_IMMUTABLE) != 0) ||
         ((flags & FS_APPEND_FL) != 0) != ((node->flags & VMFS_INODE_APPEND) != 0)))
        report(walk, path, "inode flags differ", flags);
    close(fd);
}

static void compare_xattrs(struct walk *walk, const char *path, const struct model_node *node)
{
    static uint8_t value[VMFS_XATTR_MAX];
    int64_t names_bytes = 0;
    for (const struct model_xattr *xattr = node->xattrs; xattr != NULL; xattr = xattr->next) {
        names_bytes += (int64_t)strlen(xattr->name) + 1;
        ssize_t got = lgetxattr(path, xattr->name, value, sizeof(value));
        if (got != (ssize_t)xattr->value_bytes ||
            memcmp(value, xattr->value, xattr->value_bytes) != 0)
            report(walk, path, "an attribute differs", got);
    }
    int64_t listed = llistxattr(path, NULL, 0);
    if (listed != names_bytes)
        report(walk, path, "the attributes' names differ", listed);
}

static void compare_dir(struct walk *walk, const char *path, const struct model_node *node)
{
    static struct op_result listed;
    static struct op_result wanted;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOATIME);
    if (fd < 0 || host_list(fd, &listed) < 0) {
        report(walk, path, "listing failed", errno);
        return;
    }
    close(fd);
    memset(&wanted, 0, offsetof(struct op_result, data) + sizeof(uint64_t));
    op_digest_entry(&wanted, ".", VMFS_S_IFDIR);
    op_digest_entry(&wanted, "..", VMFS_S_IFDIR);
    for (const struct model_entry *entry = node->entries; entry != NULL; entry = entry->dir_next)
        op_digest_entry(&wanted, entry->name, model_type(entry->node));
    if (listed.code != wanted.code || memcmp(listed.data, wanted.data, sizeof(uint64_t)) != 0)
        report(walk, path, "the listing differs", listed.code);
}

static void compare_node(struct walk *walk, const char *path, struct model_node *node)
{
    struct stat stat;
    if (lstat(path, &stat) != 0 || !host_stats_agree(node, &stat)) {
        report(walk, path, "attributes differ", stat.st_mode);
        return;
    }
    if (node->seen_round == UINT64_MAX && node->seen_ino == stat.st_ino)
        return;
    if (node->seen_round == UINT64_MAX)
        report(walk, path, "is not the file that its other name names", (int64_t)stat.st_ino);
    if (node->nlink > 1 && !model_is_dir(node)) {
        node->seen_round = UINT64_MAX;
        node->seen_ino = stat.st_ino;
    }
    char target[VMFS_PATH_MAX + 1];
    if (model_type(node) == VMFS_S_IFREG)
        compare_content(walk, path, node);
    else if (model_type(node) == VMFS_S_IFLNK &&
             (readlink(path, target, sizeof(target)) != (ssize_t)node->data_bytes ||
              memcmp(target, node->data, node->data_bytes) != 0))
        report(walk, path, "the link's target differs", 0);
    else if (model_is_dir(node))
        compare_dir(walk, path, node);
    compare_xattrs(walk, path, node);
}

bool host_compare(struct model *model, char *text, size_t text_bytes)
{
    static char path[VMFS_PATH_MAX + 1];
    struct walk walk = {.text = text, .text_bytes = text_bytes};
    uint64_t round = model->root->seen_round;
    compare_node(&walk, "/", model->root);
    for (size_t i = 0; i < model->entry_count && !walk.is_different; i++) {
        if (model_entry_path(model->entries[i], path))
            compare_node(&walk, path, model->entries[i]->node);
    }
    for (size_t i = 0; i < model->entry_count; i++)
        model->entries[i]->node->seen_round = round;
    return !walk.is_different;
}

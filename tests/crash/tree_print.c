/* tree_print.c -- how two trees differ, for a person */
#include <inttypes.h>
#include <string.h>

#include "tree.h"

struct field {
    const char *name;
    uint64_t found;
    uint64_t expected;
};

/* The path under which an object was met first. */
static void print_path(const struct tree *tree, const struct tree_object *object, FILE *out)
{
    if (object == &tree->objects[0]) {
        fputs("/", out);
        return;
    }
    const struct tree_object *parent = tree_find(tree, object->parent);
    if (parent && parent != &tree->objects[0])
        print_path(tree, parent, out);
    fprintf(out, "/%s", tree->names + object->name);
}

static void print_bytes(const struct tree_object *found, const struct tree_object *expected,
                        FILE *out)
{
    uint64_t size = found->stat.size < expected->stat.size ? found->stat.size : expected->stat.size;
    uint64_t count = tree_content_bytes(size);
    uint64_t at = 0;
    while (at < count && found->bytes[at] == expected->bytes[at])
        at++;
    if (at < count)
        fprintf(out, " byte %" PRIu64 " is 0x%02x instead of 0x%02x", at, found->bytes[at],
                expected->bytes[at]);
}

static void print_object(const struct tree *tree, const struct tree_object *found,
                         const struct tree *wanted, const struct tree_object *expected, FILE *out)
{
    const struct vmfs_stat *a = &found->stat;
    const struct vmfs_stat *b = &expected->stat;
    const struct field fields[] = {
        {"mode", a->mode, b->mode},
        {"nlink", a->nlink, b->nlink},
        {"uid", a->uid, b->uid},
        {"gid", a->gid, b->gid},
        {"rdev", a->rdev, b->rdev},
        {"size", a->size, b->size},
        {"mtime", (uint64_t)a->mtime_ns, (uint64_t)b->mtime_ns},
        {"ctime", (uint64_t)a->ctime_ns, (uint64_t)b->ctime_ns},
        {"btime", (uint64_t)a->btime_ns, (uint64_t)b->btime_ns},
        {"atime", (uint64_t)a->atime_ns, (uint64_t)b->atime_ns},
        {"flags", a->flags, b->flags},
        {"content", found->content, expected->content},
        {"xattrs", found->xattrs, expected->xattrs},
    };
    fprintf(out, "    ");
    print_path(tree, found, out);
    fprintf(out, " (id %" PRIx64 "):", a->ino);
    for (unsigned index = 0; index < sizeof fields / sizeof fields[0]; index++)
        if (fields[index].found != fields[index].expected)
            fprintf(out, " %s %" PRIu64 " instead of %" PRIu64, fields[index].name,
                    fields[index].found, fields[index].expected);
    if (found->bytes && expected->bytes)
        print_bytes(found, expected, out);
    fprintf(out, " data");
    for (unsigned index = 0; index < found->extent_count; index++)
        fprintf(out, " %" PRIu64 "-%" PRIu64, tree->extents[found->extent_first + index].start,
                tree->extents[found->extent_first + index].end);
    fprintf(out, " instead of");
    for (unsigned index = 0; index < expected->extent_count; index++)
        fprintf(out, " %" PRIu64 "-%" PRIu64, wanted->extents[expected->extent_first + index].start,
                wanted->extents[expected->extent_first + index].end);
    fputc('\n', out);
}

static bool has_entry(const struct tree *tree, const struct tree *other,
                      const struct tree_entry *wanted)
{
    for (unsigned index = 0; index < tree->entry_count; index++) {
        const struct tree_entry *entry = &tree->entries[index];
        if (entry->dir == wanted->dir && entry->ino == wanted->ino &&
            strcmp(tree->names + entry->name, other->names + wanted->name) == 0)
            return true;
    }
    return false;
}

static void print_entries(const struct tree *tree, const struct tree *other, const char *what,
                          FILE *out)
{
    for (unsigned index = 0; index < tree->entry_count; index++) {
        const struct tree_entry *entry = &tree->entries[index];
        if (!has_entry(other, tree, entry))
            fprintf(out, "    name \"%s\" for id %" PRIx64 " in directory %" PRIx64 " is %s\n",
                    tree->names + entry->name, entry->ino, entry->dir, what);
    }
}

void tree_print_differences(const struct tree *found, const struct tree *expected, FILE *out)
{
    if (found->error)
        fprintf(out, "    %s: error %" PRId64 " at id %" PRIx64 "\n", found->error_what,
                found->error, found->error_ino);
    print_entries(found, expected, "too many", out);
    print_entries(expected, found, "missing", out);
    for (unsigned index = 0; index < found->object_count; index++) {
        const struct tree_object *object = &found->objects[index];
        const struct tree_object *wanted = tree_find(expected, object->stat.ino);
        if (wanted &&
            (object->hash != wanted->hash || object->stat.atime_ns != wanted->stat.atime_ns))
            print_object(found, object, expected, wanted, out);
    }
}

/* script.c -- from words to an operation, by a table of verbs */
#include "script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What each word after the verb is: p path, o second path, s slot, S second slot, d directory slot, x
 * offset, X second offset, n length, m mode, r device, u g owner and group, A M times, f open flags, D
 * mode of allocate, w a flag by its name, i inode flags, N attribute name, k pieces, = fields. */
struct verb {
    const char *name;
    enum op_kind kind;
    const char *words;
};

static const struct verb verbs[] = {
    {"mkdir", OP_MKDIR, "pm"},
    {"mknod", OP_MKNOD, "pmr"},
    {"symlink", OP_SYMLINK, "op"},
    {"link", OP_LINK, "pow"},
    {"unlink", OP_UNLINK, "p"},
    {"rmdir", OP_RMDIR, "p"},
    {"rename", OP_RENAME, "pow"},
    {"chmod", OP_CHMOD, "pm"},
    {"chown", OP_CHOWN, "pug"},
    {"utimens", OP_UTIMENS, "pAM"},
    {"truncate", OP_TRUNCATE, "pn"},
    {"flags", OP_SETFLAGS, "pi"},
    {"setattr", OP_SETATTR, "p====="},
    {"xattr", OP_XATTR_SET, "pNnw"},
    {"unxattr", OP_XATTR_REMOVE, "pN"},
    {"open", OP_OPEN, "spfm"},
    {"tmpfile", OP_TMPFILE, "spf"},
    {"write", OP_WRITE, "sxnkw"},
    {"append", OP_WRITE_HERE, "sn"},
    {"allocate", OP_ALLOCATE, "sDxn"},
    {"copy", OP_COPY, "sxSXnw"},
    {"ftruncate", OP_FTRUNCATE, "sn"},
    {"fsetattr", OP_FSETATTR, "s====="},
    {"linkfd", OP_FILE_LINK, "sp"},
    {"fsync", OP_SYNC, "s"},
    {"close", OP_CLOSE, "s"},
    {"read", OP_READ, "sxn"},
    {"readlink", OP_READLINK, "p"},
    {"opendir", OP_DIR_OPEN, "dp"},
    {"hold", OP_DIR_OPEN, "dp"}, /* the flag tells the two apart */
    {"release", OP_DIR_CLOSE, "d"},
    {"readdir", OP_DIR_READ, "d"},
    {"closedir", OP_DIR_CLOSE, "d"},
};

/* By how much the slots of a statement are moved up. */
struct shifts {
    unsigned slot;
    unsigned dir;
};

struct flag {
    char letter;
    uint32_t value;
};

static const struct flag open_flags[] = {
    {'r', VMFS_O_RDONLY},    {'w', VMFS_O_WRONLY}, {'b', VMFS_O_RDWR},    {'c', VMFS_O_CREAT},
    {'x', VMFS_O_EXCL},      {'t', VMFS_O_TRUNC},  {'a', VMFS_O_APPEND},  {'A', VMFS_O_ATOMIC},
    {'s', VMFS_O_SYNC},      {'d', VMFS_O_DSYNC},  {'n', VMFS_O_NOATIME}, {'e', VMFS_O_EXCL},
    {'K', VMFS_O_KILL_PRIV},
};

static const struct flag allocate_flags[] = {
    {'0', 0},
    {'k', VMFS_ALLOC_KEEP_SIZE},
    {'p', VMFS_ALLOC_PUNCH | VMFS_ALLOC_KEEP_SIZE},
    {'z', VMFS_ALLOC_ZERO},
    {'c', VMFS_ALLOC_COLLAPSE},
    {'i', VMFS_ALLOC_INSERT},
    {'K', VMFS_ALLOC_KILL_PRIV},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

_Noreturn static void refuse(const char *word, const char *what)
{
    fprintf(stderr, "script.c: '%s' is no %s\n", word, what);
    abort();
}

bool script_next(const char **script, struct script_words *out)
{
    const char *at = *script + strspn(*script, " ;");
    size_t bytes = strcspn(at, ";");
    if (bytes == 0)
        return false;
    if (bytes >= sizeof out->text)
        refuse(at, "statement");
    memcpy(out->text, at, bytes);
    out->text[bytes] = '\0';
    out->count = 0;
    char *rest;
    for (char *word = strtok_r(out->text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        if (out->count == SCRIPT_WORDS_MAX)
            refuse(word, "word that has room");
        out->words[out->count++] = word;
    }
    *script = at + bytes;
    return true;
}

static uint64_t number(const char *word)
{
    char *end;
    uint64_t value = strtoull(word, &end, 0);
    if (end == word || *end)
        refuse(word, "number");
    return value;
}

static int64_t time_of(const char *word)
{
    return strcmp(word, "now") == 0 ? VMFS_TIME_NOW : (int64_t)number(word);
}

static uint32_t letters(const char *word, const struct flag *flags, size_t count)
{
    uint32_t value = 0;
    for (const char *at = word; *at; at++) {
        size_t index = 0;
        while (index < count && flags[index].letter != *at)
            index++;
        if (index == count)
            refuse(word, "row of flags");
        value |= flags[index].value;
    }
    return value;
}

static uint32_t named_flag(const char *word)
{
    static const struct {
        const char *name;
        uint32_t value;
    } names[] = {
        {"exchange", VMFS_RENAME_EXCHANGE},
        {"noreplace", VMFS_RENAME_NOREPLACE},
        {"create", VMFS_XATTR_CREATE},
        {"replace", VMFS_XATTR_REPLACE},
        {"follow", VMFS_FOLLOW},
        {"nofollow", VMFS_NOFOLLOW},
        {"kill", VMFS_RW_KILL_PRIV},
    };
    for (size_t index = 0; index < COUNT(names); index++)
        if (strcmp(names[index].name, word) == 0)
            return names[index].value;
    refuse(word, "flag");
}

/* Copies a path and writes out its long names. */
static void copy_path(char *path, const char *word)
{
    size_t used = 0;
    while (*word) {
        if (*word != '%') {
            path[used++] = *word++;
            continue;
        }
        char *end;
        size_t bytes = strtoul(word + 1, &end, 10);
        memset(path + used, 'l', bytes);
        used += bytes;
        word = end;
    }
    path[used] = '\0';
}

static void set_path(const char *word, const struct shifts *shifts, struct op_place *at, char *path)
{
    *at = (struct op_place){.base = OP_BASE_NONE, .uid = UINT32_MAX, .gid = UINT32_MAX};
    if (*word == '@') {
        const char *colon = strchr(word, ':');
        if (!colon)
            refuse(word, "path");
        bool is_dir = word[1] == 'd';
        at->base = word + 1 == colon ? OP_BASE_ROOT : is_dir ? OP_BASE_DIR : OP_BASE_FILE;
        if (at->base != OP_BASE_ROOT)
            at->slot = (unsigned)(word[2] - '0') + (is_dir ? shifts->dir : shifts->slot);
        word = colon + 1;
    }
    copy_path(path, word);
}

static void set_field(const char *word, struct vmfs_attr *attr)
{
    const char *value = strchr(word, '=');
    if (!value)
        refuse(word, "field");
    value++;
    switch (*word) {
    case 'm':
        attr->mask |= VMFS_ATTR_MODE;
        attr->mode = (uint32_t)number(value);
        break;
    case 'u':
        attr->mask |= VMFS_ATTR_UID;
        attr->uid = (uint32_t)number(value);
        break;
    case 'g':
        attr->mask |= VMFS_ATTR_GID;
        attr->gid = (uint32_t)number(value);
        break;
    case 's':
        attr->mask |= VMFS_ATTR_SIZE;
        attr->size = number(value);
        break;
    case 'A':
        attr->mask |= VMFS_ATTR_ATIME;
        attr->atime_ns = time_of(value);
        break;
    case 'M':
        attr->mask |= VMFS_ATTR_MTIME;
        attr->mtime_ns = time_of(value);
        break;
    case 'C':
        attr->mask |= VMFS_ATTR_CTIME;
        attr->ctime_ns = time_of(value);
        break;
    case 'K':
        attr->mask |= VMFS_ATTR_KILL_PRIV;
        break;
    default:
        refuse(word, "field");
    }
}

static void set_number(char what, const char *word, struct op *op)
{
    switch (what) {
    case 'x':
        op->offset = number(word);
        break;
    case 'X':
        op->other_offset = number(word);
        break;
    case 'n':
        op->length = number(word);
        break;
    case 'm':
        op->attr.mode = op->mode = (uint32_t)number(word);
        break;
    case 'r':
        op->rdev = number(word);
        break;
    case 'u':
        op->attr.uid = (uint32_t)number(word);
        break;
    case 'g':
        op->attr.gid = (uint32_t)number(word);
        break;
    case 'i':
        op->attr.flags = (uint32_t)number(word);
        break;
    default:
        op->pieces = (unsigned)number(word);
        break;
    }
}

static void set_word(char what, const char *word, const struct shifts *shifts, struct op *op)
{
    switch (what) {
    case 'p':
        set_path(word, shifts, &op->at, op->path);
        break;
    case 'o':
        set_path(word, shifts, &op->other_at, op->other);
        break;
    case 's':
        op->slot = (unsigned)number(word) + shifts->slot;
        break;
    case 'S':
        op->other_slot = (unsigned)number(word) + shifts->slot;
        break;
    case 'd':
        op->slot = (unsigned)number(word) + shifts->dir;
        break;
    case 'A':
        op->attr.atime_ns = time_of(word);
        break;
    case 'M':
        op->attr.mtime_ns = time_of(word);
        break;
    case 'f':
        op->flags = letters(word, open_flags, COUNT(open_flags));
        break;
    case 'D':
        op->flags = letters(word, allocate_flags, COUNT(allocate_flags));
        break;
    case 'w':
        op->flags = named_flag(word);
        break;
    case 'N':
        snprintf(op->name, sizeof op->name, "%s", word);
        break;
    case '=':
        set_field(word, &op->attr);
        break;
    default:
        set_number(what, word, op);
        break;
    }
}

static const struct verb *find_verb(const char *name)
{
    for (size_t index = 0; index < COUNT(verbs); index++)
        if (strcmp(verbs[index].name, name) == 0)
            return &verbs[index];
    refuse(name, "verb");
}

void script_parse(const struct script_words *words, unsigned slot_shift, unsigned dir_shift,
                  uint64_t pattern, struct op *op)
{
    const struct shifts shifts = {slot_shift, dir_shift};
    const struct verb *verb = find_verb(words->words[0]);
    memset(op, 0, sizeof *op);
    op->kind = verb->kind;
    op->pattern = pattern;
    op->at.uid = op->at.gid = op->other_at.uid = op->other_at.gid = UINT32_MAX;
    op->mode = verb->kind == OP_OPEN || verb->kind == OP_TMPFILE ? 0640 : 0;
    if (words->count - 1 > strlen(verb->words))
        refuse(words->words[words->count - 1], "word of this verb");
    for (unsigned index = 1; index < words->count; index++)
        set_word(verb->words[index - 1], words->words[index], &shifts, op);
    bool is_dir = op->kind >= OP_DIR_OPEN;
    if (op->slot >= (is_dir ? OP_DIR_SLOTS : OP_SLOTS) || op->other_slot >= OP_SLOTS ||
        (op->at.base == OP_BASE_DIR && op->at.slot >= OP_DIR_SLOTS) ||
        (op->other_at.base == OP_BASE_DIR && op->other_at.slot >= OP_DIR_SLOTS))
        refuse(words->words[0], "verb with so many slots");
    if (op->kind == OP_TMPFILE)
        op->flags |= VMFS_O_TMPFILE;
    if (strcmp(verb->name, "hold") == 0) {
        op->flags = OP_HELD;
        op->at.base = op->at.base == OP_BASE_NONE ? OP_BASE_ROOT : op->at.base;
    }
    if (op->kind == OP_LINK && op->flags && op->at.base == OP_BASE_NONE)
        op->at.base = op->other_at.base = OP_BASE_ROOT; /* only the call with places takes flags */
}

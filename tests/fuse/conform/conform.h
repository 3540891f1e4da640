/* conform.h -- file semantics as POSIX and Linux have them, one assertion after the other
 *
 * A case is a call, a precondition and a caller; what is asserted in it is an outcome. The four make
 * the id of an assertion, call/precondition/outcome/caller, by which it is counted once, printed and
 * run again. Expectations are written from the rules, never taken from the filesystem at hand: the
 * suite has to pass on tmpfs and on ext4.
 *
 * Paths are relative to the suite's working directory, where each case has a directory of its own
 * with mode 0777 and owner root; at() names things in it. */
#ifndef TESTS_FUSE_CONFORM_H
#define TESTS_FUSE_CONFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- callers ---- */

/* Who calls, in relation to objects of OWNER_UID and GROUP_GID. */
enum caller { ROOT, OWNER, GROUP, SUPP, OTHER, CALLER_COUNT };

#define OWNER_UID   61001u
#define GROUP_GID   62001u
#define OWNER2_GID  62009u /* a supplementary group of the owner */
#define OTHER_UID   61004u
#define OTHER_GID   62004u
#define STRANGE_UID 61099u /* nobody's */
#define STRANGE_GID 62099u

const char *caller_name(enum caller who);
uint32_t caller_uid(enum caller who);
uint32_t caller_gid(enum caller who);
bool caller_in_group(enum caller who, uint32_t gid);

/* A call with its arguments, in memory that the callers' processes share. */
#define DEED_PATH_BYTES 16384
#define DEED_OUT_BYTES  65536
struct deed {
    long (*run)(struct deed *); /* >= 0 or a negative errno */
    const char *a;
    const char *b;
    long x;
    long y;
    long z;
    long result;
    char room[2][DEED_PATH_BYTES];
    char out[DEED_OUT_BYTES];
};

void agents_start(void);
void agents_stop(void);

/* Runs a deed as somebody; what it wrote to `out` is in agent_out() until the next one. */
long as(enum caller who, long (*run)(struct deed *), const char *a, const char *b, long x, long y);
const char *agent_out(void);
/* The third number of the next deed. */
void agent_more(long z);
/* The path of the next deed is a pointer to nowhere. */
void agent_bad_path(void);

/* In a forked child: becomes somebody for good. */
void become(enum caller who);
/* Runs a function in a child of its own, as somebody: its result, 0 to 255, or -1 if it died. */
int in_child(enum caller who, int (*run)(void *), void *context);

/* -errno if a system call has failed. */
long sys(long result);

/* ---- cases and assertions ---- */

struct options {
    const char *only;
    bool is_list;
    bool is_long;
    const char *json;
    const char *may_skip;
    long link_max; /* 0: what pathconf says */
    const char *directory;
    const char *program;
};
extern struct options options;

/* Opens a case; false if it is not to be run. The names may not hold a slash. */
bool begin(const char *call, const char *precondition, enum caller who);
bool beginf(enum caller who, const char *call, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Removes the directory of the case. */
void end(void);

/* The outcome is the name of the errno, or ok. */
bool want_result(long got, int expected);
bool want(const char *outcome, bool holds);
bool want_equal(const char *outcome, long long got, long long expected);
bool wantf(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Part of the preparation: a failure is reported, success is no assertion. */
bool must(long result, const char *what);

int report(double seconds);
const char *error_name(long code);

/* ---- what a filesystem may lack ---- */

#define FEATURES(x)                                                                                \
    x(XATTR_USER, "xattr.user") x(XATTR_TRUSTED, "xattr.trusted")                                  \
        x(XATTR_SECURITY, "xattr.security") x(ACL, "acl") x(FLAGS, "flags")                        \
            x(FALLOCATE, "fallocate") x(PUNCH, "fallocate.punch") x(ZERO, "fallocate.zero")        \
                x(COLLAPSE, "fallocate.collapse") x(INSERT, "fallocate.insert")                    \
                    x(HOLES, "seek.holes") x(TMPFILE, "tmpfile") x(EXCHANGE, "rename.exchange")    \
                        x(NOREPLACE, "rename.noreplace") x(WHITEOUT, "rename.whiteout")            \
                            x(COPY_RANGE, "copy_file_range") x(HANDLES, "handles")                 \
                                x(DIRECT, "direct") x(BIND_MOUNT, "bind.mount")                    \
                                    x(LINK_LIMIT, "link.limit") x(HUGE_FILES, "huge.files")        \
                                        x(MMAP_SHARED, "mmap.shared") x(EXECUTION, "exec")         \
                                            x(MAP_TAIL, "mmap.tail") x(RELATIME, "relatime")       \
                                                x(CAPABILITIES, "capabilities")                    \
                                                    x(FCHMODAT2, "fchmodat2")

enum feature {
#define NAME_OF(name, text) HAS_##name,
    FEATURES(NAME_OF)
#undef NAME_OF
        FEATURE_COUNT
};

/* Asked inside a case: false counts it as skipped. */
bool offers(enum feature feature);
void features_probe(void);
unsigned features_report(void); /* the skipped ones that may not be: as many failures */
uint64_t skipped_count(void);
/* How many links a file may have. */
long link_max(const char *path);

/* ---- the world ---- */

void world_start(const char *directory);
void world_stop(void);
/* A path inside the case's directory, in a buffer that lives for some calls; "" is the directory. */
const char *at(const char *name);
const char *atf(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *case_directory(void);
void case_enter(uint64_t number);
void case_leave(void);
/* The case takes place in a directory that it does not make, and has to leave as it was. */
void case_share(const char *name);

enum kind {
    K_NONE,
    K_FILE,
    K_DIR,
    K_FULL,
    K_FIFO,
    K_SOCKET,
    K_CHAR,
    K_BLOCK,
    K_LINK,
    K_LINK_DIR,
    K_DANGLING,
    K_LOOP,
    KIND_COUNT
};
const char *kind_name(enum kind kind);
mode_t kind_type(enum kind kind);
bool kind_is_dir(enum kind kind);
bool kind_is_link(enum kind kind);

struct who {
    mode_t mode;
    uint32_t uid;
    uint32_t gid;
};
#define OWNED(mode)                                                                                \
    (struct who)                                                                                   \
    {                                                                                              \
        mode, OWNER_UID, GROUP_GID                                                                 \
    }
#define ROOTS(mode)                                                                                \
    (struct who)                                                                                   \
    {                                                                                              \
        mode, 0, 0                                                                                 \
    }

/* Makes an object, whatever was there; links lead to things beside it. */
void make(const char *path, enum kind kind, struct who who);
void make_bytes(const char *path, const void *bytes, size_t len_bytes);
void remove_tree(const char *path);

struct look {
    bool is_there;
    uint64_t ino;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    uint32_t nlink;
    uint64_t rdev;
    uint64_t size;
    uint64_t blocks;
    int64_t atime_ns;
    int64_t mtime_ns;
    int64_t ctime_ns;
};
struct look look(const char *path);
struct look look_fd(int fd);
/* Nothing that stat shows differs. atime is left out for directories, which others may read. */
bool same(const struct look *a, const struct look *b);
int64_t now_ns(void);
/* Waits until the filesystem's clock shows a later time. */
void tick(void);
/* The same, if changes that follow each other at once would otherwise look like one. */
void tick_if_coarse(void);
/* Sets times long past and lets the clock run on, so that each change shows. */
#define OLD_NS (1000000000LL * 1000000000 + 123456789)
void age(const char *path);

/* ---- deeds that several suites use ---- */

long do_open(struct deed *d);     /* a, x flags, y mode: closes what it has opened */
long do_mkdir(struct deed *d);    /* a, x mode */
long do_mknod(struct deed *d);    /* a, x mode, y device */
long do_symlink(struct deed *d);  /* a the name, b the target */
long do_link(struct deed *d);     /* a old, b new, x flags */
long do_unlink(struct deed *d);   /* a */
long do_rmdir(struct deed *d);    /* a */
long do_rename(struct deed *d);   /* a from, b to, x flags */
long do_chmod(struct deed *d);    /* a, x mode */
long do_fchmod(struct deed *d);   /* a, x mode: opened first, any way that is allowed */
long do_chown(struct deed *d);    /* a, x uid, y gid, z flags */
long do_fchown(struct deed *d);   /* a, x uid, y gid */
long do_truncate(struct deed *d); /* a, x size */
long do_ftruncate(struct deed *d);
long do_access(struct deed *d);  /* a, x mode, y flags */
long do_utimens(struct deed *d); /* a, x flags, y and z ns of atime and mtime or UTIME_ */
long do_readdir(struct deed *d); /* a: names in order, each with its end, in out; their count */
long do_read(struct deed *d);    /* a, x offset, y bytes, to out */
long do_write(struct deed *d);   /* a, b the text, x offset, y flags of open */

/* ---- suites ---- */

void suite_paths(void);
void suite_kinds(void);
void suite_modes(void);
void suite_search(void);
void suite_sticky(void);
void suite_effects(void);
void suite_create(void);
void suite_chmod(void);
void suite_chown(void);
void suite_setid(void);
void suite_times(void);
void suite_rename(void);
void suite_links(void);
void suite_open(void);
void suite_data(void);
void suite_holes(void);
void suite_map(void);
void suite_unlinked(void);
void suite_directory(void);
void suite_deep(void);
void suite_flags(void);
void suite_xattr(void);
void suite_acl(void);
void suite_locks(void);
void suite_races(void);
void suite_readonly(void);
void suite_misc(void);

#endif

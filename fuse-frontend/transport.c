/* transport.c -- the read and the write that libfuse calls */
#include "transport.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "convert.h"
#include "stats.h"
#include "wire.h"

/* What the kernel is asked for beyond what libfuse asks. Where KILLPRIV_V2 is given, the kernel no
 * longer asks for security.capability before each write. */
#define WANTED                                                                                     \
    ((uint64_t)FUSE_PARALLEL_DIROPS | FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT |                \
     WIRE_DIRECT_IO_ALLOW_MMAP)

static _Thread_local struct request_flags flags;
/* Only INIT sets it, before which there are no requests. */
static _Atomic uint64_t granted;

const struct request_flags *transport_flags(void)
{
    return &flags;
}

bool transport_maps_uncached(void)
{
    return granted & WIRE_DIRECT_IO_ALLOW_MMAP;
}

/* SETXATTR as libfuse knows it: without the two words behind the struct. */
static void setxattr_shorten(struct fuse_in_header *in)
{
    uint32_t words[2];
    char *payload = (char *)(in + 1);
    size_t keep = FUSE_COMPAT_SETXATTR_IN_SIZE;
    size_t rest = in->len - sizeof *in - keep - sizeof words;
    memcpy(words, payload + keep, sizeof words);
    flags.kills_sgid = words[0] & FUSE_SETXATTR_ACL_KILL_SGID;
    memmove(payload + keep, payload + keep + sizeof words, rest);
    in->len -= (uint32_t)sizeof words;
}

static uint64_t init_offered(const struct fuse_init_in *init)
{
    return init->flags | (init->flags & FUSE_INIT_EXT ? (uint64_t)init->flags2 << 32 : 0);
}

/* Takes from a request what libfuse would drop, and makes it one that libfuse knows. */
static void request_learn(struct fuse_in_header *in)
{
    const void *payload = in + 1;
    flags = (struct request_flags){false, false, false};
    switch (in->opcode) {
    case FUSE_INIT:
        granted = init_offered(payload) & WANTED;
        break;
    case FUSE_WRITE:
        flags.kills_priv =
            ((const struct fuse_write_in *)payload)->write_flags & FUSE_WRITE_KILL_SUIDGID;
        break;
    case FUSE_OPEN:
        flags.kills_priv =
            ((const struct fuse_open_in *)payload)->open_flags & FUSE_OPEN_KILL_SUIDGID;
        break;
    case WIRE_COPY_FILE_RANGE_64: /* its count has the place of the old one and the padding behind it */
        in->opcode = FUSE_COPY_FILE_RANGE;
        break;
    case WIRE_TMPFILE:
        flags.is_tmpfile = true;
        in->opcode = FUSE_CREATE;
        break;
    case FUSE_CREATE:
        flags.kills_priv =
            ((const struct fuse_create_in *)payload)->open_flags & FUSE_OPEN_KILL_SUIDGID;
        break;
    case FUSE_SETATTR:
        flags.kills_priv = ((const struct fuse_setattr_in *)payload)->valid & FATTR_KILL_SUIDGID;
        break;
    case FUSE_SETXATTR:
        if (granted & FUSE_SETXATTR_EXT)
            setxattr_shorten(in);
        break;
    default:
        break;
    }
}

static bool is_raw(uint32_t opcode)
{
    return opcode == WIRE_SYNCFS || opcode == WIRE_STATX;
}

/* Where nothing is checked nobody but root is served: who takes another uid for its file accesses alone, as a
 * server does for its clients, is let in by the kernel. What gives something back is always served. */
static bool is_refused(const struct frontend *frontend, const struct fuse_in_header *in)
{
    if (!frontend->options.is_unchecked || in->uid == 0)
        return false;
    switch (in->opcode) {
    case FUSE_INIT:
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
    case FUSE_INTERRUPT:
    case FUSE_DESTROY:
        return false;
    default:
        return true;
    }
}

/* A thread that is told to end is not to end in the middle of a call of the library. */
static void raw_serve(int fd, const struct fuse_in_header *in, struct frontend *frontend)
{
    _Alignas(8) char payload[TRANSPORT_OUT_MAX];
    size_t payload_bytes = 0;
    int cancel_state;
    const struct raw_request request = {in->opcode, in->nodeid, in + 1, in->len - sizeof *in};
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    int result = is_refused(frontend, in) ? -EACCES
                                          : raw_answer(frontend, &request, payload, &payload_bytes);
    if (result < 0)
        payload_bytes = 0;
    struct fuse_out_header out = {.len = (uint32_t)(sizeof out + payload_bytes),
                                  .error = result < 0 ? result : 0,
                                  .unique = in->unique};
    struct iovec iov[2] = {{&out, sizeof out}, {payload, payload_bytes}};
    (void)!writev(fd, iov, payload_bytes ? 2 : 1);
    stats_end(result);
    pthread_setcancelstate(cancel_state, NULL);
}

static ssize_t read_request(int fd, void *buffer, size_t buffer_bytes, void *userdata)
{
    stats_end(0); /* of a forget, which has no reply */
    for (;;) {
        ssize_t got = read(fd, buffer, buffer_bytes);
        struct fuse_in_header *in = buffer;
        if (got < (ssize_t)sizeof *in)
            return got;
        stats_begin(in->opcode);
        if (!is_raw(in->opcode) && !is_refused(userdata, in)) {
            request_learn(in);
            return in->len;
        }
        raw_serve(fd, in, userdata);
    }
}

/* A reply to INIT: everything else has a shorter payload or another shape, so it is told by the request. */
static void init_complete(struct fuse_init_out *init)
{
    uint64_t bits = granted | FUSE_INIT_EXT;
    init->flags |= (uint32_t)bits;
    init->flags2 |= (uint32_t)(bits >> 32);
    init->max_readahead = MAX_IO_BYTES;
}

static ssize_t write_reply(int fd, struct iovec *iov, int count, void *userdata)
{
    (void)userdata;
    const struct fuse_out_header *out = iov[0].iov_base;
    if (stats_opcode() == FUSE_INIT && count > 1 && iov[1].iov_len >= sizeof(struct fuse_init_out))
        init_complete(iov[1].iov_base);
    ssize_t written = writev(fd, iov, count);
    int failure = errno;
    if (out->unique) /* else a notification */
        stats_end(out->error);
    errno = failure;
    return written;
}

bool transport_attach(struct frontend *frontend)
{
    static const struct fuse_custom_io io = {.writev = write_reply, .read = read_request};
    int result = fuse_session_custom_io(frontend->session, &io, fuse_session_fd(frontend->session));
    errno = result < 0 ? -result : errno;
    return result == 0;
}

/* transport.h -- how requests come in and replies go out
 *
 * libfuse 3.14 parses requests, but leaves reading and writing to us. That makes good what it cannot
 * do: it promises the kernel parallel directory operations and the rest in the reply to INIT, tells the
 * callbacks flags that libfuse drops, passes O_TMPFILE off as a create, and answers what libfuse
 * does not know. Two system calls for each request, one read() and one writev(). Whoever adds
 * another transport, FUSE over io_uring say, replaces this file.
 *
 * A request is served by the thread that read it, from the read to the reply. */
#ifndef VMFS_FUSE_TRANSPORT_H
#define VMFS_FUSE_TRANSPORT_H

#include "frontend.h"

/* Makes the mounted session read and write through here. False with errno set. */
bool transport_attach(struct frontend *frontend);

/* Of the request that this thread serves. */
struct request_flags {
    bool kills_priv; /* set-id bits and capabilities go: a WRITE, OPEN or SETATTR says so */
    bool kills_sgid; /* a SETXATTR of an ACL by somebody outside of the group */
    bool is_tmpfile; /* the create makes a file without a name */
};
const struct request_flags *transport_flags(void);

/* True if the kernel lets a file that it does not cache be mapped. */
bool transport_maps_uncached(void);

/* What libfuse cannot answer. `payload` is what the request holds behind its header; stores what goes
 * behind that of the reply in `out` (at most TRANSPORT_OUT_MAX bytes) and its size, or returns a negative
 * errno value. */
#define TRANSPORT_OUT_MAX 512
struct raw_request {
    uint32_t opcode;
    uint64_t ino;
    const void *payload;
    size_t payload_bytes;
};
int raw_answer(struct frontend *frontend, const struct raw_request *request, void *out,
               size_t *out_bytes);

#endif

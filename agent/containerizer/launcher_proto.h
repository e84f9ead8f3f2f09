/* What the agent and its launcher process say to each other: one message a SOCK_SEQPACKET packet, descriptors beside it.
 *
 *   packet = struct launcher_head, strings (each with its NUL) as the type has them
 *
 *   LAUNCH  folder, user ("" = stay)   + the shim's end of its socket   -> DONE: pid, with a pidfd
 *   FETCH   folder, user, sandbox      + the fetcher's end of a socket  -> DONE: pid, with a pidfd
 *   DONE    text                       value: pid, or -errno with the text saying why
 *
 * Both ends are of one build, yet what is read is checked like a stranger's: version, type, lengths, NULs. Pure.
 */
#ifndef AGENT_CONTAINERIZER_LAUNCHER_PROTO_H
#define AGENT_CONTAINERIZER_LAUNCHER_PROTO_H

#include "common/base/err.h"

#define LAUNCHER_MAGIC      0x4e4c4c46u
#define LAUNCHER_VERSION    1
#define LAUNCHER_MAX_PACKET (16u << 10) /* two paths and a name */
#define LAUNCHER_STRINGS    3

enum launcher_type { LAUNCHER_LAUNCH = 1, LAUNCHER_FETCH = 2, LAUNCHER_DONE = 3 };

struct launcher_head {
    uint32_t magic;
    uint16_t version, type;
    uint64_t seq;   /* the answer carries the question's */
    uint64_t flags; /* LAUNCH: CLONE_NEW... */
    int64_t value;
};

struct launcher_msg {
    struct launcher_head head;
    const char *s[LAUNCHER_STRINGS]; /* borrowed from the packet; "" where the type has fewer */
};

/* The packet's length, or a negative errno when it does not fit. magic and version are filled in. */
int launcher_encode(const struct launcher_msg *m, char *buf, size_t size);
int launcher_decode(const char *buf, size_t len, struct launcher_msg *m, struct fl_err *err);

/* With one descriptor (or -1). send: 0, -EAGAIN or another errno; recv: length, 0 at the end, or -errno; *ret_fd is the caller's. */
int launcher_send(int sock, const struct launcher_msg *m, int fd);
int launcher_recv(int sock, char *buf, size_t size, int *ret_fd);

#endif

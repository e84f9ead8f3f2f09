/* See launcher_proto.h. Used on both sides; no state. */
#include "agent/containerizer/launcher_proto.h"

#include <errno.h>
#include <sys/socket.h>

static unsigned strings_of(unsigned type)
{
    switch (type) {
    case LAUNCHER_LAUNCH:
        return 2;
    case LAUNCHER_FETCH:
        return 3;
    case LAUNCHER_DONE:
        return 1;
    default:
        return 0;
    }
}

int launcher_encode(const struct launcher_msg *m, char *buf, size_t size)
{
    struct launcher_head h = m->head;
    size_t len = sizeof(h);

    h.magic = LAUNCHER_MAGIC;
    h.version = LAUNCHER_VERSION;
    if (size < len)
        return -EMSGSIZE;
    memcpy(buf, &h, sizeof(h));
    for (unsigned i = 0; i < strings_of(h.type); i++) {
        const char *s = m->s[i] ? m->s[i] : "";
        size_t n = strlen(s) + 1;
        if (size - len < n)
            return -EMSGSIZE;
        memcpy(buf + len, s, n);
        len += n;
    }
    return (int)len;
}

int launcher_decode(const char *buf, size_t len, struct launcher_msg *m, struct fl_err *err)
{
    struct launcher_msg r = {.s = {"", "", ""}};
    size_t pos = sizeof(r.head);

    if (len < sizeof(r.head))
        return fl_err_set(err, FL_INVALID, "a launcher packet of %zu bytes is too short", len);
    memcpy(&r.head, buf, sizeof(r.head));
    if (r.head.magic != LAUNCHER_MAGIC || r.head.version != LAUNCHER_VERSION ||
        !strings_of(r.head.type))
        return fl_err_set(err, FL_INVALID,
                          "a launcher packet of version %u, type %u is not understood",
                          r.head.version, r.head.type);
    for (unsigned i = 0; i < strings_of(r.head.type); i++) {
        const char *nul = pos < len ? memchr(buf + pos, 0, len - pos) : NULL;
        if (!nul)
            return fl_err_set(err, FL_INVALID, "a launcher packet of type %u is cut off",
                              r.head.type);
        r.s[i] = buf + pos;
        pos = (size_t)(nul - buf) + 1;
    }
    if (pos != len)
        return fl_err_set(err, FL_INVALID, "a launcher packet of type %u has %zu bytes too many",
                          r.head.type, len - pos);
    *m = r;
    return 0;
}

int launcher_send(int sock, const struct launcher_msg *m, int fd)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.space = {0}};
    char buf[LAUNCHER_MAX_PACKET];
    int len = launcher_encode(m, buf, sizeof(buf));
    struct iovec iov = {.iov_base = buf, .iov_len = (size_t)FL_MAX(len, 0)};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

    if (len < 0)
        return len;
    if (fd >= 0) {
        mh.msg_control = control.space;
        mh.msg_controllen = sizeof(control.space);
        struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
    }
    ssize_t n;
    do
        n = sendmsg(sock, &mh, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

int launcher_recv(int sock, char *buf, size_t size, int *ret_fd)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = buf, .iov_len = size};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control.space,
                        .msg_controllen = sizeof(control.space)};
    int fd = -EBADF;
    ssize_t n;

    do
        n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
            c->cmsg_len >= CMSG_LEN(sizeof(int)))
            memcpy(&fd, CMSG_DATA(c), sizeof(int));
    *ret_fd = fd;
    return (int)n;
}

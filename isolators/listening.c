/* See listening.h. The kernel is asked by netlink for sockets that listen and no others: /proc/net/tcp would list every connection of the
 * machine. */
#include "isolators/listening.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "isolators/process_tree.h"

/* ---- the machine's ---- */

static void add(struct listeners *l, const struct inet_diag_msg *m)
{
    if (m->idiag_inode == 0)
        return;
    l->v = xgrow(l->v, &l->cap, l->n + 1, sizeof(*l->v));
    l->v[l->n++] = (struct listener){m->idiag_inode, ntohs(m->id.idiag_sport)};
}

static int ask(int fd, uint8_t family)
{
    const struct {
        struct nlmsghdr head;
        struct inet_diag_req_v2 body;
    } q = {.head = {.nlmsg_len = sizeof(q),
                    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
           .body = {.sdiag_family = family,
                    .sdiag_protocol = IPPROTO_TCP,
                    .idiag_states = 1u << TCP_LISTEN}};

    return send(fd, &q, sizeof(q), 0) == (ssize_t)sizeof(q) ? 0 : -errno;
}

/* 1: more is to come; 0: that was all. */
static int take(int fd, struct listeners *l)
{
    _Alignas(struct nlmsghdr) char buf[32 << 10];
    ssize_t n = recv(fd, buf, sizeof(buf), 0);

    if (n <= 0)
        return n < 0 ? -errno : -EPROTO;
    size_t left = (size_t)n;
    for (const struct nlmsghdr *h = (const struct nlmsghdr *)buf; NLMSG_OK(h, left);
         h = NLMSG_NEXT(h, left)) {
        if (h->nlmsg_type == NLMSG_DONE)
            return 0;
        if (h->nlmsg_type == NLMSG_ERROR)
            return -EPROTO;
        if (h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
            add(l, NLMSG_DATA(h));
    }
    return 1;
}

static int by_inode(const void *a, const void *b)
{
    const struct listener *x = a, *y = b;

    return x->inode < y->inode ? -1 : x->inode > y->inode;
}

int listeners_read(struct listeners *out, struct fl_err *err)
{
    static const uint8_t families[] = {AF_INET, AF_INET6};
    _cleanup_close_ int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    int r = fd < 0 ? -errno : 0;

    for (size_t i = 0; i < ARRAY_SIZE(families) && r == 0; i++) {
        r = ask(fd, families[i]);
        while (r == 0 && (r = take(fd, out)) == 1)
            r = 0;
    }
    if (r < 0)
        return fl_err_errno(err, -r, "ask the kernel which sockets listen");
    qsort(out->v, out->n, sizeof(*out->v), by_inode);
    return 0;
}

void listeners_done(struct listeners *l)
{
    free(l->v);
    *l = (struct listeners){0};
}

/* ---- a container's ---- */

void ports_done(struct ports *p)
{
    free(p->v);
    *p = (struct ports){0};
}

static void add_port(struct ports *p, uint16_t port)
{
    size_t i = 0;

    while (i < p->n && p->v[i] < port)
        i++;
    if (i < p->n && p->v[i] == port)
        return;
    p->v = xgrow(p->v, &p->cap, p->n + 1, sizeof(*p->v));
    memmove(&p->v[i + 1], &p->v[i], (p->n - i) * sizeof(*p->v));
    p->v[i] = port;
    p->n++;
}

/* "socket:[123]" */
static bool inode_of(char *text, uint32_t *ret)
{
    uint64_t v;
    size_t n = strlen(text);

    if (strncmp(text, "socket:[", 8) != 0 || n < 10)
        return false;
    text[n - 1] = '\0';
    if (fl_parse_u64(text + 8, &v) < 0 || v > UINT32_MAX)
        return false;
    *ret = (uint32_t)v;
    return true;
}

static void look_at(const struct listeners *l, pid_t pid, struct ports *out)
{
    char path[32], text[64];
    const struct dirent *e;

    fl_snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    DIR *d = opendir(path);
    while (d && (e = readdir(d))) {
        ssize_t n = e->d_name[0] == '.' ? -1 : readlinkat(dirfd(d), e->d_name, text, sizeof(text));
        struct listener key = {0};
        if (n <= 0 || n >= (ssize_t)sizeof(text))
            continue;
        text[n] = '\0';
        if (!inode_of(text, &key.inode))
            continue;
        const struct listener *found = bsearch(&key, l->v, l->n, sizeof(key), by_inode);
        if (found)
            add_port(out, found->port);
    }
    if (d)
        closedir(d);
}

struct look {
    const struct listeners *l;
    struct ports *out;
};

static void one(pid_t pid, void *arg)
{
    const struct look *k = arg;

    look_at(k->l, pid, k->out);
}

void listeners_held(const struct listeners *l, pid_t root, struct ports *out)
{
    struct look k = {l, out};

    if (l->n)
        process_tree_each(root, one, &k);
}

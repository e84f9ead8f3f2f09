/* The networks of one container in memory and on disk; see state.h for the layout. The agent's thread. */
#include "isolators/cni/network.h"

#include <errno.h>
#include <sys/stat.h>

#include "common/base/log.h"
#include "isolators/cni/state.h"
#include "isolators/sandbox_path.h"

struct cni_entry *cni_entry_new(struct cni_isolator *i, const char *id)
{
    struct cni_entry *e = id_map_make(&i->containers, id, sizeof(*e));

    e->magic = CNI_ENTRY_MAGIC;
    e->owner = i;
    e->folder = xasprintf("%s/%s", i->root, id);
    e->ns = xasprintf("%s/ns", e->folder);
    return e;
}

static void network_done(struct cni_network *n)
{
    free(n->name);
    free(n->ifname);
    json_decref(n->conf);
    fl_pb_free(n->info);
    free(n->said);
    cni_result_free(n->result);
    memset(n, 0, sizeof(*n));
}

void cni_entry_drop(struct cni_entry *e)
{
    cni_detach_stop(e);
    cni_netns_free(e->making);
    for (size_t k = 0; k < e->n; k++)
        network_done(&e->networks[k]);
    free(e->networks);
    free(e->hostname);
    free(e->rootfs);
    free(e->folder);
    free(e->ns);
    e->magic = 0;
    id_map_drop(&e->owner->containers, e);
}

struct cni_entry *cni_entry_of(const struct cni_isolator *i, const char *id)
{
    struct cni_entry *e = i->containers.head ? id_map_get(&i->containers, id) : NULL;
    const char *dot = strrchr(id, '.');

    if (e || !dot || !i->containers.head)
        return e;
    _cleanup_free_ char *parent = xstrndup(id, (size_t)(dot - id));
    return cni_entry_of(i, parent);
}

static struct cni_network *add_network(struct cni_entry *e, const char *name, const char *ifname)
{
    e->networks = xrealloc(e->networks, (e->n + 1) * sizeof(*e->networks));
    e->networks[e->n] = (struct cni_network){.name = xstrdup(name), .ifname = xstrdup(ifname)};
    return &e->networks[e->n++];
}

int cni_entry_fill(struct cni_entry *e, const V1__ContainerInfo *info, struct fl_err *err)
{
    char ifname[16];

    for (size_t k = 0; k < info->n_network_infos; k++) {
        const V1__NetworkInfo *asked = info->network_infos[k];
        json_t *conf = NULL;
        if (!asked->name)
            continue;
        for (size_t j = 0; j < e->n; j++)
            if (streq(e->networks[j].name, asked->name))
                return fl_err_set(err, FL_INVALID,
                                  "Attempted to join CNI network '%s' multiple times", asked->name);
        int r = cni_catalog_find(e->owner->catalog, asked->name, &conf, err);
        if (r < 0)
            return r;
        fl_snprintf(ifname, sizeof(ifname), "eth%zu", e->n);
        struct cni_network *n = add_network(e, asked->name, ifname);
        n->conf = conf;
        n->info = FL_PB_DUP(asked);
        r = cni_conf_bind(conf, asked, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- on disk ---- */

static char *conf_path(const struct cni_entry *e, const char *network)
{
    return xasprintf("%s/%s/network.conf", e->folder, network);
}

static char *interface_folder(const struct cni_entry *e, const struct cni_network *n)
{
    return xasprintf("%s/%s/%s", e->folder, n->name, n->ifname);
}

/* The interface first: network.conf means that a plug-in may have run, and DEL needs to know for which interface. */
int cni_entry_save(const struct cni_entry *e, const struct cni_network *n, struct fl_err *err)
{
    _cleanup_free_ char *folder = interface_folder(e, n), *path = conf_path(e, n->name);
    _cleanup_free_ char *text = json_dumps(n->conf, JSON_COMPACT);

    int r = make_folders(folder, err);
    return r < 0 ? r
                 : cni_file_write(path, text, e->owner->config->network_cni_root_dir_persist, err);
}

int cni_entry_save_result(const struct cni_entry *e, const struct cni_network *n,
                          struct fl_err *err)
{
    _cleanup_free_ char *folder = interface_folder(e, n);
    _cleanup_free_ char *path = xasprintf("%s/network.info", folder);

    return cni_file_write(path, n->said, e->owner->config->network_cni_root_dir_persist, err);
}

int cni_network_remove(const struct cni_entry *e, struct cni_network *n)
{
    _cleanup_free_ char *folder = interface_folder(e, n), *path = conf_path(e, n->name);
    _cleanup_free_ char *info = xasprintf("%s/network.info", folder);

    /* Without the configuration there is nothing to be done for it, so that goes first. */
    if (unlink(path) < 0 && errno != ENOENT)
        return -errno;
    unlink(info);
    json_decref(n->conf);
    n->conf = NULL;
    cni_result_free(n->result);
    n->result = NULL;
    return 0;
}

struct loading {
    struct cni_entry *e;
    const char *network;
};

static void load_interface(void *arg, const char *name)
{
    struct loading *l = arg;
    struct cni_entry *e = l->e;
    _cleanup_free_ char *folder = xasprintf("%s/%s/%s", e->folder, l->network, name);
    _cleanup_free_ char *path = xasprintf("%s/network.info", folder), *conf = NULL, *text = NULL;
    _cleanup_free_ char *of = conf_path(e, l->network);
    struct stat st;
    struct fl_err err;
    size_t n;

    if (lstat(folder, &st) < 0 || !S_ISDIR(st.st_mode))
        return;
    struct cni_network *net = add_network(e, l->network, name);
    if (cni_file_read(of, CNI_MAX_FILE, &conf, &n, NULL) < 0)
        return; /* nothing was run */
    if (cni_conf_parse(conf, n, &net->conf, &err) < 0) {
        log_warning("Cannot use '%s', so its plug-ins are not told that container '%s' is gone: %s",
                    of, e->id.id, err.msg);
        return;
    }
    net->info = cni_conf_bound(net->conf);
    if (cni_file_read(path, CNI_MAX_FILE, &text, &n, NULL) < 0)
        return; /* ADD was under way */
    if (cni_result_parse(text, &net->result, &err) < 0)
        log_warning("Cannot use '%s': %s", path, err.msg);
    net->said = TAKE_PTR(text);
}

static void load_network(void *arg, const char *name)
{
    struct cni_entry *e = arg;
    struct loading l = {e, name};
    _cleanup_free_ char *folder = xasprintf("%s/%s", e->folder, name);
    struct stat st;

    if (lstat(folder, &st) == 0 && S_ISDIR(st.st_mode))
        cni_folder_each(folder, load_interface, &l);
}

static int by_interface(const void *a, const void *b)
{
    return strcmp(((const struct cni_network *)a)->ifname, ((const struct cni_network *)b)->ifname);
}

struct cni_entry *cni_entry_load(struct cni_isolator *i, const char *id)
{
    struct cni_entry *e = id_map_get(&i->containers, id);
    _cleanup_free_ char *folder = xasprintf("%s/%s", i->root, id);

    if (e || access(folder, F_OK) < 0)
        return e;
    e = cni_entry_new(i, id);
    e->recovered = true;
    cni_folder_each(folder, load_network, e);
    if (e->n > 1)
        qsort(e->networks, e->n, sizeof(*e->networks), by_interface);
    return e;
}

/* ---- what is told of it ---- */

const char *cni_entry_address(const struct cni_entry *e)
{
    const char *ip6 = NULL;

    for (size_t k = 0; k < e->n; k++) {
        const struct cni_result *r = e->networks[k].result;
        if (r && r->ip4)
            return r->ip4;
        if (r && !ip6)
            ip6 = r->ip6;
    }
    return ip6;
}

static void add_address(V1__NetworkInfo *n, const char *ip, V1__NetworkInfo__Protocol protocol,
                        struct fl_arena *arena)
{
    if (!ip)
        return;
    V1__NetworkInfo__IPAddress *a =
        FL_ARENA_NEW(arena, V1__NetworkInfo__IPAddress, v1__network_info__ipaddress);
    a->has_protocol = true;
    a->protocol = protocol;
    a->ip_address = fl_arena_strdup(arena, ip);
    n->ip_addresses[n->n_ip_addresses++] = a;
}

void cni_entry_status(const struct cni_entry *e, struct fl_arena *arena,
                      V1__ContainerStatus *status)
{
    V1__NetworkInfo **all = fl_arena_alloc(arena, (e->n + 1) * sizeof(*all));
    size_t count = 0;

    for (size_t k = 0; k < e->n; k++) {
        const struct cni_network *net = &e->networks[k];
        if (!net->result || !net->info)
            continue;
        V1__NetworkInfo *n =
            (V1__NetworkInfo *)fl_pb_dup(&net->info->base, fl_arena_allocator(arena));
        n->ip_addresses = fl_arena_alloc(arena, 2 * sizeof(*n->ip_addresses));
        n->n_ip_addresses = 0;
        add_address(n, net->result->ip4, V1__NETWORK_INFO__PROTOCOL__IPv4, arena);
        add_address(n, net->result->ip6, V1__NETWORK_INFO__PROTOCOL__IPv6, arena);
        all[count++] = n;
    }
    if (count == 0)
        return;
    status->network_infos = all;
    status->n_network_infos = count;
}

/* "  eth0: received..., sent...": bytes, packets, errors, dropped and four more of each. Cuts the line up. */
static bool take_line(char *line, const char **ret_name, uint64_t v[16])
{
    char *colon = strchr(line, ':');

    if (!colon)
        return false;
    *colon = '\0';
    *ret_name = line + strspn(line, " ");
    char *word = colon + 1;
    for (size_t i = 0; i < 16; i++) {
        word += strspn(word, " ");
        size_t n = strcspn(word, " ");
        bool last = word[n] == '\0';
        word[n] = '\0';
        if (fl_parse_u64(word, &v[i]) < 0)
            return false;
        word += n + !last;
    }
    return true;
}

static void add_line(const struct cni_entry *e, char *line, struct net_usage *u)
{
    const char *name;
    uint64_t v[16];

    if (!take_line(line, &name, v))
        return;
    for (size_t k = 0; k < e->n; k++) {
        if (!streq(e->networks[k].ifname, name))
            continue;
        u->rx_bytes += v[0];
        u->rx_packets += v[1];
        u->rx_errors += v[2];
        u->rx_dropped += v[3];
        u->tx_bytes += v[8];
        u->tx_packets += v[9];
        u->tx_errors += v[10];
        u->tx_dropped += v[11];
    }
}

/* What a process of the container sees of its interfaces; cheaper than going there. */
void cni_entry_usage(const struct cni_entry *e, struct container_usage *out)
{
    char path[64];
    _cleanup_free_ char *text = NULL;
    size_t n;

    fl_snprintf(path, sizeof(path), "/proc/%d/net/dev", (int)e->pid);
    if (e->pid <= 0 || cni_file_read(path, 64u << 10, &text, &n, NULL) < 0)
        return;
    out->has_net = true;
    for (char *line = text; line && *line;) {
        char *end = strchr(line, '\n');
        if (end)
            *end = '\0';
        add_line(e, line, &out->net);
        line = end ? end + 1 : NULL;
    }
}

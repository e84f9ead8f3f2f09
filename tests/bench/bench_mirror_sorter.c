/* The reference's own benchmarks of its sorters, FullSort and HierarchyFullSort, at 50,000 agents and about 1,000 clients. CPU time of
 * this thread. A "full sort" here is a walk to the last client; after a change, and then with nothing changed.
 */
#include <stdio.h>
#include <time.h>

#include "common/model/intern.h"
#include "master/allocator/role_tree.h"

enum { AGENTS = 50000, MAX_CLIENTS = 1200 };

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static struct drf_totals totals;
static struct drf_vec one = DRF_VEC_INIT;

static void make_totals(void)
{
    static const struct {
        const char *name;
        milli_t total, used;
    } scalars[] = {{"cpus", 24, 16}, {"mem", 4096, 2014}, {"disk", 4096, 1024}};
    _cleanup_vec_ struct drf_vec agent = DRF_VEC_INIT;

    drf_totals_init(&totals);
    for (size_t i = 0; i < ARRAY_SIZE(scalars); i++) {
        size_t id = drf_scalar_id(&totals, intern(scalars[i].name));
        drf_vec_add_at(&agent, id, scalars[i].total * MILLI_ONE);
        drf_vec_add_at(&one, id, scalars[i].used * MILLI_ONE);
    }
    for (unsigned i = 0; i < AGENTS; i++)
        drf_totals_add(&totals, &agent);
}

static void tell(const char *bench, const char *what, double us)
{
    printf("mirror.%s.%s_ms %.4f ms\n", bench, what, us / 1e3);
}

/* ---- the walks and changes that are timed, for either shape ---- */

struct shape {
    const char *name;
    size_t n;
    void (*change)(size_t client, bool add);
    size_t (*walk)(void); /* how many were there */
};

static void timed_walk(const struct shape *s, const char *what)
{
    double start = now_us();

    if (s->walk() != s->n)
        abort();
    tell(s->name, what, now_us() - start);
}

static void run(const struct shape *s)
{
    for (int add = 1; add >= 0; add--) {
        double start = now_us();
        for (size_t i = 0; i < AGENTS; i++)
            s->change(i % s->n, add);
        tell(s->name, add ? "allocated" : "unallocated", now_us() - start);
        if (add) {
            timed_walk(s, "full_sort");
            timed_walk(s, "noop_sort");
        }
    }
}

/* ---- FullSort ---- */

static struct drf_sorter flat;
static struct drf_client clients[MAX_CLIENTS];

static void change_flat(size_t client, bool add)
{
    if (add)
        drf_sorter_allocated(&flat, &clients[client], &one);
    else
        drf_sorter_unallocated(&flat, &clients[client], &one);
}

static size_t walk_flat(void)
{
    size_t n = 0;

    drf_sorter_walk_begin(&flat);
    while (drf_sorter_walk_next(&flat))
        n++;
    drf_sorter_walk_end(&flat);
    return n;
}

static void full_sort(void)
{
    static char names[MAX_CLIENTS][16];
    const struct shape s = {"full_sort", 1000, change_flat, walk_flat};

    drf_sorter_init(&flat, &totals);
    for (size_t i = 0; i < s.n; i++) {
        fl_snprintf(names[i], sizeof(names[i]), "%zu", i);
        drf_client_init(&clients[i], names[i], 1.0);
        drf_sorter_activate(&flat, &clients[i]);
    }
    run(&s);
    for (size_t i = 0; i < s.n; i++) {
        drf_sorter_deactivate(&flat, &clients[i]);
        drf_client_done(&clients[i]);
    }
    drf_sorter_done(&flat);
}

/* ---- HierarchyFullSort: every path of the tree is a role with one framework ---- */

static struct role_tree tree;
static struct alloc_role *roles[MAX_CLIENTS];
static size_t n_roles;

static void build(const char *path, unsigned depth, unsigned branching)
{
    for (unsigned i = 0; i < branching && depth > 1; i++) {
        char child[64];
        fl_snprintf(child, sizeof(child), "%s%s%u", path, *path ? "/" : "", i);
        build(child, depth - 1, branching);
    }
    if (!*path)
        return;
    roles[n_roles] = role_tree_get(&tree, path);
    roles[n_roles]->n_clients++;
    drf_client_init(&clients[n_roles], "f", 1.0);
    drf_sorter_activate(&roles[n_roles]->frameworks, &clients[n_roles]);
    role_tree_refresh(&tree, roles[n_roles]);
    n_roles++;
}

static void change_tree(size_t client, bool add)
{
    struct alloc_role *r = roles[client];

    if (add) {
        drf_sorter_allocated(&r->frameworks, &clients[client], &one);
        role_tree_allocated(&tree, r, &one);
    } else {
        drf_sorter_unallocated(&r->frameworks, &clients[client], &one);
        role_tree_unallocated(&tree, r, &one);
    }
}

static size_t walk_tree(void)
{
    struct role_walk w;
    size_t n = 0;

    role_walk_begin(&w, &tree);
    while (role_walk_next(&w))
        n++;
    role_walk_end(&w);
    return n;
}

static void hierarchy_full_sort(const char *name, unsigned height, unsigned branching)
{
    struct shape s = {name, 0, change_tree, walk_tree};

    n_roles = 0;
    role_tree_init(&tree, &totals, NULL, NULL);
    build("", height, branching);
    s.n = n_roles;
    run(&s);
    for (size_t i = 0; i < n_roles; i++) {
        drf_sorter_deactivate(&roles[i]->frameworks, &clients[i]);
        drf_client_done(&clients[i]);
        role_tree_refresh(&tree, roles[i]);
    }
    role_tree_done(&tree);
}

int main(void)
{
    make_totals();
    full_sort();
    hierarchy_full_sort("hierarchy_full_sort_3_32", 3, 32);
    hierarchy_full_sort("hierarchy_full_sort_7_3", 7, 3);
    hierarchy_full_sort("hierarchy_full_sort_10_2", 10, 2);
    drf_vec_done(&one);
    drf_totals_done(&totals);
    return 0;
}

/* Names of figures, errors by kind, and the agents that frameworks have heard of. */
#include <stdlib.h>

#include "emulator/load/load.h"

const struct load_name load_hist_names[LOAD_HISTS] = {
#define LOAD_HIST(id, name, help) {name, help},
#define LOAD_COUNT(id, name, help)
#include "emulator/load/figures.def"
};
const struct load_name load_count_names[LOAD_COUNTS] = {
#define LOAD_HIST(id, name, help)
#define LOAD_COUNT(id, name, help) {name, help},
#include "emulator/load/figures.def"
};

void load_figures_merge(struct load_figures *f, const struct load_figures *other)
{
    for (size_t i = 0; i < LOAD_COUNTS; i++)
        f->counts[i] += other->counts[i];
    for (size_t i = 0; i < LOAD_HISTS; i++)
        hist_merge(&f->hists[i], &other->hists[i]);
}

/* Kinds are few; whoever makes more of them is counted as "other". */
enum { MAX_KINDS = 64, MAX_MESSAGE = 300 };

void load_error_count(struct load *l, const char *kind, const char *message, size_t n)
{
    size_t i = 0;

    while (i < l->n_errors && !streq(l->errors[i].kind, kind))
        i++;
    if (i == l->n_errors && i >= MAX_KINDS) {
        i = MAX_KINDS - 1;
    } else if (i == l->n_errors) {
        if (!l->errors)
            l->errors = xcalloc(MAX_KINDS, sizeof *l->errors);
        l->n_errors++;
        l->errors[i].kind = xstrdup(i == MAX_KINDS - 1 ? "other" : kind);
        l->errors[i].message = xstrndup(message, FL_MIN(n, (size_t)MAX_MESSAGE));
    }
    l->errors[i].n++;
}

/* ---- agents ---- */

static uint64_t hash(const char *p, size_t n)
{
    uint64_t h = 0xcbf29ce484222325ull;

    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)p[i]) * 0x100000001b3ull;
    return h ^ h >> 29;
}

static struct load_agent *slot(const struct load_agents *a, const char *id, size_t n)
{
    size_t i = hash(id, n) & (a->cap - 1);

    while (a->v[i].id && (strncmp(a->v[i].id, id, n) != 0 || a->v[i].id[n]))
        i = (i + 1) & (a->cap - 1);
    return &a->v[i];
}

static void grow(struct load_agents *a)
{
    struct load_agents wider = {.n = a->n, .cap = a->cap ? a->cap * 2 : 1024};

    wider.v = xcalloc(wider.cap, sizeof *wider.v);
    for (size_t i = 0; i < a->cap; i++) {
        if (a->v[i].id)
            *slot(&wider, a->v[i].id, strlen(a->v[i].id)) = a->v[i];
    }
    free(a->v);
    *a = wider;
}

struct load_agent *load_agents_get(struct load_agents *a, const char *id, size_t n)
{
    struct load_agent *s;

    if (a->n * 2 >= a->cap)
        grow(a);
    s = slot(a, id, n);
    if (!s->id) {
        s->id = xstrndup(id, n);
        a->n++;
    }
    return s;
}

void load_agents_done(struct load_agents *a)
{
    for (size_t i = 0; i < a->cap; i++)
        free(a->v[i].id);
    free(a->v);
}

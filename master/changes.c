/* See changes.h. */
#include "master/changes.h"

#include "common/model/intern.h"
#include "master/core.h"
#include "master/roles.h"

struct change_mark *change_mark_of(enum change_kind kind, void *thing)
{
    switch (kind) {
    case CHANGED_TASKS:
        return &((struct task *)thing)->change;
    case CHANGED_AGENTS:
        return &((struct agent *)thing)->change;
    case CHANGED_KNOWN_AGENTS:
        return &((struct known_agent *)thing)->change;
    case CHANGED_FRAMEWORKS:
        return &((struct framework *)thing)->change;
    case CHANGED_ROLES:
        return &((struct role *)thing)->change;
    case CHANGE_KINDS:
        break;
    }
    assert(false);
    return NULL;
}

/* ---- lists ---- */

static void mark(struct changes *c, enum change_kind kind, void *thing, struct change_mark *mk,
                 bool at_once)
{
    struct change_list *l = &c->of[kind];

    mk->at_once |= at_once;
    if (mk->slot)
        return;
    if (l->n >= CHANGES_MAX) {
        c->lost = true;
        return;
    }
    l->items = xgrow(l->items, &l->cap, l->n + 1, sizeof(*l->items));
    l->items[l->n++] = thing;
    mk->slot = l->n;
}

static void unmark(struct changes *c, enum change_kind kind, struct change_mark *mk)
{
    if (c && mk->slot)
        c->of[kind].items[mk->slot - 1] = NULL;
    mk->slot = 0;
    mk->at_once = 0;
}

void changes_seen(struct changes *c, enum change_kind kind, size_t n, bool at_once_only)
{
    struct change_list *l = &c->of[kind];
    size_t kept = 0;

    for (size_t i = 0; i < l->n; i++) {
        void *thing = l->items[i];
        struct change_mark *mk = thing ? change_mark_of(kind, thing) : NULL;

        if (!mk)
            continue;
        if (i < n && (mk->at_once || !at_once_only)) {
            mk->slot = 0;
            mk->at_once = 0;
            continue;
        }
        l->items[kept++] = thing;
        mk->slot = kept;
    }
    l->n = kept;
}

static void clear_gone(struct gone_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        intern_unref(l->items[i].framework_user);
        intern_unref(l->items[i].user);
    }
    l->n = 0;
}

void changes_gone_seen(struct changes *c)
{
    clear_gone(&c->gone_tasks);
    clear_gone(&c->gone_agents);
    clear_gone(&c->gone_frameworks);
    c->gone_roles.n = 0;
}

void changes_start(struct master *m)
{
    assert(!m->changes);
    m->changes = xnew0(struct changes);
}

void changes_stop(struct master *m)
{
    struct changes *c = m->changes;

    if (!c)
        return;
    for (int kind = 0; kind < CHANGE_KINDS; kind++) {
        changes_seen(c, (enum change_kind)kind, SIZE_MAX, false);
        free(c->of[kind].items);
    }
    changes_gone_seen(c);
    free(c->gone_tasks.items);
    free(c->gone_agents.items);
    free(c->gone_frameworks.items);
    free(c->gone_roles.items);
    free(c);
    m->changes = NULL;
}

/* ---- what changes ---- */

static void name_key(struct change_mark *mk, uint64_t *last)
{
    if (!mk->key)
        mk->key = ++*last;
}

void task_changed(struct task *t)
{
    struct master *m = t->framework->master;

    name_key(&t->change, &m->last_task_key);
    if (m->changes)
        mark(m->changes, CHANGED_TASKS, t, &t->change, true);
}

void agent_named(struct agent *a)
{
    name_key(&a->change, &a->master->last_key);
}

void agent_changed(struct agent *a, bool at_once)
{
    if (a->master->changes)
        mark(a->master->changes, CHANGED_AGENTS, a, &a->change, at_once);
}

void known_changed(struct master *m, struct known_agent *k)
{
    name_key(&k->change, &m->last_key);
    if (m->changes)
        mark(m->changes, CHANGED_KNOWN_AGENTS, k, &k->change, true);
}

void framework_changed(struct framework *f, bool at_once)
{
    name_key(&f->change, &f->master->last_key);
    if (f->master->changes)
        mark(f->master->changes, CHANGED_FRAMEWORKS, f, &f->change, at_once);
}

void role_changed(struct master *m, struct role *r, bool at_once)
{
    if (m->changes)
        mark(m->changes, CHANGED_ROLES, r, &r->change, at_once);
}

void roles_all_changed(struct master *m)
{
    if (m->changes)
        m->changes->all_roles = true;
}

/* ---- what goes ---- */

static void add_gone(struct changes *c, struct gone_list *l, enum change_kind kind,
                     struct change_mark *mk, const char *framework_user, const char *user)
{
    unmark(c, kind, mk);
    if (!c || !mk->key)
        return;
    l->items = xgrow(l->items, &l->cap, l->n + 1, sizeof(*l->items));
    l->items[l->n++] = (struct gone){
        .key = mk->key,
        .framework_user = c->keep_users ? intern_ref(framework_user) : NULL,
        .user = c->keep_users ? intern_ref(user) : NULL,
    };
}

void task_gone(struct task *t)
{
    struct changes *c = t->framework->master->changes;
    const char *of_framework;

    if (!c)
        return;
    of_framework = t->framework->info->user;
    add_gone(c, &c->gone_tasks, CHANGED_TASKS, &t->change, of_framework,
             t->user ? t->user : of_framework);
}

void agent_gone(struct agent *a)
{
    struct changes *c = a->master->changes;

    if (c)
        add_gone(c, &c->gone_agents, CHANGED_AGENTS, &a->change, NULL, NULL);
}

void known_gone(struct master *m, struct known_agent *k)
{
    if (m->changes)
        add_gone(m->changes, &m->changes->gone_agents, CHANGED_KNOWN_AGENTS, &k->change, NULL,
                 NULL);
}

void framework_gone(struct framework *f)
{
    struct changes *c = f->master->changes;

    if (c)
        add_gone(c, &c->gone_frameworks, CHANGED_FRAMEWORKS, &f->change, f->info->user, NULL);
}

void role_gone(struct master *m, struct role *r)
{
    struct changes *c = m->changes;

    if (!c)
        return;
    unmark(c, CHANGED_ROLES, &r->change);
    c->gone_roles.items =
        xgrow(c->gone_roles.items, &c->gone_roles.cap, c->gone_roles.n + 1, sizeof(char *));
    c->gone_roles.items[c->gone_roles.n++] = r->name;
}

/* ---- agents change tables ---- */

static void move_key(struct changes *c, enum change_kind from_kind, struct change_mark *from,
                     struct change_mark *to)
{
    unmark(c, from_kind, from);
    to->key = from->key;
    from->key = 0;
}

void known_from_agent(struct known_agent *to, struct agent *from)
{
    move_key(from->master->changes, CHANGED_AGENTS, &from->change, &to->change);
    known_changed(from->master, to);
}

void known_from_known(struct master *m, struct known_agent *to, struct known_agent *from)
{
    move_key(m->changes, CHANGED_KNOWN_AGENTS, &from->change, &to->change);
    known_changed(m, to);
}

void agent_from_known(struct agent *to, struct known_agent *from)
{
    move_key(to->master->changes, CHANGED_KNOWN_AGENTS, &from->change, &to->change);
    agent_changed(to, true);
}

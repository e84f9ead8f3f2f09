/* The bump allocator. Blocks form a list, newest first; each is twice the one before up to
 * BLOCK_MAX, and what does not fit in a block of that size gets one of its own. The first block
 * stays through a reset, so an arena that is used again and again for messages of one kind stops
 * calling malloc. */
#include "common/base/pb_priv.h"

#define BLOCK_MIN 256u
#define BLOCK_MAX (256u * 1024)

struct fl_arena_block {
    struct fl_arena_block *next;
    size_t size;
    _Alignas(FL_ARENA_ALIGN) char data[];
};

static size_t round_up(size_t n)
{
    return (n + FL_ARENA_ALIGN - 1) & ~(size_t)(FL_ARENA_ALIGN - 1);
}

static struct fl_arena_block *block_new(size_t size, struct fl_arena_block *next)
{
    struct fl_arena_block *b = xmalloc(sizeof *b + size);

    b->next = next;
    b->size = size;
    return b;
}

/* Allocates from the newest block, from its beginning. */
static void begin_block(struct fl_arena *a)
{
    a->at = a->blocks->data;
    a->end = a->blocks->data + a->blocks->size;
}

static void *pb_alloc(void *arena, size_t n)
{
    return fl_arena_alloc(arena, n);
}

static void pb_free(void *arena, void *p)
{
    (void)arena;
    (void)p;
}

struct fl_arena *fl_arena_new(size_t first_block)
{
    struct fl_arena *a = xnew0(struct fl_arena);
    size_t size = round_up(FL_MAX(first_block, (size_t)BLOCK_MIN));

    a->alloc = (ProtobufCAllocator){.alloc = pb_alloc, .free = pb_free, .allocator_data = a};
    a->blocks = block_new(size, NULL);
    a->next_size = FL_MIN(size * 2, (size_t)BLOCK_MAX);
    begin_block(a);
    return a;
}

void fl_arena_free(struct fl_arena *a)
{
    struct fl_arena_block *next;

    if (!a)
        return;
    for (struct fl_arena_block *b = a->blocks; b; b = next) {
        next = b->next;
        free(b);
    }
    free(a);
}

void fl_arena_reset(struct fl_arena *a)
{
    while (a->blocks->next) {
        struct fl_arena_block *next = a->blocks->next;

        free(a->blocks);
        a->blocks = next;
    }
    a->used = 0;
    a->next_size = FL_MIN(a->blocks->size * 2, (size_t)BLOCK_MAX);
    begin_block(a);
}

static void *alloc_slow(struct fl_arena *a, size_t n)
{
    struct fl_arena_block *b;

    /* A big one goes behind the current block, whose rest stays in use. */
    if (n > a->next_size / 2) {
        b = block_new(n, a->blocks->next);
        a->blocks->next = b;
        a->used += n;
        return b->data;
    }
    a->used += (size_t)(a->at - a->blocks->data);
    a->blocks = block_new(a->next_size, a->blocks);
    a->next_size = FL_MIN(a->next_size * 2, (size_t)BLOCK_MAX);
    begin_block(a);
    a->at += n;
    return a->blocks->data;
}

void *fl_arena_alloc(struct fl_arena *a, size_t n)
{
    /* Blocks end aligned, so this does not go beyond. */
    char *p = (char *)round_up((uintptr_t)a->at);

    if (n > SIZE_MAX / 2)
        abort();
    n = round_up(FL_MAX(n, (size_t)1));
    if (n > (size_t)(a->end - p))
        return alloc_slow(a, n);
    a->at = p + n;
    return p;
}

char *fl_arena_strdup(struct fl_arena *a, const char *s)
{
    size_t n = strlen(s) + 1;

    return memcpy(fl_arena_take(a, n, 1), s, n);
}

size_t fl_arena_used(const struct fl_arena *a)
{
    return a->used + (size_t)(a->at - a->blocks->data);
}

ProtobufCAllocator *fl_arena_allocator(struct fl_arena *a)
{
    return &a->alloc;
}

struct fl_arena *fl_arena_of(const ProtobufCAllocator *alloc)
{
    return alloc && alloc->alloc == pb_alloc ? alloc->allocator_data : NULL;
}

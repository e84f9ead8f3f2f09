/* The bump allocator. Blocks form a list, newest first; each is twice the one before up to
 * BLOCK_MAX, and what does not fit in a block of that size gets one of its own. The first block
 * stays through a reset, so an arena that is used again and again for messages of one kind stops
 * calling malloc. */
#include "common/base/buf.h"

#define ALIGN     16u
#define BLOCK_MIN 256u
#define BLOCK_MAX (256u * 1024)

struct block {
    struct block *next;
    size_t size;
    _Alignas(ALIGN) char data[];
};

struct fl_arena {
    ProtobufCAllocator alloc;
    struct block *blocks; /* the newest, from which is allocated */
    size_t pos;           /* bytes taken of it */
    size_t used;          /* bytes handed out altogether */
    size_t next_size;
};

static struct block *block_new(size_t size, struct block *next)
{
    struct block *b = xmalloc(sizeof *b + size);

    b->next = next;
    b->size = size;
    return b;
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
    size_t size = (FL_MAX(first_block, (size_t)BLOCK_MIN) + ALIGN - 1) & ~(size_t)(ALIGN - 1);

    a->alloc = (ProtobufCAllocator){.alloc = pb_alloc, .free = pb_free, .allocator_data = a};
    a->blocks = block_new(size, NULL);
    a->next_size = FL_MIN(size * 2, (size_t)BLOCK_MAX);
    return a;
}

void fl_arena_free(struct fl_arena *a)
{
    struct block *next;

    if (!a)
        return;
    for (struct block *b = a->blocks; b; b = next) {
        next = b->next;
        free(b);
    }
    free(a);
}

void fl_arena_reset(struct fl_arena *a)
{
    while (a->blocks->next) {
        struct block *next = a->blocks->next;

        free(a->blocks);
        a->blocks = next;
    }
    a->pos = 0;
    a->used = 0;
    a->next_size = FL_MIN(a->blocks->size * 2, (size_t)BLOCK_MAX);
}

static void *alloc_slow(struct fl_arena *a, size_t n)
{
    struct block *b;

    /* A big one goes behind the current block, whose rest stays in use. */
    if (n > a->next_size / 2) {
        b = block_new(n, a->blocks->next);
        a->blocks->next = b;
        a->used += n;
        return b->data;
    }
    b = block_new(a->next_size, a->blocks);
    a->next_size = FL_MIN(a->next_size * 2, (size_t)BLOCK_MAX);
    a->blocks = b;
    a->pos = n;
    a->used += n;
    return b->data;
}

void *fl_arena_alloc(struct fl_arena *a, size_t n)
{
    void *p;

    if (n > SIZE_MAX / 2)
        abort();
    n = (FL_MAX(n, (size_t)1) + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (n > a->blocks->size - a->pos)
        return alloc_slow(a, n);
    p = a->blocks->data + a->pos;
    a->pos += n;
    a->used += n;
    return p;
}

char *fl_arena_strdup(struct fl_arena *a, const char *s)
{
    size_t n = strlen(s) + 1;

    return memcpy(fl_arena_alloc(a, n), s, n);
}

size_t fl_arena_used(const struct fl_arena *a)
{
    return a->used;
}

ProtobufCAllocator *fl_arena_allocator(struct fl_arena *a)
{
    return &a->alloc;
}

/* A growing byte buffer, and the arena that messages are decoded into. One owner at a time; no locks. */
#ifndef COMMON_BASE_BUF_H
#define COMMON_BASE_BUF_H

#include <protobuf-c/protobuf-c.h>

#include "common/base/util.h"

#pragma GCC visibility push(default) /* for modules: master/allocator/allocator.h */

struct fl_buf {
    char *data; /* owned; not terminated unless fl_buf_cstr() was called */
    size_t len;
    size_t cap;
};

#define FL_BUF_INIT                                                                                \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }
void fl_buf_done(struct fl_buf *b);
#define _cleanup_buf_ _cleanup_(fl_buf_done)
void fl_buf_clear(struct fl_buf *b);              /* length 0, keeps the memory */
char *fl_buf_reserve(struct fl_buf *b, size_t n); /* room for n more bytes at data + len */
void fl_buf_add(struct fl_buf *b, const void *p, size_t n);
void fl_buf_adds(struct fl_buf *b, const char *s);
void fl_buf_addc(struct fl_buf *b, char c);
void fl_buf_addf(struct fl_buf *b, const char *fmt, ...) _printf_(2, 3);
void fl_buf_drain(struct fl_buf *b, size_t n); /* drops the first n bytes */
char *fl_buf_cstr(struct fl_buf *b);           /* terminates; borrows */
char *fl_buf_take(struct fl_buf *b);           /* terminated memory, ownership to the caller */
void fl_buf_pack(struct fl_buf *b, const ProtobufCMessage *m); /* appends the encoded message */

/* Bump allocator. Everything unpacked with its allocator is freed at once with the arena; protobuf-c's
 * free_unpacked is not called on it. */
struct fl_arena;
struct fl_arena *fl_arena_new(size_t first_block);
void fl_arena_free(struct fl_arena *a);
FL_DEFINE_CLEANUP(struct fl_arena *, fl_arena_free, fl_arena_freep)
void fl_arena_reset(struct fl_arena *a);
void *fl_arena_alloc(struct fl_arena *a, size_t n); /* 16-byte aligned, not zeroed */
char *fl_arena_strdup(struct fl_arena *a, const char *s);
size_t fl_arena_used(const struct fl_arena *a);
/* An initialised message in the arena: FL_ARENA_NEW(arena, V1__TaskID, v1__task_id). */
#define FL_ARENA_NEW(arena, Type, prefix)                                                          \
    ({                                                                                             \
        Type *_m = fl_arena_alloc(arena, sizeof(Type));                                            \
        prefix##__init(_m);                                                                        \
        _m;                                                                                        \
    })
/* For the `allocator` argument of protobuf_c_message_unpack(). Borrowed from the arena. */
ProtobufCAllocator *fl_arena_allocator(struct fl_arena *a);

/* Deep copy of a message on the heap (free with protobuf_c_message_free_unpacked(m, NULL)), or in an arena. */
ProtobufCMessage *fl_pb_dup(const ProtobufCMessage *m, ProtobufCAllocator *alloc);
/* On the heap, of any message struct; assign it to a pointer of the same type. */
#define FL_PB_DUP(m) ((void *)fl_pb_dup(&(m)->base, NULL))
/* Two messages of one type are equal when their encodings are. */
bool fl_pb_equal(const ProtobufCMessage *a, const ProtobufCMessage *b);
size_t fl_pb_element_size(ProtobufCType type); /* of one element in a repeated field's array */
static inline void fl_pb_free(void *m)
{
    if (m)
        protobuf_c_message_free_unpacked((ProtobufCMessage *)m, NULL);
}
static inline void fl_pb_freep(void *p)
{
    fl_pb_free(*(void **)p);
}
#define _cleanup_pb_ _cleanup_(fl_pb_freep)

#pragma GCC visibility pop

#endif

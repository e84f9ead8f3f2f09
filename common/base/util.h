/* Small things every file needs: ownership by declaration, checked allocation, arrays.
 * Any thread. */
#ifndef COMMON_BASE_UTIL_H
#define COMMON_BASE_UTIL_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#pragma GCC visibility push(default) /* for modules: master/allocator/allocator.h */

#define _cleanup_(fn)       __attribute__((cleanup(fn)))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))
#define FL_PUBLIC           __attribute__((visibility("default")))

/* Hands a pointer over: the variable becomes NULL, so its cleanup does nothing. */
#define TAKE_PTR(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) _taken = (p);                                                                \
        (p) = NULL;                                                                                \
        _taken;                                                                                    \
    })
#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int _taken = (fd);                                                                         \
        (fd) = -EBADF;                                                                             \
        _taken;                                                                                    \
    })

#define ARRAY_SIZE(a)                   (sizeof(a) / sizeof((a)[0]))
#define FL_MIN(a, b)                    ((a) < (b) ? (a) : (b))
#define FL_MAX(a, b)                    ((a) > (b) ? (a) : (b))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Long-lived structs begin with `unsigned magic`; a callback gets its object back through this, which
 * stops the process when the pointer is not what it claims to be (our bug, never a peer's). */
#define FL_CAST(type, MAGIC, ptr)                                                                  \
    ({                                                                                             \
        struct type *_obj = (struct type *)(ptr);                                                  \
        assert(_obj && _obj->magic == (MAGIC));                                                    \
        _obj;                                                                                      \
    })

/* Defines the cleanup function `name` for a type whose free function takes the pointer. */
#define FL_DEFINE_CLEANUP(type, free_fn, name)                                                     \
    static inline void name(type *p)                                                               \
    {                                                                                              \
        if (*p)                                                                                    \
            free_fn(*p);                                                                           \
    }

/* Out of memory ends a daemon: there is nothing sensible it could still do. */
void *xmalloc(size_t n) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t n) __attribute__((returns_nonnull));
/* Grows an array for at least `need` elements; doubles. `*cap` counts elements. */
void *xgrow(void *p, size_t *cap, size_t need, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
void *xmemdup(const void *p, size_t n) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...) _printf_(1, 2) __attribute__((malloc, returns_nonnull));
#define xnew0(type) ((type *)xcalloc(1, sizeof(type)))

static inline void freep(void *p)
{
    free(*(void **)p);
}
#define _cleanup_free_ _cleanup_(freep)

static inline void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define _cleanup_close_ _cleanup_(closep)

static inline bool streq(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}
static inline bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}
static inline bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}
/* snprintf that never leaves the buffer unterminated; 0, or -ENOSPC when it did not fit. */
int fl_snprintf(char *buf, size_t size, const char *fmt, ...) _printf_(3, 4);

/* Whole-text number parsing: the text must be a number and nothing else. 0 or -EINVAL / -ERANGE. */
int fl_parse_i64(const char *s, int64_t *ret);
int fl_parse_u64(const char *s, uint64_t *ret);
int fl_parse_f64(const char *s, double *ret);

#pragma GCC visibility pop

#endif

/* Regular expressions that match in linear time, of RE2's syntax: what frameworks send is run on the core thread, so no
 * pattern may cost more than its text is long. A C face of a C++ library. Any thread. */
#ifndef COMMON_MODEL_REGEX_H
#define COMMON_MODEL_REGEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fl_regex;
/* What a pattern may cost. */
struct fl_regex_limits {
    int64_t max_memory; /* bytes, of the compiled pattern and its cache */
    int64_t max_program;
};
/* The protocol's bounds. */
#define FL_REGEX_LIMITS                                                                            \
    {                                                                                              \
        4096, 100                                                                                  \
    }
/* NULL when the pattern is wrong or needs more than `limits`; then `why` has a sentence. */
struct fl_regex *fl_regex_new(const char *pattern, const struct fl_regex_limits *limits, char *why,
                              size_t why_size);
void fl_regex_free(struct fl_regex *r);
bool fl_regex_matches_whole(const struct fl_regex *r, const char *text);

#ifdef __cplusplus
}
#endif

#endif

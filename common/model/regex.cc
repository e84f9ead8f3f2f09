/* The only C++ of the project: RE2 has no C interface. Nothing is thrown across; RE2 itself throws nothing. */
#include "common/model/regex.h"

#include <cstdio>
#include <new>

#include <re2/re2.h>

namespace
{
RE2::Options bounded(const fl_regex_limits *limits)
{
    RE2::Options options(RE2::Quiet);
    options.set_max_mem(limits->max_memory);
    return options;
}
} // namespace

struct fl_regex {
    RE2 re;
    fl_regex(const char *pattern, const fl_regex_limits *limits) : re(pattern, bounded(limits))
    {
    }
};

extern "C" struct fl_regex *fl_regex_new(const char *pattern, const struct fl_regex_limits *limits,
                                         char *why, size_t why_size)
{
    fl_regex *r = new (std::nothrow) fl_regex(pattern, limits);
    if (!r) {
        snprintf(why, why_size, "out of memory");
        return nullptr;
    }
    if (!r->re.ok()) {
        snprintf(why, why_size, "%s", r->re.error().c_str());
        delete r;
        return nullptr;
    }
    if (r->re.ProgramSize() > limits->max_program) {
        snprintf(why, why_size, "it is too complex: a program of %d steps, the most is %lld",
                 r->re.ProgramSize(), static_cast<long long>(limits->max_program));
        delete r;
        return nullptr;
    }
    return r;
}

extern "C" void fl_regex_free(struct fl_regex *r)
{
    delete r;
}

extern "C" bool fl_regex_matches_whole(const struct fl_regex *r, const char *text)
{
    return RE2::FullMatch(text, r->re);
}

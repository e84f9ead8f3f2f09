/* The only C++ of the project: RE2 has no C interface. Nothing is thrown across; RE2 itself throws nothing. */
#include "common/model/regex.h"

#include <cstdio>
#include <new>

#include <re2/re2.h>

namespace
{
constexpr int MAX_MEMORY = 4096; /* bytes, of the compiled pattern and its cache */
constexpr int MAX_PROGRAM = 100;

RE2::Options bounded()
{
    RE2::Options options(RE2::Quiet);
    options.set_max_mem(MAX_MEMORY);
    return options;
}
} // namespace

struct fl_regex {
    RE2 re;
    explicit fl_regex(const char *pattern) : re(pattern, bounded())
    {
    }
};

extern "C" struct fl_regex *fl_regex_new(const char *pattern, char *why, size_t why_size)
{
    fl_regex *r = new (std::nothrow) fl_regex(pattern);
    if (!r) {
        snprintf(why, why_size, "out of memory");
        return nullptr;
    }
    if (!r->re.ok()) {
        snprintf(why, why_size, "%s", r->re.error().c_str());
        delete r;
        return nullptr;
    }
    if (r->re.ProgramSize() > MAX_PROGRAM) {
        snprintf(why, why_size, "it is too complex: a program of %d steps, the most is %d",
                 r->re.ProgramSize(), MAX_PROGRAM);
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

/* What was built, when: /version, GET_VERSION and --version. FL_VERSION is numeric and says which
 * version of the reference's protocol is spoken, for there are clients that parse it as numbers and
 * ask for at least 1.5. */
#ifndef COMMON_BASE_BUILD_H
#define COMMON_BASE_BUILD_H

struct fl_build {
    const char *git_sha;    /* "" when not built from a checkout */
    const char *git_branch; /* "refs/heads/main"; "" when there is none */
    const char *git_tag;    /* that of the commit, or "" */
    const char *date;       /* "2026-11-21 10:00:00" UTC */
    double time;            /* seconds since 1970 */
    const char *user;
};
extern const struct fl_build fl_build;

#endif

/* A seccomp profile, which is JSON in the form that Docker made common, and the filter program it stands for:
 *
 *   defaultAction, defaultErrnoRet
 *   architectures  ["SCMP_ARCH_X86_64", ...]   and/or
 *   archMap        [{architecture, subArchitectures}]: only the entry of this machine counts
 *   syscalls       [{names, action, errnoRet, args: [{index, value, valueTwo, op}], includes, excludes: {caps, arches, minKernel}}]
 * Any thread; a profile is not changed once it is read. */
#ifndef ISOLATORS_SECCOMP_PROFILE_H
#define ISOLATORS_SECCOMP_PROFILE_H

#include <linux/filter.h>

#include "common/base/err.h"

struct seccomp_profile;

/* Parses and checks all of it; whatever is wrong is FL_INVALID. */
int seccomp_profile_parse(const char *json, size_t n, struct seccomp_profile **ret,
                          struct fl_err *err);
void seccomp_profile_free(struct seccomp_profile *p);
FL_DEFINE_CLEANUP(struct seccomp_profile *, seccomp_profile_free, seccomp_profile_freep)
/* The program for a container that can get at most these capabilities; the caller's. */
int seccomp_profile_compile(const struct seccomp_profile *p, uint64_t bounding,
                            struct sock_filter **ret, size_t *ret_n, struct fl_err *err);

#endif

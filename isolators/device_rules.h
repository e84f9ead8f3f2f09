/* Which devices containers may use: the usual ones and those of --allowed_devices, as lines for version 1 of cgroups and as a BPF program
 * for version 2. All else is denied. Pure but for looking at the devices that --allowed_devices names. */
#ifndef ISOLATORS_DEVICE_RULES_H
#define ISOLATORS_DEVICE_RULES_H

#include <linux/bpf.h>

#include "common/base/err.h"

#define DEVICE_ANY (-1)

struct device_rule {
    char type;            /* 'c' or 'b' */
    int64_t major, minor; /* or DEVICE_ANY */
    bool read, write, mknod;
};
struct device_rules {
    struct device_rule *v; /* owned */
    size_t n;
};

/* The usual ones, and those of a JSON text as of --allowed_devices (NULL: none). */
int device_rules_make(const char *json, struct device_rules *ret, struct fl_err *err);
void device_rules_done(struct device_rules *r);
/* "c 1:3 rwm" */
void device_rule_text(const struct device_rule *r, char *buf, size_t size);
/* A BPF_PROG_TYPE_CGROUP_DEVICE program, which returns 1 for what is allowed; the caller's. */
struct bpf_insn *device_rules_program(const struct device_rules *r, size_t *ret_n);
/* Loads that program and attaches it to a version 2 group (which keeps it until it is removed): -errno as a message. */
int device_program_load(const struct bpf_insn *code, size_t n, int *ret_fd, struct fl_err *err);
int device_program_attach(int program, const char *group, struct fl_err *err);
/* Puts it in the place of the one that was attached, at once. */
int device_program_replace(int program, const char *group, struct fl_err *err);

#endif

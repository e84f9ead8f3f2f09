/* See detect.h. Rules of detection (features.md 4.2): all processors; memory without 1 GB (half of it below 2 GB); the disk of work_dir
 * without 5 GB (half below 10 GB); ports 31000-32000. What --resources names is taken as it is, the rest is detected. */
#include "agent/detect.h"

#include <errno.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>

#include "common/base/json.h"
#include "common/model/attributes.h"
#include "common/model/resources.h"
#include "isolators/gpu_choice.h"

#define MB    (1024ull * 1024)
#define GB    (1024ull * MB)
#define PORTS "31000-32000"

int agent_look_at_machine(const char *work_dir, struct machine *ret, struct fl_err *err)
{
    struct sysinfo info;
    struct statvfs fs;

    if (sysinfo(&info) < 0)
        return fl_err_errno(err, errno, "count the memory");
    if (statvfs(work_dir, &fs) < 0)
        return fl_err_errno(err, errno, "measure the disk of '%s'", work_dir);
    ret->cpus = (unsigned)FL_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1);
    ret->mem_bytes = (uint64_t)info.totalram * info.mem_unit;
    ret->disk_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
    return 0;
}

/* Leaves `keep` to the machine itself, or half when that would be more than half. */
static uint64_t share(uint64_t all, uint64_t keep)
{
    return all >= 2 * keep ? all - keep : all / 2;
}

static bool names(const struct resources *r, const char *name, struct fl_arena *arena)
{
    V1__Resource **pb;
    size_t n = resources_to_pb(r, RESOURCES_POST_REFINEMENT, false, arena, &pb);

    for (size_t i = 0; i < n; i++) {
        if (streq(pb[i]->name, name))
            return true;
    }
    return false;
}

/* "cpus:0" says that there are none, though it leaves no resource behind. */
static bool mentions(const char *text, const char *name)
{
    size_t n = strlen(name);

    if (!text || text[0] == '[')
        return false;
    for (const char *p = text; p && *p; p = strchr(p, ';') ? strchr(p, ';') + 1 : NULL) {
        while (*p == ' ' || *p == '\n' || *p == '\t')
            p++;
        if (strncmp(p, name, n) == 0 && (p[n] == ':' || p[n] == '(' || p[n] == ' '))
            return true;
    }
    return false;
}

/* Only under gpu/nvidia, for nobody else could keep containers apart on them. */
static int add_gpus(const struct agent_flags *f, bool wanted, struct fl_buf *text,
                    struct fl_err *err)
{
    const struct gpu_flags flags = {f->isolation, f->resources, f->default_role,
                                    f->nvidia_gpu_devices, f->nvml_library};
    struct gpu_choice c;
    int r = gpu_choose(&flags, &c, err);

    if (r < 0)
        return r;
    if (wanted && c.n)
        fl_buf_addf(text, "gpus:%zu;", c.n);
    gpu_choice_done(&c);
    return 0;
}

static int add_detected(struct resources *r, const struct agent_flags *flags,
                        const struct machine *m, struct fl_arena *arena, struct fl_err *err)
{
    _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
    _cleanup_resources_ struct resources more = RESOURCES_INIT;
    int rc;

#define WANTED(name) (!names(r, name, arena) && !mentions(flags->resources, name))
    if (WANTED("cpus"))
        fl_buf_addf(&text, "cpus:%u;", m->cpus);
    if (WANTED("mem"))
        fl_buf_addf(&text, "mem:%llu;", (unsigned long long)(share(m->mem_bytes, GB) / MB));
    if (WANTED("disk"))
        fl_buf_addf(&text, "disk:%llu;", (unsigned long long)(share(m->disk_bytes, 5 * GB) / MB));
    if (WANTED("ports"))
        fl_buf_adds(&text, "ports:[" PORTS "];");
    rc = add_gpus(flags, WANTED("gpus"), &text, err);
#undef WANTED
    if (rc < 0)
        return rc;
    if (text.len == 0)
        return 0;
    text.len--;
    rc = resources_parse(fl_buf_cstr(&text), flags->default_role, &more, err);
    if (rc < 0)
        return fl_err_wrap(err, "detected resources");
    resources_add(r, &more);
    return 0;
}

static int find_resources(const struct agent_flags *flags, const struct machine *m,
                          struct fl_arena *arena, V1__AgentInfo *info, struct fl_err *err)
{
    _cleanup_resources_ struct resources r = RESOURCES_INIT;
    int rc = 0;

    if (flags->resources && *flags->resources)
        rc = resources_parse(flags->resources, flags->default_role, &r, err);
    if (rc < 0)
        return fl_err_wrap(err, "--resources");
    rc = add_detected(&r, flags, m, arena, err);
    if (rc < 0)
        return rc;
    info->n_resources =
        resources_to_pb(&r, RESOURCES_POST_REFINEMENT, false, arena, &info->resources);
    return 0;
}

int agent_describe(const struct agent_flags *flags, const struct machine *machine,
                   const char *hostname, uint16_t port, struct fl_arena *arena,
                   V1__AgentInfo **ret_info, struct fl_err *err)
{
    V1__AgentInfo *info = fl_arena_alloc(arena, sizeof *info);
    int r;

    v1__agent_info__init(info);
    info->hostname = fl_arena_strdup(arena, hostname);
    info->has_port = true;
    info->port = port;
    r = find_resources(flags, machine, arena, info, err);
    if (r == 0 && flags->attributes && *flags->attributes) {
        r = attributes_parse(flags->attributes, arena, &info->attributes, &info->n_attributes, err);
        if (r < 0)
            fl_err_wrap(err, "--attributes");
    }
    if (r == 0 && flags->domain) {
        r = fl_json_to_pb(flags->domain, strlen(flags->domain), &v1__domain_info__descriptor, 0,
                          fl_arena_allocator(arena), (ProtobufCMessage **)&info->domain, err);
        if (r < 0)
            fl_err_wrap(err, "--domain");
    }
    if (r < 0)
        return r;
    *ret_info = info;
    return 0;
}

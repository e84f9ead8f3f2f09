/* fairlead-allocator-replay: plays a log of --allocator_log into a fresh allocator and compares the decisions. See
 * docs/allocator-log.md. Exit status: 0 equal, 1 different, 2 the log or the command line cannot be used. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "common/base/flags.h"
#include "master/allocator/replay.h"
#include "master/shell.h"

#define PROGRAM "fairlead-allocator-replay"

enum { EQUAL = 0, DIFFERENT = 1, UNUSABLE = 2 };

struct options {
    char *module, *modules;
    bool verify, print, stats;
};

#define ROW(name, type, help) FL_FLAG_ROW(struct options, name, type, name, NULL, 0, help)
static const struct fl_flag rows[] = {
    ROW(module, FLAG_STRING, "Allocator to play into. Default: the one that the log names.")
        ROW(modules, FLAG_STRING,
            "Where to find it: the master's --modules (file:///PATH for what is in a file), or the "
            "path of a shared object, which ends with .so.")
            ROW(verify, FLAG_BOOL, "Play and compare. Done by default.")
                ROW(print, FLAG_BOOL, "Write each record as a line, and play nothing.")
                    ROW(stats, FLAG_BOOL,
                        "Play and compare, then write counts, processor time and memory.")};
#undef ROW

static int unusable(const struct fl_err *err)
{
    fprintf(stderr, PROGRAM ": %s\n", err->msg);
    return UNUSABLE;
}

static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- the file ---- */

struct log_file {
    void *data;
    size_t len;
};

static int map_log(const char *path, struct log_file *ret, struct fl_err *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    void *data = NULL;

    if (fd < 0 || fstat(fd, &st) < 0)
        return fl_err_errno(err, errno, "open the allocator log '%s'", path);
    if (!S_ISREG(st.st_mode))
        return fl_err_set(err, FL_INVALID, "the allocator log '%s' is no file", path);
    if (st.st_size > 0) {
        data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            return fl_err_errno(err, errno, "map the allocator log '%s'", path);
    }
    *ret = (struct log_file){data, (size_t)st.st_size};
    return 0;
}

/* ---- what it does ---- */

static int print(const struct log_file *f, struct fl_err *err)
{
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(4096);
    _cleanup_buf_ struct fl_buf line = FL_BUF_INIT;
    struct alog_reader reader;
    Alog__Record *rec;
    int r = alog_reader_init(&reader, f->data, f->len, err);

    if (r < 0)
        return r;
    printf("# allocator=%s program=%s format=%u interface=%u\n", reader.header->allocator,
           reader.header->program ? reader.header->program : "", reader.header->format,
           reader.header->abi);
    while ((r = alog_next(&reader, arena, &rec, err)) > 0) {
        fl_buf_clear(&line);
        replay_format(&reader, rec, &line);
        printf("%llu %s\n", (unsigned long long)reader.record, fl_buf_cstr(&line));
        fl_arena_reset(arena);
    }
    if (reader.torn)
        printf("# the last record is torn\n");
    alog_reader_done(&reader);
    return r;
}

static void print_stats(const struct replay_result *res, size_t heap_before, size_t heap_most)
{
    printf("%-22s %12s %12s %10s\n", "kind", "records", "cpu ms", "us each");
    for (unsigned k = 0; k < REPLAY_KINDS; k++) {
        const struct replay_count *c = &res->kinds[k];
        if (c->n == 0)
            continue;
        printf("%-22s %12llu", replay_kind_name((Alog__Record__Kind)k), (unsigned long long)c->n);
        if (k < ALOG__RECORD__KIND__OFFER)
            printf(" %12.3f %10.3f", (double)c->cpu_ns / 1e6,
                   (double)c->cpu_ns / 1e3 / (double)c->n);
        printf("\n");
    }
    printf("recorded time %.3f s\n", (double)(res->last_us - res->first_us) / 1e6);
    printf("memory at most %zu bytes\n", heap_most > heap_before ? heap_most - heap_before : 0);
}

static void on_progress(void *arg, const struct alog_reader *reader)
{
    size_t *most = arg;

    if (reader->record % 1024 == 1)
        *most = FL_MAX(*most, mallinfo2().uordblks);
}

static int play(const struct log_file *f, const struct allocator_ops *ops, bool stats,
                struct fl_err *err)
{
    size_t before = mallinfo2().uordblks, most = before;
    struct replay_config c = {
        .log = f->data,
        .log_len = f->len,
        .ops = ops,
        .cpu_ns = stats ? cpu_ns : NULL,
        .progress = stats ? on_progress : NULL,
        .arg = &most,
    };
    struct replay_result res;
    int status, r = replay_log(&c, &res, err);

    if (r < 0)
        return unusable(err);
    if (res.differs)
        printf("%s", fl_buf_cstr(&res.difference));
    else
        printf("equal: %llu inputs, %llu decisions%s\n", (unsigned long long)res.inputs,
               (unsigned long long)res.decisions, res.torn ? "; the last record is torn" : "");
    if (stats)
        print_stats(&res, before, most);
    status = res.differs ? DIFFERENT : EQUAL;
    replay_result_done(&res);
    return status;
}

/* By --module and --modules, or the name in the log. */
static int find_module(const struct options *o, const struct log_file *f,
                       const struct allocator_ops **ret, struct fl_err *err)
{
    struct alog_reader reader;
    int r = alog_reader_init(&reader, f->data, f->len, err);
    const char *name;

    if (r == 0) {
        name = o->module ? o->module : reader.header->allocator;
        if (o->modules && str_ends(o->modules, ".so"))
            r = allocator_load(o->modules, name, ret, err);
        else
            r = shell_find_allocator(name, o->modules, ret, err);
    }
    alog_reader_done(&reader);
    return r;
}

static int work(const struct options *o, const char *path, struct fl_err *err)
{
    const struct allocator_ops *ops;
    struct log_file f = {0};
    int status;

    if (map_log(path, &f, err) < 0)
        return unusable(err);
    if (o->print)
        status = print(&f, err) < 0 ? unusable(err) : EQUAL;
    else if (find_module(o, &f, &ops, err) < 0)
        status = unusable(err);
    else
        status = play(&f, ops, o->stats, err);
    if (f.data)
        munmap(f.data, f.len);
    return status;
}

int main(int argc, char **argv)
{
    struct options o = {0};
    struct fl_flags *flags = NULL;
    struct fl_err err = {0};
    bool help = false, version = false;
    int rest = argc, status;
    int r =
        fl_flags_new(PROGRAM,
                     "usage: " PROGRAM " LOG [FLAGS]\n\nPlays a log of the master's "
                     "--allocator_log into a fresh allocator and compares its "
                     "decisions.\nExit status: 0 equal, 1 different, 2 the log or the command line "
                     "cannot be used.",
                     rows, ARRAY_SIZE(rows), &o, &flags, &err);
    const char *path = argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;

    /* The log comes first or last. */
    if (r == 0)
        r = path ? fl_flags_parse(flags, argc - 1, argv + 1, &rest, &help, &version, &err)
                 : fl_flags_parse(flags, argc, argv, &rest, &help, &version, &err);
    if (r == 0 && !path && rest < argc)
        path = argv[rest++];
    else if (path)
        rest++;
    if (r == 0 && !help && !version && (!path || rest < argc))
        r = fl_err_set(&err, FL_INVALID, "give one log; --help says more");
    if (r < 0) {
        status = unusable(&err);
    } else if (help) {
        _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
        fl_flags_help(flags, &out);
        fputs(fl_buf_cstr(&out), stdout);
        status = EQUAL;
    } else if (version) {
        printf(PROGRAM " %s\n", FL_VERSION);
        status = EQUAL;
    } else {
        status = work(&o, path, &err);
    }
    fl_flags_free(flags);
    return status;
}

/* Fuzzes the command line and single values: the input's lines are arguments of fairlead-master. */
#include <stdint.h>

#include "master/flags.h"

static void ignore_pair(const char *name, const char *text, void *arg)
{
    *(size_t *)arg += strlen(name) + strlen(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct master_flags values = {0};
    struct fl_flags *f = NULL;
    struct fl_err err;
    _cleanup_free_ char *text = xstrndup((const char *)data, size);
    char *argv[64] = {"fuzz"};
    int argc = 1, rest;
    bool help, version;
    uint64_t number;
    size_t seen = 0;

    (void)fl_duration_parse(text, &number, &err);
    (void)fl_bytes_parse(text, &number, &err);
    for (char *p = text; *p && argc < 63;) {
        size_t n = strcspn(p, "\n");
        bool last = p[n] == '\0';
        p[n] = '\0';
        /* Files of the machine are not the fuzzer's to read. */
        if (!strstr(p, "file:") && !strstr(p, "=/"))
            argv[argc++] = p;
        p += n + !last;
    }
    if (master_flags_new(&values, &f, &err) < 0)
        abort();
    if (fl_flags_parse(f, argc, argv, &rest, &help, &version, &err) == 0) {
        assert(rest >= 1 && rest <= argc);
        (void)master_flags_finish(f, &values, &err);
    }
    fl_flags_each(f, ignore_pair, &seen);
    fl_flags_free(f);
    return 0;
}

/* Small readers of JSON. */
#include <stdio.h>

#include "cli/cli.h"

const char *jstr(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

double jnum(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

bool jtrue(const json_t *o, const char *key)
{
    return json_is_true(json_object_get(o, key));
}

const char *jid(const json_t *o, const char *key)
{
    return jstr(json_object_get(o, key), "value");
}

const json_t *jpath(const json_t *o, const char *path)
{
    char key[64];

    while (o && *path) {
        size_t n = strcspn(path, ".");
        fl_snprintf(key, sizeof(key), "%.*s", (int)n, path);
        o = json_object_get(o, key);
        path += n + (path[n] == '.');
    }
    return o;
}

void cli_print_json(const json_t *j)
{
    json_dumpf(j, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    putchar('\n');
}

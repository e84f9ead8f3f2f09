#include "cli/details.h"

#include <stdio.h>

static void add_object(const json_t *o, struct fl_buf *out)
{
    const char *key;
    json_t *value;
    bool any = false;

    json_object_foreach((json_t *)(uintptr_t)o, key, value)
    {
        fl_buf_addf(out, "%s%s ", any ? ", " : "", key);
        value_text(value, out);
        any = true;
    }
    if (!any)
        fl_buf_addc(out, '-');
}

void value_text(const json_t *value, struct fl_buf *out)
{
    json_t *one;
    size_t i;

    if (json_is_string(value))
        fl_buf_adds(out, json_string_value(value));
    else if (json_is_number(value))
        fl_buf_addf(out, "%.15g", json_number_value(value));
    else if (json_is_boolean(value))
        fl_buf_adds(out, json_is_true(value) ? "yes" : "no");
    else if (json_is_object(value) && json_object_size(value) == 1 &&
             json_object_get(value, "value"))
        value_text(json_object_get(value, "value"), out);
    else if (json_is_object(value))
        add_object(value, out);
    json_array_foreach(value, i, one)
    {
        fl_buf_adds(out, i ? ", " : "");
        value_text(one, out);
    }
}

void details_print(const json_t *o, const struct detail *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const json_t *value = jpath(o, rows[i].path);
        _cleanup_buf_ struct fl_buf text = FL_BUF_INIT;
        if (!value)
            continue;
        value_text(value, &text);
        _cleanup_free_ char *clean = text_clean(fl_buf_cstr(&text));
        printf("%-16s %s\n", rows[i].label, *clean ? clean : "-");
    }
}

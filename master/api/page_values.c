/* See page_values.h. */
#include "master/api/page_values.h"

#include <math.h>

const char *const page_amount_names[PAGE_AMOUNTS] = {"cpus", "gpus", "mem", "disk"};

void page_put_text(struct fl_buf *b, const char *s)
{
    json_put_string(b, s, strlen(s));
}

void page_next_text(struct fl_buf *b, const char *s_or_null)
{
    json_put_char(b, ',');
    if (s_or_null)
        page_put_text(b, s_or_null);
    else
        JSON_PUT(b, "null");
}

void page_next_uint(struct fl_buf *b, uint64_t v)
{
    json_put_char(b, ',');
    json_put_uint(b, v);
}

/* 1500 is 1.5 */
void page_put_milli(struct fl_buf *b, milli_t v)
{
    unsigned part = (unsigned)((v < 0 ? -v : v) % 1000);
    char digits[4] = {'.', (char)('0' + part / 100), (char)('0' + part / 10 % 10),
                      (char)('0' + part % 10)};
    size_t n = part == 0 ? 0 : part % 100 == 0 ? 2 : part % 10 == 0 ? 3 : 4;

    if (v < 0)
        json_put_char(b, '-');
    json_put_uint(b, (uint64_t)(v < 0 ? -(v / 1000) : v / 1000));
    json_put_raw(b, digits, n);
}

void page_next_time(struct fl_buf *b, double seconds)
{
    json_put_char(b, ',');
    if (seconds > 0 && seconds < 1e12)
        page_put_milli(b, llround(seconds * 1000));
    else
        JSON_PUT(b, "null");
}

void page_put_amounts(struct fl_buf *b, const milli_t of[PAGE_AMOUNTS])
{
    for (int i = 0; i < PAGE_AMOUNTS; i++) {
        json_put_char(b, i ? ',' : '[');
        page_put_milli(b, of[i]);
    }
    json_put_char(b, ']');
}

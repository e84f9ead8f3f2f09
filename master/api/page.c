/* The page at "/": one file, compiled in, so that a master serves it from wherever it was installed. */
#include "master/api/handlers.h"

__asm__(".section .rodata\n"
        "page_begin: .incbin \"webui/index.html\"\n"
        "page_end:\n"
        ".previous\n");
extern const char page_begin[] __asm__("page_begin"), page_end[] __asm__("page_end");

void page_get(struct http_exchange *ex, void *arg)
{
    const struct http_request *r = http_exchange_request(ex);
    _cleanup_buf_ struct fl_buf body = FL_BUF_INIT;

    /* Every path that no route takes ends here: only the root is the page. */
    if (!streq(r->path, "/") && !streq(r->path, "/master") && !streq(r->path, "/master/")) {
        http_respondf(ex, 404, HTTP_TEXT, "There is nothing at '%s'", r->path);
        return;
    }
    fl_buf_add(&body, page_begin, (size_t)(page_end - page_begin));
    http_respond_buf(ex, 200, "text/html; charset=utf-8", &body);
}

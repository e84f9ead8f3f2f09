/* The files of the web page, compiled into the program: the table that tools/embed_assets.py makes of build/webui/. Constant; any thread. */
#ifndef MASTER_API_PAGE_ASSETS_H
#define MASTER_API_PAGE_ASSETS_H

#include <stdbool.h>
#include <stddef.h>

struct page_asset {
    const char *path; /* "/index.html", "/assets/main-ABC.js" */
    const char *type; /* Content-Type */
    const char *etag; /* of its content, without quotes */
    const char *data;
    size_t len;
    const char *gzip; /* the same compressed; NULL where that is not smaller */
    size_t gzip_len;
    /* For the page's own scripts within a document: 'sha256-...' words that its Content-Security-Policy allows besides 'self', each with
     * a space before it; "". */
    const char *scripts;
};
extern const struct page_asset page_assets[];
extern const size_t page_assets_n;

#endif

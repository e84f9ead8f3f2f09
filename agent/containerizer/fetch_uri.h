/* What a URI says before anything is asked of anybody: how it is got, what the file is called, its checksum. Pure; any thread.
 *
 * Names are the reference's: everything behind the last '/', a query with it. A checksum stands in the fragment, which is never sent to a
 * server: "http://host/file#sha256=<64 hexadecimal digits>", or sha512 and 128. */
#ifndef AGENT_CONTAINERIZER_FETCH_URI_H
#define AGENT_CONTAINERIZER_FETCH_URI_H

#include "common/base/digest.h"

enum fetch_way {
    FETCH_FILE, /* file://, or no scheme */
    FETCH_NET,  /* http, https, ftp, ftps */
    FETCH_HOOK, /* every other scheme: the hadoop client's */
};

struct fetch_uri {
    enum fetch_way way;
    char *uri;          /* without spaces before it and without the checksum */
    char *name;         /* of the file */
    const char *digest; /* static: "sha256", "sha512"; NULL: none was given */
    char hex[FL_DIGEST_HEX];
};

/* On failure there is nothing to free. */
int fetch_uri_parse(const char *value, struct fetch_uri *ret, struct fl_err *err);
void fetch_uri_done(struct fetch_uri *u);
/* Of a FETCH_FILE: the path, the caller's. frameworks_home may be NULL or "". */
int fetch_uri_path(const struct fetch_uri *u, const char *frameworks_home, char **ret,
                   struct fl_err *err);
/* Whether output_file may be one: a path below the sandbox. */
int fetch_output_check(const char *output_file, struct fl_err *err);
/* The size of `uri` in what `hadoop fs -du URI` printed: a line of "SIZE [SIZE WITH COPIES] URI" among others. -ENOENT: not there. */
int fetch_du_size(const char *text, const char *uri, uint64_t *ret);
/* For messages: "http://user:***@host/..."; the caller's. */
char *fetch_uri_masked(const char *uri);

#endif

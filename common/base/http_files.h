/* /files/browse, read, download and debug: folders and files of this machine under virtual paths (features.md 2.3), and the same for
 * the v1 calls LIST_FILES and READ_FILE. Nothing outside what is attached can be seen: a path is resolved through symbolic links and must
 * still be below its root afterwards.
 *
 * Owner loop of the HTTP server. Reading is at most 16 pages a request, so nothing here blocks for long.
 */
#ifndef COMMON_BASE_HTTP_FILES_H
#define COMMON_BASE_HTTP_FILES_H

#include <sys/stat.h>

#include "common/base/http.h"

struct http_files;
struct http_files *http_files_new(void);
void http_files_free(struct http_files *f);
FL_DEFINE_CLEANUP(struct http_files *, http_files_free, http_files_freep)

/* `virtual_path` shows the file or folder `real`; replaces what it showed. A `real` that does not exist (yet) is FL_NOT_FOUND.
 * What is attached under its own path is not looked at again when it gets more names. */
int http_files_attach(struct http_files *f, const char *virtual_path, const char *real,
                      struct fl_err *err);
void http_files_detach(struct http_files *f, const char *virtual_path);
void http_files_detach_real(struct http_files *f,
                            const char *real); /* every virtual path that shows it */

/* What of the attached a path lies in; borrowed, `real` as it was given. False: in nothing. */
bool http_files_root(const struct http_files *f, const char *path, const char **ret_virtual,
                     const char **ret_real);

/* The endpoints; each answers. */
void http_files_browse(struct http_files *f, struct http_exchange *ex);
void http_files_read(struct http_files *f, struct http_exchange *ex);
void http_files_download(struct http_files *f, struct http_exchange *ex);
void http_files_debug(struct http_files *f, struct http_exchange *ex);

/* For the v1 calls. FL_INVALID: outside, or not what was asked for; FL_NOT_FOUND. */
struct http_file_info {
    const char *path; /* virtual */
    struct stat st;
    const char *user, *group; /* names, or numbers as text */
};
typedef void http_files_each_f(const struct http_file_info *info, void *arg);
int http_files_list(struct http_files *f, const char *path, http_files_each_f *fn, void *arg,
                    struct fl_err *err);
/* At most `length` and at most 16 pages; *ret_size is the whole file's. Beyond the end: no data. */
int http_files_get(struct http_files *f, const char *path, uint64_t offset, uint64_t length,
                   struct fl_buf *out, uint64_t *ret_size, struct fl_err *err);

#endif

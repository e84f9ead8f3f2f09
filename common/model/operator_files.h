/* LIST_FILES and READ_FILE, which master and agent answer alike: what common/base/http_files.h shows, as messages. Whether the caller
 * may see the path is asked before. Owner loop of the HTTP server. */
#ifndef COMMON_MODEL_OPERATOR_FILES_H
#define COMMON_MODEL_OPERATOR_FILES_H

#include "common/base/http_files.h"
#include "proto/mesos.pb-c.h"

/* The folder's entries in the order of their names, in the arena. FL_INVALID, FL_NOT_FOUND. */
int operator_list_files(struct http_files *f, const char *path, struct fl_arena *arena,
                        V1__FileInfo ***ret_infos, size_t *ret_n, struct fl_err *err);
/* As http_files_get(), the data in the arena. */
int operator_read_file(struct http_files *f, const char *path, uint64_t offset, uint64_t length,
                       struct fl_arena *arena, ProtobufCBinaryData *ret_data, uint64_t *ret_size,
                       struct fl_err *err);

#endif

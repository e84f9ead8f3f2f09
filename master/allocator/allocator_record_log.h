/* The format of the allocator's log, for the recorder and the replay (docs/allocator-log.md). Pure, one thread.
 *
 *   "FLALLOC1"  frame(Header)  frame(Record) ...
 *   frame: length of the message as a varint, CRC-32 of the message (4 bytes, little endian), message
 *
 * Texts and sets of resources repeat a lot: each is written once and then named by its number. Both sides forget the
 * dictionary at the same record when it has grown to ALOG_DICT_MAX, so memory is bounded.
 */
#ifndef MASTER_ALLOCATOR_ALLOCATOR_RECORD_LOG_H
#define MASTER_ALLOCATOR_ALLOCATOR_RECORD_LOG_H

#include <uthash.h>

#include "master/allocator/allocator_record.h"
#include "proto/allocator_log.pb-c.h"

#define ALOG_MAGIC      "FLALLOC1"
#define ALOG_MAGIC_LEN  8
#define ALOG_FORMAT     1
#define ALOG_DICT_MAX   (8u << 20)  /* bytes of entries */
#define ALOG_RECORD_MAX (64u << 20) /* bytes of one message; longer is no log of ours */

/* ---- writing ---- */

struct alog_entry;
struct alog_writer {
    const struct allocator_sink *sink;
    struct alog_entry *dict; /* hash by content */
    uint32_t n_dict;
    size_t dict_bytes;
    ProtobufCBinaryData *define; /* of the record at hand; contents are the entries' */
    size_t n_define, define_cap;
    struct fl_arena *arena; /* of the record at hand */
    struct fl_buf scratch, frame;
    uint64_t now_us;
    bool stopped; /* the sink wants no more */
};
void alog_writer_init(struct alog_writer *w, const struct allocator_sink *sink);
void alog_writer_done(struct alog_writer *w);
void alog_write_header(struct alog_writer *w, const char *allocator);
/* A record from alog_begin() to alog_end(); what the functions between return lives until then. When recording has stopped,
 * alog_begin() is false. */
bool alog_begin(struct alog_writer *w, Alog__Record *r, Alog__Record__Kind kind);
void alog_end(struct alog_writer *w, Alog__Record *r);
void alog_put_now(struct alog_writer *w, Alog__Record *r, uint64_t now_us);
uint32_t alog_text_ref(struct alog_writer *w, const char *text_or_null);
uint32_t alog_resources_ref(struct alog_writer *w, const struct resources *res);
void alog_put_names(struct alog_writer *w, Alog__Record *r, const char *const *names, size_t n);
/* The bytes of a dictionary entry for these resources: equal bytes are equal resources in equal order. */
void alog_pack_resources(const struct resources *res, struct fl_arena *arena, struct fl_buf *out);

/* ---- reading ---- */

struct alog_item {
    const char *data; /* owned, followed by a NUL */
    size_t len;
    struct resources *res; /* parsed when first asked for; owned */
};
struct alog_reader {
    const uint8_t *data;
    size_t len, pos;
    uint64_t record; /* number of the last record read; the first is 1 */
    uint64_t now_us;
    bool torn;            /* ends within a record: the recording process was killed */
    Alog__Header *header; /* owned */
    struct alog_item *dict;
    size_t n_dict, dict_cap;
    /* The dictionary before the last `forget`: what an input named lives until its decisions are read, and the record after
     * them may be the one that forgets. */
    struct alog_item *old;
    size_t n_old;
    uint64_t forgot_at; /* number of the record that forgot last; 0: none */
};
/* `data` is borrowed. FL_INVALID for what is no such log, or one of another format. */
int alog_reader_init(struct alog_reader *r, const void *data, size_t len, struct fl_err *err);
void alog_reader_done(struct alog_reader *r);
/* 1 and a record in the arena; 0 at the end; FL_INVALID for damage. */
int alog_next(struct alog_reader *r, struct fl_arena *arena, Alog__Record **ret,
              struct fl_err *err);
/* Entries of the dictionary, borrowed until the second record with `forget` from here. NULL for 0 and for a number that is not there. */
const struct alog_item *alog_item(const struct alog_reader *r, uint32_t ref);
const char *alog_text(const struct alog_reader *r, uint32_t ref);
/* FL_INVALID when the entry is none, or no resources. */
int alog_resources(struct alog_reader *r, uint32_t ref, const struct resources **ret,
                   struct fl_err *err);

#endif

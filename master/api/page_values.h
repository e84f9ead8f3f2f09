/* Values in the rows of the web page's events, as JSON: those called next_ have a comma before them, those called put_ have none. */
#ifndef MASTER_API_PAGE_VALUES_H
#define MASTER_API_PAGE_VALUES_H

#include "common/base/json_put.h"
#include "common/model/resources.h"

/* What amounts are told of, in the order of hello.resources. */
enum { PAGE_AMOUNTS = 4 };
extern const char *const page_amount_names[PAGE_AMOUNTS];

void page_put_text(struct fl_buf *b, const char *s);
void page_next_text(struct fl_buf *b, const char *s_or_null);
void page_next_uint(struct fl_buf *b, uint64_t v);
void page_put_milli(struct fl_buf *b, milli_t v);
/* Exact to thousandths; null when it is none (0). */
void page_next_time(struct fl_buf *b, double seconds);
void page_put_amounts(struct fl_buf *b, const milli_t of[PAGE_AMOUNTS]);

#endif

/* The web page's events as texts: `event: NAME`, one line of JSON, an empty line (text/event-stream). Rows of one table stand together in
 * events of at most PAGE_ROWS rows, each with the names of its columns. One thread.
 *
 *   agents      key id hostname pid region zone rack state version registered total used offered reserved attributes tasks
 *   frameworks  key id name user host principal roles state webui_url registered used offered tasks
 *   roles       name weight frameworks share used offered reserved guarantee limit
 *   tasks       key framework id name agent role state at healthy resources executor started
 *
 * Amounts are arrays in the order of hello.resources; in guarantee and limit a name that has none is null. Times are seconds, exact to
 * thousandths. `frameworks` of a role and `tasks` are numbers of them. framework and agent of a task are keys; the agent's may be of one
 * that is gone, or null. What is not known is null. */
#ifndef MASTER_API_PAGE_ROWS_H
#define MASTER_API_PAGE_ROWS_H

#include "master/api/viewer.h"
#include "master/roles.h"

#define PAGE_ROWS 1000

struct page_rows;
struct page_rows *page_rows_new(void);
void page_rows_free(struct page_rows *r);

/* Rows go to `out` until page_rows_end(), which closes the last event. The state may not change meanwhile. What the viewer does not see
 * is left out. */
void page_rows_begin(struct page_rows *r, const struct master *m, struct viewer *v,
                     struct fl_buf *out);
void page_rows_end(struct page_rows *r);
void page_put_agent(struct page_rows *r, const struct agent *a);
void page_put_known_agent(struct page_rows *r, const struct known_agent *k, bool unreachable);
void page_put_framework(struct page_rows *r, const struct framework *f);
void page_put_role(struct page_rows *r, const char *name,
                   const struct role *role_or_null); /* NULL: nothing is known of it */
void page_put_task(struct page_rows *r, const struct task *t);
/* What is gone, when there is such. A role that is there again is none. */
void page_put_gone(struct page_rows *r, const struct changes *c);

/* ---- the other events ---- */
#define PAGE_INTERVAL_MS 250
void page_put_hello(const struct master *m, const char *principal, const struct viewer *v,
                    struct fl_buf *out);
void page_put_beat(const struct master *m, struct fl_buf *out);
#define PAGE_READY "event: ready\ndata: {}\n\n"

#endif

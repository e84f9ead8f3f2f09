/* The replay. An input of the log is a call of the module; what the module decides meanwhile is compared with the records that
 * follow. The first difference ends it: from there on the module lives in another history.
 *
 * Two arenas: an input's message must live while the module reads on through its decisions.
 */
#include "master/allocator/replay_priv.h"

#include "common/base/json.h"

/* ---- the log, one record ahead ---- */

void replay_fail(struct replay *p, const struct fl_err *err)
{
    if (p->failed.code == 0)
        p->failed = *err;
}

bool replay_over(const struct replay *p)
{
    return p->result->differs || p->failed.code != 0;
}

/* NULL at the end of the log. */
static const Alog__Record *peek(struct replay *p)
{
    struct fl_err err;
    int rc;

    if (p->next || p->at_end || p->failed.code)
        return p->next;
    fl_arena_reset(p->decision_arena);
    rc = alog_next(&p->reader, p->decision_arena, &p->next, &err);
    if (rc < 0)
        replay_fail(p, &err);
    p->at_end = rc <= 0;
    if (rc > 0) {
        p->result->records++;
        p->result->last_us = p->reader.now_us;
    }
    return p->next;
}

static bool is_decision(const Alog__Record *rec)
{
    return rec->kind >= ALOG__RECORD__KIND__OFFER;
}

/* ---- comparing ---- */

static void describe_input(struct replay *p, struct fl_buf *out)
{
    fl_buf_addf(out, "in record %llu: ", (unsigned long long)p->input_number);
    if (p->input_number < p->reader.forgot_at) /* its names are gone */
        fl_buf_adds(out, replay_kind_name(p->input->kind));
    else
        replay_format(&p->reader, p->input, out);
    fl_buf_addc(out, '\n');
}

/* `came` holds what the module did; the record at hand is what it should have been. */
static void differ(struct replay *p, const Alog__Record *expected)
{
    struct fl_buf *out = &p->result->difference;

    p->result->differs = true;
    fl_buf_addf(out, "the decisions differ at record %llu, %.6f s\n",
                (unsigned long long)p->reader.record, (double)p->reader.now_us / 1e6);
    describe_input(p, out);
    fl_buf_adds(out, "expected:  ");
    if (expected && is_decision(expected))
        replay_format(&p->reader, expected, out);
    else
        fl_buf_adds(out, "nothing more");
    fl_buf_addf(out, "\ncame:      %s\n", fl_buf_cstr(&p->came));
}

static bool same_text(struct replay *p, uint32_t ref, const char *text)
{
    return streq(alog_text(&p->reader, ref), text);
}

static bool same_resources(struct replay *p, uint32_t ref, const struct resources *res)
{
    const struct alog_item *it = alog_item(&p->reader, ref);

    fl_buf_clear(&p->scratch);
    alog_pack_resources(res, p->decision_arena, &p->scratch);
    return it && it->len == p->scratch.len && memcmp(it->data, p->scratch.data, it->len) == 0;
}

/* The next record, when it is of that kind. At the end of the log there is nothing to compare with: the recording master was
 * killed between the input and the decision. */
static const Alog__Record *expect(struct replay *p, Alog__Record__Kind kind, bool *ret_end)
{
    const Alog__Record *rec = peek(p);

    *ret_end = !rec;
    p->result->decisions += rec != NULL;
    return rec && rec->kind == kind ? rec : NULL;
}

static void settle(struct replay *p, bool same)
{
    if (!same) {
        differ(p, p->next);
        return;
    }
    p->result->kinds[p->next->kind].n++;
    p->next = NULL;
}

static void on_offer(void *arg, const char *framework_id, const char *role, const char *agent_id,
                     const struct resources *res)
{
    struct replay *p = FL_CAST(replay, REPLAY_MAGIC, arg);
    const Alog__Record *rec;
    bool end, same;

    if (replay_over(p))
        return;
    rec = expect(p, ALOG__RECORD__KIND__OFFER, &end);
    if (end)
        return;
    same = rec && same_text(p, rec->framework, framework_id) && same_text(p, rec->role, role) &&
           same_text(p, rec->agent, agent_id) && same_resources(p, rec->resources, res);
    if (!same) {
        fl_buf_addf(&p->came, "OFFER framework=%s role=%s agent=%s resources=", framework_id, role,
                    agent_id);
        resources_format(res, &p->came);
    }
    settle(p, same);
}

static void on_inverse_offer(void *arg, const char *framework_id, const char *agent_id,
                             const V1__Unavailability *u)
{
    struct replay *p = FL_CAST(replay, REPLAY_MAGIC, arg);
    const Alog__Record *rec;
    bool end, same;

    if (replay_over(p))
        return;
    rec = expect(p, ALOG__RECORD__KIND__INVERSE_OFFER, &end);
    if (end)
        return;
    same = rec && same_text(p, rec->framework, framework_id) &&
           same_text(p, rec->agent, agent_id) && !u == !rec->unavailability &&
           (!u || fl_pb_equal(&u->base, &rec->unavailability->base));
    if (!same) {
        fl_buf_addf(&p->came, "INVERSE_OFFER framework=%s agent=%s unavailability=", framework_id,
                    agent_id);
        if (u)
            fl_json_from_pb(&p->came, &u->base, 0);
    }
    settle(p, same);
}

static void on_flush(void *arg)
{
    struct replay *p = FL_CAST(replay, REPLAY_MAGIC, arg);
    const Alog__Record *rec;
    bool end;

    if (replay_over(p))
        return;
    rec = expect(p, ALOG__RECORD__KIND__FLUSH, &end);
    if (end)
        return;
    if (!rec)
        fl_buf_adds(&p->came, "FLUSH");
    settle(p, rec != NULL);
}

void replay_check_ran(struct replay *p, uint64_t next)
{
    const Alog__Record *rec;
    bool end, same;

    if (replay_over(p))
        return;
    rec = expect(p, ALOG__RECORD__KIND__RAN, &end);
    if (end)
        return;
    same = rec && rec->number == next;
    if (!same)
        fl_buf_addf(&p->came, "RAN number=%llu", (unsigned long long)next);
    settle(p, same);
}

void replay_check_result(struct replay *p, int code, const struct fl_err *err)
{
    const Alog__Record *rec;
    bool end, same;

    if (replay_over(p))
        return;
    rec = expect(p, ALOG__RECORD__KIND__RESULT, &end);
    if (end)
        return;
    same = rec && rec->result && rec->result->code == code &&
           (code >= 0 || streq(rec->result->message, err->msg));
    if (!same)
        fl_buf_addf(&p->came, "RESULT code=%d message=%s", code, code < 0 ? err->msg : "");
    settle(p, same);
}

struct allocator_callbacks replay_callbacks(struct replay *p)
{
    return (struct allocator_callbacks){
        .offer = on_offer, .inverse_offer = on_inverse_offer, .flush = on_flush, .arg = p};
}

/* ---- the whole ---- */

static void play_input(struct replay *p, const struct replay_config *c)
{
    uint64_t since = c->cpu_ns ? c->cpu_ns() : 0;
    struct replay_count *count;

    if (!replay_input(p, p->input))
        return;
    count = &p->result->kinds[p->input->kind];
    p->result->inputs++;
    count->n++;
    if (c->cpu_ns)
        count->cpu_ns += c->cpu_ns() - since;
}

/* Moves the record that was read ahead into the place of an input. */
static bool next_input(struct replay *p)
{
    struct fl_arena *arena = p->input_arena;

    if (!peek(p))
        return false;
    p->input = TAKE_PTR(p->next);
    p->input_number = p->reader.record;
    p->input_arena = p->decision_arena;
    p->decision_arena = arena;
    return true;
}

static void play_all(struct replay *p, const struct replay_config *c)
{
    while (!replay_over(p) && next_input(p)) {
        if (c->progress)
            c->progress(c->arg, &p->reader);
        if (p->result->inputs == 1) /* CREATE was the first, and has no time */
            p->result->first_us = p->reader.now_us;
        play_input(p, c);
        /* A decision that is left over did not come. */
        if (!replay_over(p) && peek(p) && is_decision(p->next)) {
            fl_buf_adds(&p->came, "nothing more");
            differ(p, p->next);
        }
    }
}

int replay_log(const struct replay_config *c, struct replay_result *ret, struct fl_err *err)
{
    struct replay p = {.magic = REPLAY_MAGIC, .ops = c->ops, .result = ret};
    int rc;

    *ret = (struct replay_result){0};
    rc = alog_reader_init(&p.reader, c->log, c->log_len, err);
    if (rc == 0) {
        p.input_arena = fl_arena_new(4096);
        p.decision_arena = fl_arena_new(4096);
        play_all(&p, c);
        ret->torn = p.reader.torn;
        if (p.a)
            p.ops->destroy(p.a);
        replay_drop_frameworks(&p);
        fl_arena_free(p.input_arena);
        fl_arena_free(p.decision_arena);
        if (p.failed.code) {
            if (err)
                *err = p.failed;
            rc = p.failed.code;
        }
    }
    fl_buf_done(&p.came);
    fl_buf_done(&p.scratch);
    alog_reader_done(&p.reader);
    return rc;
}

void replay_result_done(struct replay_result *r)
{
    fl_buf_done(&r->difference);
}

/* The command line: one verb a file, one table of verbs (verbs.def). Every verb is a short-lived process with one loop; progress goes to
 * stderr, results to stdout, and an error is one line and a non-zero exit. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <jansson.h>

#include "common/base/err.h"
#include "common/base/http_auth.h"

#define CLI_DEFAULT_MASTER "127.0.0.1:5050"

/* Exit codes: the task's own for `run`; these otherwise. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct cli {
    const char *program; /* argv[0] */
    const char *master;  /* --master, FAIRLEAD_MASTER, or the default */
    bool json;           /* --json */
    bool quiet;
};

typedef int verb_f(struct cli *c, int argc, char **argv); /* argv[0] is the verb */
struct verb {
    const char *name, *usage, *help;
    verb_f *run;
};
extern const struct verb cli_verbs[];
extern const size_t cli_verbs_n;
const struct verb *verb_find(const char *name);

#define VERB(name, fn, usage, help) verb_f fn;
#include "cli/verbs.def"
#undef VERB

/* ---- options of a verb ---- */
enum opt_type { OPT_FLAG, OPT_TEXT, OPT_NUMBER, OPT_COUNT, OPT_LIST };
struct opt {
    const char *name; /* "--cpus" */
    enum opt_type type;
    void *to; /* bool *, const char **, double *, unsigned *, struct opt_list * */
    const char *help;
};
struct opt_list {
    const char **items; /* owned array of borrowed texts */
    size_t n, cap;
};
/* Parses options up to the first other word or "--"; --master, --json, --quiet and --help are taken for every verb. Returns
 * the index of the first word that is left, or a negative number after having printed what is wrong (or, for --help, the help;
 * then *ret_help is true). */
int opt_parse(struct cli *c, const struct opt *opts, size_t n, int argc, char **argv,
              bool *ret_help);
/* For a verb without further words: CLI_OK, or CLI_USAGE after having printed which word is left at `i`. */
int opt_no_words(int argc, char **argv, int i);

/* ---- who asks ---- */
/* Of the file that FAIRLEAD_LOGIN names ({"principal":..,"secret":..}, or both on one line); all NULL without. Read once, by main(). */
extern struct http_credential cli_credential;
/* The headers of a request in that encoding; returns how many. Borrowed until the program ends. */
size_t cli_headers(const char *encoding, struct http_header headers[3]);

/* ---- asking a daemon, waiting for the answer ---- */
struct answer {
    int status;
    char *body; /* owned, terminated */
    size_t len;
};
void answer_done(struct answer *a);
#define _cleanup_answer_ _cleanup_(answer_done)
/* `address` "host:port". Follows one redirection to the leader. */
int cli_request(const char *address, const char *method, const char *path, const char *body,
                struct answer *ret, struct fl_err *err);
/* GET (or POST of the operator API with a type) and parse; any status but 200 is an error with its text. */
int cli_get_json(const char *address, const char *path, json_t **ret, struct fl_err *err);
/* GETs `path` and hands its member `key` (an array) to the caller, who owns *ret. CLI_OK, or CLI_FAILED after having said why. */
int cli_get_list(struct cli *c, const char *path, const char *key, json_t **ret);
/* What --json prints. */
void cli_print_json(const json_t *j);
#define _cleanup_json_ _cleanup_(json_decrefp)

/* Prints "fairlead: message" and returns CLI_FAILED. */
int cli_fail(const struct fl_err *err);
int cli_failf(const char *fmt, ...) _printf_(1, 2);

/* ---- tables ---- */
struct table;
struct table *table_new(const char *const *heads, size_t n);
void table_cell(struct table *t, const char *fmt, ...) _printf_(2, 3); /* row by row */
void table_print(struct table *t); /* columns as wide as their widest cell; frees it */

/* Text of a member or "". */
const char *jstr(const json_t *o, const char *key);
double jnum(const json_t *o, const char *key);
/* "3m", "2h", "5d" since a time in seconds. */
void format_age(double since, char *buf, size_t size);

#endif

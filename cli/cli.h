/* The command line: one verb a file, one table of verbs (verbs.def). Every verb is a short-lived process with one loop; progress goes to
 * stderr, results to stdout, and an error is one line or two and an exit code of exit_codes.def. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <jansson.h>

#include "cli/table.h"
#include "common/base/err.h"
#include "common/base/http_auth.h"

#define CLI_DEFAULT_MASTER "127.0.0.1:5050"

enum {
#define EXIT(name, number, meaning) CLI_##name = number,
#include "cli/exit_codes.def"
#undef EXIT
};

/* ---- verbs ---- */
enum {
    V_LOCAL = 1,  /* asks no cluster */
    V_LISTS = 2,  /* a table: --wide, --no-headers, --ids, --watch */
    V_ASKS = 4,   /* cannot be taken back: --yes */
    V_RAW = 8,    /* options end at the first other word: a command of the user's follows */
    V_HIDDEN = 16 /* for completion scripts */
};
struct cli;
typedef int verb_f(struct cli *c, int argc, char **argv); /* argv[0] is the verb */
struct verb {
    const char *name; /* one to three words: "quota set" */
    unsigned flags;
    const char *usage, *help;
    const char *more; /* sentences for the manual page, or "" */
    verb_f *run;
};
extern const struct verb cli_verbs[];
extern const size_t cli_verbs_n;
const struct verb *verb_find(const char *name);
/* The verb that the first words name, the longest that fits; *ret_words of them. NULL: none. */
const struct verb *verb_of_words(int argc, char **argv, int *ret_words);

#define VERB(name, fn, flags, usage, help, more) verb_f fn;
#include "cli/verbs.def"
#undef VERB

/* ---- options ---- */
enum opt_type {
    OPT_FLAG,
    OPT_TEXT,
    OPT_NUMBER,
    OPT_COUNT,
    OPT_LIST,
    OPT_SECONDS /* "=N" may be left out */
};
struct opt {
    const char
        *name; /* "--cpus N": with its argument, whose word says what completes it (complete.c) */
    enum opt_type type;
    void *to; /* bool *, const char **, double *, unsigned *, struct opt_list *, double * */
    const char *help;
    char letter; /* 'f' for -f; or 0 */
};
struct opt_list {
    const char **items; /* owned array of borrowed texts */
    size_t n, cap;
};

struct connection;
struct cli {
    const char *program;     /* argv[0] */
    const struct verb *verb; /* that runs */
    /* As given, NULL: not. */
    const char *master, *context, *credential_file, *token_file, *ca_file, *cert_file, *key_file;
    bool insecure, via_master;
    double timeout_s;
    bool json, quiet, wide, no_headers, ids, yes;
    double watch_s; /* 0: once */
    /* Instead of running, a verb only hands its options to this: for help, completion and the documents. */
    void (*describe)(const struct cli *c, const struct opt *opts, size_t n, void *arg);
    void *describe_arg;
    struct connection
        *connection; /* who is asked, and how; made by opt_parse(). NULL for V_LOCAL verbs */
};

/* Parses the options of a verb, those of every verb, and moves other words behind them (but of V_RAW verbs, and not what follows "--");
 * then settles which cluster is meant. Returns the index of the first of those words; or a negative number when the verb is over, with
 * *ret_code. Every verb begins with it. */
int opt_parse(struct cli *c, const struct opt *opts, size_t n, int argc, char **argv,
              int *ret_code);
/* The same, and at least `least`, at most `most` words are left; what is wrong is said with the verb's usage. */
int opt_parse_words(struct cli *c, const struct opt *opts, size_t n, int argc, char **argv,
                    int least, int most, int *ret_code);
/* The options that a verb has besides its own: at most CLI_COMMON_MAX. */
#define CLI_COMMON_MAX 24
size_t opt_common(struct cli *c, struct opt opts[CLI_COMMON_MAX]);
void help_verb(const struct cli *c, const struct opt *opts, size_t n);
void help_all(FILE *f);

/* ---- errors ---- */
/* Print "fairlead: message" and return an exit code: CLI_FAILED; that of the reason; that which is given. */
int cli_failf(const char *fmt, ...) _printf_(1, 2);
int cli_fail(const struct fl_err *err);
int cli_fail_as(int code, const char *fmt, ...) _printf_(2, 3);
int cli_code_of(const struct fl_err *err);
/* Asks on the terminal unless --yes. CLI_OK: yes. */
int cli_confirm(struct cli *c, const char *fmt, ...) _printf_(2, 3);

/* ---- JSON ---- */
/* What --json prints. */
void cli_print_json(const json_t *j);
#define _cleanup_json_ _cleanup_(json_decrefp)
/* Text of a member or "". */
const char *jstr(const json_t *o, const char *key);
double jnum(const json_t *o, const char *key);
bool jtrue(const json_t *o, const char *key);
/* By "a.b.c"; NULL when one is missing. */
const json_t *jpath(const json_t *o, const char *path);
/* {"value":..} of a v1 id, or "". */
const char *jid(const json_t *o, const char *key);

#endif

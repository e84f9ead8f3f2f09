/* `fairlead config`: the clusters that are known, and which of them is meant. Secrets are written to the file and never shown. */
#include "cli/config.h"

#include <stdio.h>

#include "cli/connection.h"
#include "cli/terminal.h"

static int load(struct config *config, char **ret_path)
{
    struct fl_err err = {0};

    *ret_path = config_path();
    return config_read(*ret_path, config, &err) < 0 ? cli_fail_as(CLI_USAGE, "%s", err.msg)
                                                    : CLI_OK;
}

static int save(const char *path, const struct config *config)
{
    struct fl_err err = {0};

    return config_write(path, config, &err) < 0 ? cli_fail(&err) : CLI_OK;
}

static const struct context *named(const struct config *config, const char *name)
{
    const struct context *x = config_find(config, name);

    if (!x)
        cli_failf("there is no context '%s'; `fairlead config list` lists them", name);
    return x;
}

/* ---- set-context ---- */

/* A line of standard input, without its end. */
static int read_secret(const char *what, char *line, size_t size)
{
    if (terminal_is(STDIN_FILENO))
        fprintf(stderr, "%s: ", what);
    if (!fgets(line, (int)size, stdin) || !*line)
        return cli_fail_as(CLI_USAGE, "the %s is read from standard input, which is empty", what);
    line[strcspn(line, "\r\n")] = '\0';
    return CLI_OK;
}

struct change {
    const char *values[CONFIG_KEYS]; /* NULL: stays; "": goes */
    bool insecure, secure, token_stdin, secret_stdin, use;
};

static int check(const struct change *k, const char *name)
{
    struct address a;
    struct fl_err err = {0};

    if (!config_name_is_good(name))
        return cli_fail_as(CLI_USAGE,
                           "'%s' is no name of a context: letters, digits, '.', '_', '-'", name);
    if (k->secret_stdin && k->token_stdin)
        return cli_fail_as(CLI_USAGE, "--secret-stdin or --token-stdin, not both");
    if (!k->values[CONFIG_MASTER] || !*k->values[CONFIG_MASTER])
        return CLI_OK;
    _cleanup_free_ char *masters = xstrdup(k->values[CONFIG_MASTER]);
    for (char *next, *word = masters; word; word = next) {
        next = strchr(word, ',');
        if (next)
            *next++ = '\0';
        if (address_parse(word, 5050, false, &a, &err) < 0)
            return cli_fail_as(CLI_USAGE, "--master: %s", err.msg);
        address_done(&a);
    }
    return CLI_OK;
}

static int apply(struct change *k, struct context *x)
{
    struct fl_err err = {0};
    char line[4096];
    int code = CLI_OK;

    if (k->insecure)
        k->values[CONFIG_INSECURE] = "yes";
    if (k->secure)
        k->values[CONFIG_INSECURE] = "";
    if (k->secret_stdin || k->token_stdin) {
        code = read_secret(k->token_stdin ? "token" : "secret", line, sizeof(line));
        k->values[k->token_stdin ? CONFIG_TOKEN : CONFIG_SECRET] = line;
    }
    for (enum config_key i = 0; code == CLI_OK && i < CONFIG_KEYS; i++) {
        const char *value = k->values[i];
        if (value && context_set(x, i, *value ? value : NULL, &err) < 0)
            code = cli_fail_as(CLI_USAGE, "%s", err.msg);
    }
    explicit_bzero(line, sizeof(line));
    return code;
}

int verb_config_set_context(struct cli *c, int argc, char **argv)
{
    struct change k = {0};
    const struct opt opts[] = {
        {"--master URL", OPT_TEXT, &k.values[CONFIG_MASTER],
         "masters of the cluster, several with commas", 0},
        {"--credential-file FILE", OPT_TEXT, &k.values[CONFIG_CREDENTIAL_FILE],
         "file with principal and secret", 0},
        {"--token-file FILE", OPT_TEXT, &k.values[CONFIG_TOKEN_FILE], "file with a token", 0},
        {"--principal NAME", OPT_TEXT, &k.values[CONFIG_PRINCIPAL], "who asks; with --secret-stdin",
         0},
        {"--secret-stdin", OPT_FLAG, &k.secret_stdin,
         "read the principal's secret from standard input", 0},
        {"--token-stdin", OPT_FLAG, &k.token_stdin, "read a token from standard input", 0},
        {"--ca-file FILE", OPT_TEXT, &k.values[CONFIG_CA_FILE], "authorities that are trusted", 0},
        {"--cert-file FILE", OPT_TEXT, &k.values[CONFIG_CERT_FILE], "certificate of who asks", 0},
        {"--key-file FILE", OPT_TEXT, &k.values[CONFIG_KEY_FILE], "its private key", 0},
        {"--insecure", OPT_FLAG, &k.insecure, "do not check who answers by https", 0},
        {"--secure", OPT_FLAG, &k.secure, "check it again", 0},
        {"--use", OPT_FLAG, &k.use, "it is the current one from now on", 0},
    };
    _cleanup_config_ struct config config = {0};
    _cleanup_free_ char *path = NULL;
    int code, i = opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 1, 1, &code);

    if (i < 0)
        return code;
    code = check(&k, argv[i]);
    if (code == CLI_OK)
        code = load(&config, &path);
    if (code)
        return code;
    struct context *x = config_find(&config, argv[i]);
    if (!x && !k.values[CONFIG_MASTER])
        return cli_fail_as(CLI_USAGE, "where is the cluster '%s'? --master URL", argv[i]);
    x = config_add(&config, argv[i]);
    code = apply(&k, x);
    if (code)
        return code;
    if (k.use || !config.current) {
        free(config.current);
        config.current = xstrdup(argv[i]);
    }
    return save(path, &config);
}

/* ---- the others ---- */

/* The configuration, which must have the context that the verb's only word names; *ret_name is that word. Negative: the verb is over. */
static int begin_named(struct cli *c, int argc, char **argv, struct config *ret, char **ret_path,
                       const char **ret_name, int *ret_code)
{
    int i = opt_parse_words(c, NULL, 0, argc, argv, 1, 1, ret_code);

    if (i < 0)
        return i;
    *ret_code = load(ret, ret_path);
    if (*ret_code == CLI_OK && !named(ret, argv[i]))
        *ret_code = CLI_NOT_FOUND;
    *ret_name = argv[i];
    return *ret_code == CLI_OK ? 0 : -1;
}

int verb_config_use(struct cli *c, int argc, char **argv)
{
    _cleanup_config_ struct config config = {0};
    _cleanup_free_ char *path = NULL;
    const char *name;
    int code;

    if (begin_named(c, argc, argv, &config, &path, &name, &code) < 0)
        return code;
    free(config.current);
    config.current = xstrdup(name);
    return save(path, &config);
}

int verb_config_delete_context(struct cli *c, int argc, char **argv)
{
    _cleanup_config_ struct config config = {0};
    _cleanup_free_ char *path = NULL;
    const char *name;
    int code;

    if (begin_named(c, argc, argv, &config, &path, &name, &code) < 0)
        return code;
    code = cli_confirm(c, "Forget the context %s?", name);
    if (code)
        return code;
    config_remove(&config, name);
    return save(path, &config);
}

static json_t *context_json(const struct config *config, const struct context *x)
{
    json_t *o = json_pack("{s:s, s:b}", "name", x->name, "current",
                          config->current && streq(config->current, x->name));

    for (enum config_key k = 0; k < CONFIG_KEYS; k++)
        if (x->values[k])
            json_object_set_new(o, config_key_name(k),
                                json_string(config_key_is_secret(k) ? "(hidden)" : x->values[k]));
    return o;
}

int verb_config_list(struct cli *c, int argc, char **argv)
{
    static const char *const heads[] = {"CONTEXT", "CURRENT", "MASTER", "WHO"};
    _cleanup_config_ struct config config = {0};
    _cleanup_free_ char *path = NULL;
    _cleanup_json_ json_t *all = json_array();
    int code, i = opt_parse_words(c, NULL, 0, argc, argv, 0, 0, &code);

    if (i < 0)
        return code;
    code = load(&config, &path);
    if (code)
        return code;
    struct table *t = table_new(heads, ARRAY_SIZE(heads));
    for (size_t k = 0; k < config.n; k++) {
        const struct context *x = &config.contexts[k];
        json_array_append_new(all, context_json(&config, x));
        table_cell(t, "%s", x->name);
        table_cell(t, "%s", config.current && streq(config.current, x->name) ? "*" : "");
        table_cell(t, "%s", x->values[CONFIG_MASTER] ? x->values[CONFIG_MASTER] : "");
        table_cell(t, "%s",
                   x->values[CONFIG_PRINCIPAL]         ? x->values[CONFIG_PRINCIPAL]
                   : x->values[CONFIG_CREDENTIAL_FILE] ? x->values[CONFIG_CREDENTIAL_FILE]
                   : x->values[CONFIG_TOKEN_FILE]      ? x->values[CONFIG_TOKEN_FILE]
                   : x->values[CONFIG_TOKEN]           ? "a token"
                                                       : "");
    }
    if (c->json) {
        cli_print_json(all);
        table_free(t);
    } else {
        table_print(c, t);
    }
    return CLI_OK;
}

int verb_config_show(struct cli *c, int argc, char **argv)
{
    _cleanup_config_ struct config config = {0};
    _cleanup_free_ char *path = NULL;
    int code, i = opt_parse_words(c, NULL, 0, argc, argv, 0, 1, &code);

    if (i < 0)
        return code;
    code = load(&config, &path);
    if (code)
        return code;
    const char *name = i < argc ? argv[i] : config.current;
    if (!name)
        return cli_fail_as(CLI_NOT_FOUND,
                           "no context is current; `fairlead config list` lists them");
    const struct context *x = named(&config, name);
    if (!x)
        return CLI_NOT_FOUND;
    _cleanup_json_ json_t *o = context_json(&config, x);
    if (c->json) {
        cli_print_json(o);
        return CLI_OK;
    }
    printf("%-16s %s\n%-16s %s\n", "file", path, "context", name);
    for (enum config_key k = 0; k < CONFIG_KEYS; k++)
        if (x->values[k])
            printf("%-16s %s\n", config_key_name(k), jstr(o, config_key_name(k)));
    return CLI_OK;
}

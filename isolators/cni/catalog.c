/* The networks of --network_cni_config_dir: which file has which. The agent's thread. */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "common/base/log.h"
#include "isolators/cni/conf.h"
#include "isolators/cni/state.h"

struct row {
    char *name, *path; /* owned */
};

struct cni_catalog {
    const char *config_dir, *plugins_dir, *launcher_dir; /* borrowed; NULL: none */
    struct row *rows;
    size_t n, cap;
};

struct cni_catalog *cni_catalog_new(const char *config_dir, const char *plugins_dir,
                                    const char *launcher_dir)
{
    struct cni_catalog *c = xnew0(struct cni_catalog);

    c->config_dir = config_dir;
    c->plugins_dir = plugins_dir;
    c->launcher_dir = launcher_dir;
    return c;
}

static void clear(struct cni_catalog *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->rows[i].name);
        free(c->rows[i].path);
    }
    c->n = 0;
}

void cni_catalog_free(struct cni_catalog *c)
{
    if (!c)
        return;
    clear(c);
    free(c->rows);
    free(c);
}

static struct row *row_of(const struct cni_catalog *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (streq(c->rows[i].name, name))
            return &c->rows[i];
    return NULL;
}

static int read_conf(const char *path, json_t **ret, struct fl_err *err)
{
    _cleanup_free_ char *text = NULL;
    size_t n;

    int r = cni_file_read(path, CNI_MAX_FILE, &text, &n, err);
    if (r == 0)
        r = cni_conf_parse(text, n, ret, err);
    return r;
}

/* The first plug-in that is nowhere, of those it names; NULL: all are there. */
static const char *missing_plugin(const struct cni_catalog *c, const json_t *conf)
{
    for (size_t i = 0; i < cni_conf_plugins(conf); i++) {
        const json_t *p = json_object_get(conf, "plugins");
        const json_t *ipam = json_object_get(p ? json_array_get(p, i) : conf, "ipam");
        const char *types[] = {cni_conf_type(conf, i),
                               json_string_value(json_object_get(ipam, "type"))};
        for (size_t k = 0; k < ARRAY_SIZE(types); k++) {
            _cleanup_free_ char *path =
                types[k] && *types[k] && !strchr(types[k], '/')
                    ? cni_plugin_find(c->plugins_dir, c->launcher_dir, types[k])
                    : NULL;
            if (types[k] && *types[k] && !path)
                return types[k];
        }
    }
    return NULL;
}

static void add_file(struct cni_catalog *c, const char *file)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", c->config_dir, file);
    _cleanup_json_ json_t *conf = NULL;
    struct stat st;
    struct fl_err err;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return;
    if (read_conf(path, &conf, &err) < 0) {
        log_error("Failed to parse CNI network configuration file '%s': %s", path, err.msg);
        return;
    }
    const char *name = cni_conf_name(conf), *missing = missing_plugin(c, conf);
    if (row_of(c, name)) {
        log_error("Skipping CNI network configuration file '%s': there is already one for network "
                  "'%s'",
                  path, name);
        return;
    }
    if (missing) {
        log_error("Skipping network '%s' of file '%s': no CNI plugin '%s' in "
                  "--network_cni_plugins_dir",
                  name, path, missing);
        return;
    }
    c->rows = xgrow(c->rows, &c->cap, c->n + 1, sizeof(*c->rows));
    c->rows[c->n++] = (struct row){xstrdup(name), TAKE_PTR(path)};
}

static int visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

size_t cni_catalog_read(struct cni_catalog *c)
{
    struct dirent **files = NULL;

    clear(c);
    /* In order of their names, so that of two for one network the same is taken every time. */
    int n = c->config_dir ? scandir(c->config_dir, &files, visible, alphasort) : 0;
    if (n < 0)
        log_error("Cannot list --network_cni_config_dir '%s': %s", c->config_dir, strerror(errno));
    for (int i = 0; i < n; i++) {
        add_file(c, files[i]->d_name);
        free(files[i]);
    }
    free(files);
    return c->n;
}

/* True when the file still is what the catalogue says. */
static bool take(const struct row *row, const char *name, json_t **ret)
{
    _cleanup_json_ json_t *conf = NULL;

    if (!row || read_conf(row->path, &conf, NULL) < 0 || !streq(cni_conf_name(conf), name))
        return false;
    *ret = TAKE_PTR(conf);
    return true;
}

int cni_catalog_find(struct cni_catalog *c, const char *name, json_t **ret, struct fl_err *err)
{
    if (take(row_of(c, name), name, ret))
        return 0;
    cni_catalog_read(c);
    if (take(row_of(c, name), name, ret))
        return 0;
    return fl_err_set(err, FL_INVALID, "Unknown CNI network '%s'", name);
}

#include "isolators/image_config.h"

static void strings_free(char **v)
{
    for (char **s = v; s && *s; s++)
        free(*s);
    free(v);
}

void image_config_free(struct image_config *c)
{
    if (!c)
        return;
    strings_free(c->entrypoint);
    strings_free(c->cmd);
    strings_free(c->env);
    strings_free(c->labels);
    free(c->working_dir);
    free(c->user);
    free(c);
}

/* See iptables_rule.h. */
#include "isolators/cni/iptables_rule.h"

void rule_words_free(char **words)
{
    for (char **w = words; w && *w; w++)
        free(*w);
    free(words);
}

/* One word from *p on; false: its quote does not end. */
static bool take_word(const char **p, const char *end, char *to)
{
    bool quoted = false;

    for (; *p < end && (quoted || (**p != ' ' && **p != '\t')); ++*p) {
        if (**p == '"') {
            quoted = !quoted;
            continue;
        }
        if (**p == '\\' && *p + 1 < end)
            ++*p;
        *to++ = **p;
    }
    *to = '\0';
    return !quoted;
}

char **rule_words(const char *line, size_t len)
{
    const char *p = line, *end = line + len;
    size_t n = 0, cap = 0;
    char **words = xgrow(NULL, &cap, 8, sizeof(*words));

    words[0] = NULL;
    for (;;) {
        while (p < end && (*p == ' ' || *p == '\t'))
            p++;
        if (p == end)
            return words;
        char *word = xmalloc((size_t)(end - p) + 1);
        bool whole = take_word(&p, end, word);
        words = xgrow(words, &cap, n + 2, sizeof(*words));
        words[n++] = word;
        words[n] = NULL;
        if (!whole) {
            rule_words_free(words);
            return NULL;
        }
    }
}

bool rule_has_comment(char *const *words, const char *comment)
{
    if (!words || !words[0] || !streq(words[0], "-A"))
        return false;
    for (size_t i = 1; words[i] && words[i + 1]; i++)
        if (streq(words[i], "--comment") && streq(words[i + 1], comment))
            return true;
    return false;
}

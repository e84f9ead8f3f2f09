/* Lines of `iptables -S`, taken apart into words. Pure. */
#ifndef ISOLATORS_CNI_IPTABLES_RULE_H
#define ISOLATORS_CNI_IPTABLES_RULE_H

#include "common/base/util.h"

/* The words of a line, quotes and backslashes resolved: NULL-terminated, the caller's (rule_words_free). NULL: a quote is left open. */
char **rule_words(const char *line, size_t len);
void rule_words_free(char **words);
/* Whether it appends a rule ("-A ...") whose comment is that text. */
bool rule_has_comment(char *const *words, const char *comment);

#endif

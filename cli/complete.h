/* What could stand at the end of a command line: for the completion scripts of shells, which all ask this program. */
#ifndef CLI_COMPLETE_H
#define CLI_COMPLETE_H

#include "cli/cli.h"

/* Lines "word<tab>description" for the last of the words, which may be empty; or the line ":files": a path is wanted.
 * Ids come from the master, when it answers within a second. */
void complete_words(int n, char **words, struct fl_buf *out);

#endif

/* The user's terminal: as it comes, without lines and echo, and its size. Put back at the end of the program, whichever way it ends by
 * itself or by a signal that can be caught. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include "common/base/err.h"

bool terminal_is(int fd);
int terminal_raw(struct fl_err *err); /* standard input */
void terminal_restore(void);          /* also when it was not raw */
/* False: standard output is no terminal. */
bool terminal_size(unsigned *ret_rows, unsigned *ret_columns);
bool terminal_colours(void); /* a terminal, and NO_COLOR is not set */
bool terminal_is_utf8(void); /* as the environment's LC_CTYPE says */

#endif

/* The fetcher: brings CommandInfo.uris into the sandbox. A process of its own, forked by the launcher, so nothing that stalls or
 * breaks in it touches the agent; it runs as the container's user. */
#ifndef AGENT_CONTAINERIZER_FETCHER_H
#define AGENT_CONTAINERIZER_FETCHER_H

struct agent_flags;

/* Does what the files in the runtime folder order, talking with the agent (fetch_note.h). Ends the process. */
__attribute__((noreturn)) void fetcher_process(const struct agent_flags *flags, int sock,
                                               const char *folder, const char *user,
                                               const char *sandbox);

#endif

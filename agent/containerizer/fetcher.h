/* The fetcher: brings CommandInfo.uris into the sandbox. A process of its own, forked by the launcher, so nothing that stalls or
 * breaks in it touches the agent; it runs as the container's user. */
#ifndef AGENT_CONTAINERIZER_FETCHER_H
#define AGENT_CONTAINERIZER_FETCHER_H

struct agent_flags;

/* Reads `fetch` (an encoded CommandInfo) in the runtime folder, fetches into the sandbox, writes one struct shim_note to sock:
 * SHIM_EXITED with 0, or SHIM_FAILED with the whole message as text. Ends the process. */
__attribute__((noreturn)) void fetcher_process(const struct agent_flags *flags, int sock,
                                               const char *folder, const char *user,
                                               const char *sandbox);

#endif

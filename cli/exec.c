/* `fairlead exec`: a command beside a task, in its container. `fairlead attach`: the terminal that a task was started with. */
#include <stdio.h>
#include <string.h>

#include "cli/session.h"
#include "cli/terminal.h"
#include "common/base/env.h"

/* Finds the task's container; the text says whose it must be. */
static int find_container(struct cli *c, const char *task_id, struct task_place *p,
                          struct fl_arena *arena, V1__ContainerID **ret, struct fl_err *err)
{
    int r = task_find(c, task_id, p, err);

    if (r < 0)
        return r;
    *ret = session_container(p, arena);
    if (!*ret)
        return fl_err_set(err, FL_NOT_FOUND,
                          "the task '%s' has no container yet; it is in state %s",
                          jstr(p->task, "id"), jstr(p->task, "state"));
    return 0;
}

/* Below the task's; a name that no other session has. */
static V1__ContainerID *new_session(V1__ContainerID *parent, struct fl_arena *arena)
{
    V1__ContainerID *id = fl_arena_alloc(arena, sizeof(*id));
    const struct env env = env_from_loop(NULL); /* for random bytes only */
    uint8_t uuid[FL_UUID_LEN];
    char name[FL_UUID_STR];

    v1__container_id__init(id);
    fl_uuid_make(&env, uuid);
    fl_uuid_format(uuid, name);
    id->value = fl_arena_strdup(arena, name);
    id->parent = parent;
    return id;
}

struct exec {
    bool tty, input, no_input;
    const char *user;
    char **words; /* the command and its arguments */
    size_t n_words;
};

static int run_session(struct cli *c, const struct exec *e, const struct peer *peer,
                       V1__ContainerID *id, int *ret_status, struct fl_err *err)
{
    Aapi__Call call = AAPI__CALL__INIT;
    Aapi__Call__LaunchNestedContainerSession l = AAPI__CALL__LAUNCH_NESTED_CONTAINER_SESSION__INIT;
    V1__CommandInfo command = V1__COMMAND_INFO__INIT;
    V1__ContainerInfo info = V1__CONTAINER_INFO__INIT;
    V1__TTYInfo tty = V1__TTYINFO__INIT;
    V1__TTYInfo__WindowSize size = V1__TTYINFO__WINDOW_SIZE__INIT;
    const struct session_config config = {.cli = c,
                                          .peer = peer,
                                          .call = &call,
                                          .container = id,
                                          .input = e->input,
                                          .tty = e->tty,
                                          .status = true};

    call.has_type = true;
    call.type = AAPI__CALL__TYPE__LAUNCH_NESTED_CONTAINER_SESSION;
    call.launch_nested_container_session = &l;
    l.container_id = id;
    l.command = &command;
    command.has_shell = true;
    command.shell = false;
    command.value = e->words[0];
    command.arguments = e->words;
    command.n_arguments = e->n_words;
    command.user = (char *)(uintptr_t)e->user;
    if (e->tty) {
        l.container = &info;
        info.type = V1__CONTAINER_INFO__TYPE__MESOS;
        info.tty_info = &tty;
        if (terminal_size(&size.rows, &size.columns))
            tty.window_size = &size;
    }
    return session_run(&config, ret_status, err);
}

int verb_exec(struct cli *c, int argc, char **argv)
{
    struct exec e = {.tty = terminal_is(STDIN_FILENO) && terminal_is(STDOUT_FILENO)};
    bool no_tty = false;
    const struct opt opts[] = {
        {"--no-tty", OPT_FLAG, &no_tty, "pipes, though this is a terminal", 0},
        {"--no-input", OPT_FLAG, &e.no_input, "standard input stays here", 0},
        {"--user NAME", OPT_TEXT, &e.user, "who runs it; else the task's user", 0},
    };
    _cleanup_task_place_ struct task_place p = {0};
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(1024);
    _cleanup_peer_ struct peer peer = {0};
    V1__ContainerID *parent = NULL;
    struct fl_err err = {0};
    int code, status = 0, i = opt_parse(c, opts, ARRAY_SIZE(opts), argc, argv, &code);

    if (i < 0)
        return code;
    if (i >= argc)
        return cli_failf("where? `fairlead exec TASK -- COMMAND...`; `fairlead ps` lists tasks"),
               CLI_USAGE;
    const char *task = argv[i++];
    i += i < argc && streq(argv[i], "--");
    if (i >= argc)
        return cli_failf("what? `fairlead exec %s -- COMMAND...`", task), CLI_USAGE;
    e.words = argv + i;
    e.n_words = (size_t)(argc - i);
    e.tty = e.tty && !no_tty && !e.no_input;
    e.input = !e.no_input;
    if (find_container(c, task, &p, arena, &parent, &err) < 0 ||
        task_peer(c, &p, &peer, &err) < 0 ||
        run_session(c, &e, &peer, new_session(parent, arena), &status, &err) < 0)
        return cli_fail(&err);
    return status;
}

int verb_attach(struct cli *c, int argc, char **argv)
{
    bool no_input = false;
    const struct opt opts[] = {
        {"--no-input", OPT_FLAG, &no_input, "only watch", 0},
    };
    _cleanup_task_place_ struct task_place p = {0};
    _cleanup_(fl_arena_freep) struct fl_arena *arena = fl_arena_new(1024);
    V1__ContainerID *id = NULL;
    Aapi__Call call = AAPI__CALL__INIT;
    Aapi__Call__AttachContainerOutput a = AAPI__CALL__ATTACH_CONTAINER_OUTPUT__INIT;
    struct fl_err err = {0};
    _cleanup_peer_ struct peer peer = {0};
    int code, status = 0, i = opt_parse_words(c, opts, ARRAY_SIZE(opts), argc, argv, 1, 1, &code);

    if (i < 0)
        return code;
    if (find_container(c, argv[i], &p, arena, &id, &err) < 0 || task_peer(c, &p, &peer, &err) < 0)
        return cli_fail(&err);
    const struct session_config config = {.cli = c,
                                          .peer = &peer,
                                          .call = &call,
                                          .container = id,
                                          .input = !no_input,
                                          .tty = !no_input && terminal_is(STDIN_FILENO),
                                          .detaches = terminal_is(STDIN_FILENO)};
    call.has_type = true;
    call.type = AAPI__CALL__TYPE__ATTACH_CONTAINER_OUTPUT;
    call.attach_container_output = &a;
    a.container_id = id;
    if (config.tty)
        fprintf(stderr, "Attached; Ctrl-P Ctrl-Q leaves the task running.\n");
    return session_run(&config, &status, &err) < 0 ? cli_fail(&err) : CLI_OK;
}

/* `fairlead completion`: scripts for shells. They know nothing themselves: `fairlead __complete` is asked each time. */
#include <stdio.h>

#include "cli/complete.h"

static const char bash[] =
    "# bash completion of fairlead: eval \"$(fairlead completion bash)\"\n"
    "_fairlead() {\n"
    "    local line=\"${COMP_LINE:0:COMP_POINT}\" words cur out cut candidate\n"
    "    read -ra words <<<\"$line\"\n"
    "    [[ $line == *[[:space:]] ]] && words+=(\"\")\n"
    "    cur=${words[-1]}\n"
    "    COMPREPLY=()\n"
    "    out=$(\"${words[0]/#\\~/$HOME}\" __complete -- \"${words[@]:1}\" 2>/dev/null) || return\n"
    "    if [[ $out == :files ]]; then\n"
    "        compopt -o default 2>/dev/null\n"
    "        return\n"
    "    fi\n"
    "    cut=${cur%\"${cur##*[:=]}\"}\n"
    "    while IFS=$'\\t' read -r candidate _; do\n"
    "        [[ -n $candidate ]] && COMPREPLY+=(\"${candidate#\"$cut\"}\")\n"
    "    done <<<\"$out\"\n"
    "}\n"
    "complete -F _fairlead fairlead\n";

static const char zsh[] =
    "#compdef fairlead\n"
    "# zsh completion of fairlead: a file _fairlead in $fpath, or eval \"$(fairlead completion "
    "zsh)\"\n"
    "_fairlead() {\n"
    "    local -a lines candidates\n"
    "    local line\n"
    "    lines=(\"${(@f)$(${~words[1]} __complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
    "    if [[ ${lines[1]} == :files ]]; then\n"
    "        _files\n"
    "        return\n"
    "    fi\n"
    "    for line in $lines; do\n"
    "        candidates+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\")\n"
    "    done\n"
    "    _describe -V fairlead candidates\n"
    "}\n"
    "if [[ ${funcstack[1]} == _fairlead ]]; then\n"
    "    _fairlead \"$@\"\n"
    "else\n"
    "    compdef _fairlead fairlead\n"
    "fi\n";

static const char fish[] =
    "# fish completion of fairlead: fairlead completion fish | source\n"
    "function __fairlead_complete\n"
    "    set -l words (commandline -opc) (commandline -ct)\n"
    "    set -l out (command $words[1] __complete -- $words[2..-1] 2>/dev/null)\n"
    "    if test \"$out[1]\" = :files\n"
    "        __fish_complete_path (commandline -ct)\n"
    "    else\n"
    "        printf '%s\\n' $out\n"
    "    end\n"
    "end\n"
    "complete -c fairlead -f -a '(__fairlead_complete)'\n";

int verb_completion(struct cli *c, int argc, char **argv)
{
    static const struct {
        const char *name, *text;
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    int code, i = opt_parse_words(c, NULL, 0, argc, argv, 1, 1, &code);

    if (i < 0)
        return code;
    for (size_t k = 0; k < ARRAY_SIZE(shells); k++) {
        if (streq(argv[i], shells[k].name)) {
            fputs(shells[k].text, stdout);
            return CLI_OK;
        }
    }
    return cli_fail_as(CLI_USAGE, "there are scripts for bash, zsh and fish, not for '%s'",
                       argv[i]);
}

int verb_complete(struct cli *c, int argc, char **argv)
{
    _cleanup_buf_ struct fl_buf out = FL_BUF_INIT;
    int code, i = opt_parse(c, NULL, 0, argc, argv, &code);

    if (i < 0)
        return code;
    complete_words(argc - i, argv + i, &out);
    fwrite(out.data ? out.data : "", 1, out.len, stdout);
    return CLI_OK;
}

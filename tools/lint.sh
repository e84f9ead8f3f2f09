#!/usr/bin/env bash
# lint.sh: every rule that a program can check (HACKING.md, "Rules"). Each check that fails shows why; the last line is
# "lint: N passed, N failed, N skipped".
set -u
cd "$(dirname "$0")/.." || exit 1
passed=0
failed=0
BUILD=${BUILD:-build}

step() { # NAME command...
    local name=$1 out
    shift
    if out=$("$@" 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf '== %s\n%s\n' "$name" "$(printf '%s\n' "$out" | head -n "${LINT_LINES:-60}")"
    fi
}

sources() {
    git ls-files -z --cached --others --exclude-standard -- "$@" | xargs -0 -r ls 2>/dev/null
}

format() {
    sources '*.c' '*.cc' '*.h' | xargs -r -P "$(nproc)" -n 20 clang-format --dry-run -Werror
}

scripts() {
    { sources 'tools/*.sh' '.ci/*'; } | xargs -r shellcheck --severity=warning
}

python() {
    sources 'tools/*.py' 'tests/*.py' | xargs -r /usr/bin/python3 -c '
import ast, sys
for name in sys.argv[1:]:
    ast.parse(open(name, encoding="utf-8").read(), name)'
}

static_analysis() {
    sources '*.c' | grep -v '^tests/' | xargs -r cppcheck --quiet --enable=warning,portability --error-exitcode=1 \
        --inline-suppr --suppressions-list=tools/cppcheck_suppress.txt \
        --library=posix -D__GNUC__ -I. -j"$(nproc)" --std=c11 --max-configs=4
}

docs_current() {
    local dir rc
    dir=$(mktemp -d)
    make -s "$BUILD/tools/gen_flags_doc" "$BUILD/tools/gen_http_doc" "$BUILD/tools/gen_cli_doc" "$BUILD/tools/gen_metrics_doc" && tools/gen_docs.sh "$BUILD/tools/gen_flags_doc" "$dir" &&
        (cd "$dir" && find . -type f) | while read -r f; do
            diff -u "docs/$f" "$dir/$f" >&2 || { echo "docs/$f is not what its table or header says; run 'make docs'"; exit 1; }
        done
    rc=$?
    rm -rf "$dir"
    return $rc
}

manuals() {
    sources '*.1' '*.3' '*.5' '*.7' '*.8' | xargs -r mandoc -T lint -W error
}

# ESLint is no part of what the page is built with.
page() {
    if [ ! -d build/webui.npm/node_modules/eslint ]; then
        make -s build/gen/webui.stamp && (cd build/webui.npm && npm ci --silent) || return 1
    fi
    node webui/dev/lint.mjs
}

step "clang-format (make format-mine)" format
step layers tools/check_layers.py
step bans tools/check_bans.py
step sizes tools/check_sizes.py
step paths tools/check_paths.py
step shellcheck scripts
step python python
step cppcheck static_analysis
step "the page's sources" page
step "documents made from tables" docs_current
step manuals manuals
step "tests of the checkers" tools/run_pytest.sh tests/tools
echo "lint: $passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]

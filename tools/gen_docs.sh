#!/usr/bin/env bash
# gen_docs.sh GENERATOR DIR: writes the documents that are made from tables below DIR. GENERATOR is gen_flags_doc; gen_http_doc, gen_cli_doc and gen_metrics_doc are beside it.
set -eu
generator=$1
dir=$2
mkdir -p "$dir/man"
write() { # FILE argument: whole or not at all
    "$generator" "$2" >"$dir/$1.new"
    mv "$dir/$1.new" "$dir/$1"
}
write flags.md md
write man/fairlead-master.8 master
write man/fairlead-agent.8 agent
generator=$(dirname "$generator")/gen_http_doc
write http-api.md md
# What is above the tables of metrics is written by hand.
mark='<!-- The tables below are made from metrics.def by make docs. -->'
{ sed "/^$mark\$/q" docs/metrics.md; "$(dirname "$generator")/gen_metrics_doc"; } >"$dir/metrics.md.new"
mv "$dir/metrics.md.new" "$dir/metrics.md"
for header in libframework/fairlead/*.h; do
    page=fairlead_$(basename "$header" .h).3
    tools/gen_header_man.py "$header" >"$dir/man/$page.new"
    mv "$dir/man/$page.new" "$dir/man/$page"
done
cli=$(dirname "$generator")/gen_cli_doc
{ cat tools/cli_head.md && "$cli" md; } >"$dir/cli.md.new"
mv "$dir/cli.md.new" "$dir/cli.md"
"$cli" man >"$dir/man/fairlead.1.new"
mv "$dir/man/fairlead.1.new" "$dir/man/fairlead.1"

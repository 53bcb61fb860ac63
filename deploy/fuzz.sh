#!/usr/bin/env bash
# Runs every fuzz target for FUZZTIME (default 120s), one a core, and writes docs/fuzz.md: target, seconds, executions, date.
# FUZZ=REGEXP runs some of them and writes nothing.
set -uo pipefail
cd "$(dirname "$0")/.."
export time=${FUZZTIME:-120s}
only=${FUZZ:-.}
tmp=$(mktemp -d)
export tmp
trap 'rm -rf "$tmp"' EXIT

one() { # directory, target
  local log execs result=ok
  log=$(go test -tags sqlite_fts5 -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 10x -parallel 1 "./$1" 2>&1)
  grep -q '^ok' <<<"$log" || { result=FAILED; echo "$log" | tail -30; touch "$tmp/failed"; }
  execs=$(grep -oE 'execs: [0-9]+' <<<"$log" | tail -1 | awk '{print $2}')
  echo "fuzz: $1 $2 ${execs:-0} $result"
  echo "| \`$2\` | $1 | $time | ${execs:-0} | $result | $(date +%F) |" >"$tmp/$(tr / - <<<"$1").$2"
}
export -f one

git ls-files --cached --others --exclude-standard '*_test.go' | xargs grep -HoE '^func Fuzz[A-Za-z0-9_]+' | sed -E 's#/[^/]*:func # #' | grep -E "$only" | sort |
  xargs -P "$(nproc)" -L 1 bash -c 'one "$@"' _

if [ "$only" = . ]; then
  {
    echo "# Fuzz runs"
    echo
    echo "Every parser that reads a peer's or a file's bytes has a target with committed seeds; \`go test\` runs the seeds. \`make fuzz\` runs them all and"
    echo "writes this page ($(nproc) cores, one target on each)."
    echo
    echo "| target | package | time | executions | result | date |"
    echo "|---|---|---|---|---|---|"
    cat "$tmp"/*.Fuzz*
  } >docs/fuzz.md
fi
[ ! -e "$tmp/failed" ]

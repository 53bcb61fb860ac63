#!/usr/bin/env bash
# Runs every fuzz target for FUZZTIME (default 120s), one a core, and writes docs/fuzz.md: target, how long it ran, executions, date.
# FUZZ=REGEXP runs some of them and writes their lines anew; those of targets that are gone go.
set -uo pipefail
cd "$(dirname "$0")/.."
export time=${FUZZTIME:-120s}
only=${FUZZ:-.}
tmp=$(mktemp -d)
export tmp
trap 'rm -rf "$tmp"' EXIT

one() { # directory, target
  local log execs ran result=ok
  log=$(go test -tags sqlite_fts5 -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 10x -parallel 1 "./$1" 2>&1)
  grep -q '^ok' <<<"$log" || { result=FAILED; echo "$log" | tail -30; touch "$tmp/failed"; }
  execs=$(grep -oE 'execs: [0-9]+' <<<"$log" | tail -1 | awk '{print $2}')
  ran=$(grep -oE 'elapsed: [0-9hms]+' <<<"$log" | tail -1 | awk '{print $2}') # as it ran, not as it was asked to
  echo "fuzz: $1 $2 ${ran:-0s} ${execs:-0} $result"
  echo "| \`$2\` | $1 | ${ran:-0s} | ${execs:-0} | $result | $(date +%F) |" >"$tmp/$(tr / - <<<"$1").$2"
}
export -f one

git ls-files --cached --others --exclude-standard '*_test.go' | xargs grep -HoE '^func Fuzz[A-Za-z0-9_]+' | sed -E 's#/[^/]*:func # #' | sort >"$tmp/all"
grep -E "$only" "$tmp/all" | xargs -P "$(nproc)" -L 1 bash -c 'one "$@"' _

page() {
  echo "# Fuzz runs"
  echo
  echo "Every parser that reads a peer's or a file's bytes has a target with committed seeds; \`go test\` runs the seeds. \`make fuzz\` runs them all and"
  echo "writes this page, \`make fuzz FUZZ=REGEXP\` some of them and their lines ($(nproc) cores, one target on each)."
  echo
  echo "| target | package | ran | executions | result | date |"
  echo "|---|---|---|---|---|---|"
  while read -r dir target; do
    cat "$tmp/$(tr / - <<<"$dir").$target" 2>/dev/null || grep -F "| \`$target\` | $dir |" docs/fuzz.md || true # never run yet
  done <"$tmp/all"
}
page >"$tmp/page" && cat "$tmp/page" >docs/fuzz.md
[ ! -e "$tmp/failed" ]

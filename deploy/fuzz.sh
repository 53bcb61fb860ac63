#!/usr/bin/env bash
# Runs every fuzz target for FUZZTIME (default 60s) and writes docs/fuzz.md: target, seconds, executions, date.
set -uo pipefail
cd "$(dirname "$0")/.."
time=${FUZZTIME:-60s}
only=${FUZZ:-.}
out=docs/fuzz.md
failed=0
{
  echo "# Fuzz runs"
  echo
  echo "Every parser that reads a peer's or a file's bytes has a target with committed seeds. \`make fuzz\` runs them all and writes this page."
  echo
  echo "| target | package | time | executions | result | date |"
  echo "|---|---|---|---|---|---|"
} >"$out.new"
for pkg in $(go list -tags sqlite_fts5 ./...); do
  dir=${pkg#github.com/sallyport/sallyport/}
  for target in $(grep -hoE '^func (Fuzz[A-Za-z0-9_]+)' "$dir"/*_test.go 2>/dev/null | awk '{print $2}'); do
    [[ $target =~ $only ]] || continue
    echo "fuzz: $dir $target $time"
    log=$(go test -tags sqlite_fts5 -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x "./$dir" 2>&1)
    result=ok
    grep -q '^ok' <<<"$log" || { result=FAILED; failed=1; echo "$log" | tail -30; }
    execs=$(grep -oE 'execs: [0-9]+' <<<"$log" | tail -1 | awk '{print $2}')
    echo "| \`$target\` | $dir | $time | ${execs:-0} | $result | $(date +%F) |" >>"$out.new"
  done
done
mv "$out.new" "$out"
exit $failed

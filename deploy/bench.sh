#!/usr/bin/env bash
# Measures every promise that can be measured on one machine, each beside its reference, and writes the table of docs/benchmarks.md.
# BENCH=quick takes fewer rounds and prints instead of writing; ONLY=REGEXP takes some sections and leaves the other rows.
set -euo pipefail
cd "$(dirname "$0")/.."
ulimit -n "$(ulimit -Hn)" # ten thousand lines are as many descriptors
program=$(mktemp -d)
trap 'rm -rf "$program"' EXIT
go build -tags sqlite_fts5 -o "$program/bench" ./internal/bench
if [ "${BENCH:-}" = quick ]; then "$program/bench"; else "$program/bench" -into docs/benchmarks.md; fi

#!/usr/bin/env bash
# What has to hold before a change goes in. Ends with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0
step() { # name, command…: one check that holds or does not
  local name=$1; shift
  if "$@" >"$tmp/out" 2>&1; then echo "ok    $name"; passed=$((passed + 1)); else echo "FAIL  $name"; cat "$tmp/out"; failed=$((failed + 1)); fi
}
step "go vet" go vet -tags sqlite_fts5 ./...
go test -json -tags sqlite_fts5 -timeout 10m ./... 2>&1 | go run ./internal/testenv/gotest "$tmp/go"
if read -r p f <"$tmp/go"; then passed=$((passed + p)) failed=$((failed + f)); else failed=$((failed + 1)); fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

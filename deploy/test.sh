#!/usr/bin/env bash
# Everything that has to hold before a change goes in. Ends with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0

count() { passed=$((passed + $1)); failed=$((failed + $2)); }
step() { # name, command…: one check that holds or does not
  local name=$1; shift
  if "$@" >"$tmp/out" 2>&1; then echo "ok    $name"; count 1 0; else echo "FAIL  $name"; cat "$tmp/out"; count 0 1; fi
}
formatted() { local f; f=$(git ls-files -z --cached --others --exclude-standard '*.go' | xargs -0 gofmt -l); [ -z "$f" ] || { echo "gofmt: $f"; return 1; }; }
node_counts() { # reads the closing lines of node's test runner
  local p f
  p=$(sed -n 's/^# pass //p; s/^ℹ pass //p' "$tmp/out" | tail -1); f=$(sed -n 's/^# fail //p; s/^ℹ fail //p' "$tmp/out" | tail -1)
  count "${p:-0}" "${f:-1}"
}

step "gofmt" formatted
step "go vet" go vet -tags sqlite_fts5 ./...
step "staticcheck" go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 -tags sqlite_fts5 ./...
step "clients without cgo: windows, darwin, linux" make -s clients
step "agents: amd64, arm64, arm, mipsle, riscv64" make -s agents

go test -json -tags sqlite_fts5 -timeout 20m ./... 2>&1 | go run ./internal/testenv/gotest "$tmp/go"
read -r p f <"$tmp/go" && count "$p" "$f" || count 0 1

if [ -f web/ui/package.json ]; then
  step "web: types" npm --prefix web/ui run --silent typecheck
  step "web: units" npm --prefix web/ui run --silent test
fi
if [ -f tests/browser/package.json ]; then
  echo "browser: real Chromium against a demo"
  if node --test --test-reporter=tap tests/browser/*.test.mjs >"$tmp/out" 2>&1; then :; else cat "$tmp/out"; fi
  node_counts
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

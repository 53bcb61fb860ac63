#!/usr/bin/env bash
# What has to hold before a change goes in. Ends with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'end_rehearsal; rm -rf "$tmp"' EXIT
tags=sqlite_fts5
passed=0 failed=0

count() { passed=$((passed + $1)); failed=$((failed + $2)); }
said() { printf '%-5s %3d s  %s\n' "$1" $((SECONDS - began)) "$2"; }
step() { # name, command…: one check that holds or does not
  local name=$1 began=$SECONDS; shift
  if "$@" >"$tmp/out" 2>&1; then said ok "$name"; count 1 0; else said FAIL "$name"; cat "$tmp/out"; count 0 1; fi
}
suite() { # name, file for "passed failed", command…: tests that count themselves
  local name=$1 counts=$2 p f began=$SECONDS; shift 2
  "$@" >"$tmp/out" 2>&1
  if read -r p f <"$counts" && [ "$f" -eq 0 ] && [ "$p" -gt 0 ]; then said ok "$name: $p passed"; else said FAIL "$name"; cat "$tmp/out"; p=${p:-0} f=${f:-1}; [ "$f" -gt 0 ] || f=1; fi
  count "$p" "$f"
}
formatted() { local f; f=$(git ls-files -z --cached --others --exclude-standard '*.go' | xargs -0 gofmt -l 2>/dev/null); [ -z "$f" ] || { echo "gofmt: $f"; return 1; }; }
units() { (cd web/ui && npx --no-install vitest run --reporter=default --reporter=json --outputFile.json="$tmp/units.json"); node -p 'const r=JSON.parse(require("fs").readFileSync(process.argv[1]));`${r.numPassedTests} ${r.numFailedTests+r.numFailedTestSuites}`' "$tmp/units.json" >"$tmp/units"; }
each() { for dir in . tests/cedar tests/dex; do (cd "$dir" && "$@") || return 1; done; } # module
# Tests wait more than they compute, so more of them run at once than there are processors.
gotests() { # directory of a module: its tests, counted one by one
  local p f
  go -C "$1" test -json -tags "$tags" -timeout 20m -p 3 -parallel 4 ./... 2>&1 | go run ./internal/testenv/gotest "$tmp/go"
  if read -r p f <"$tmp/go" && [ $((p + f)) -gt 0 ]; then count "$p" "$f"; else echo "FAIL  no test of $1 ran"; count 0 1; fi
  rm -f "$tmp/go"
}
browser() {
  node tests/browser/run.mjs --test-reporter=tap | tee "$tmp/tap"
  awk '/^ *not ok /{said=1} said; /^ *\.\.\.$/{said=0}' "$tmp/tap" # once more, at the end: what failed and why
  echo "$(sed -n 's/^# pass //p' "$tmp/tap" | tail -1) $(awk '/^# (fail|cancelled|skipped) /{n+=$3} END{print n+0}' "$tmp/tap")" >"$tmp/browser"
}

# The rehearsal waits more than it computes, so it runs at the same time as the Go tests.
rehearse() { # needs users, mounts and networks of its own
  COUNTS="$tmp/operations" deploy/operations/run.sh short >"$tmp/rehearsal" 2>&1 &
  rehearsal=$!
}
rehearsed() { wait "$rehearsal"; rehearsal=; cat "$tmp/rehearsal"; }
end_rehearsal() { [ -z "${rehearsal:-}" ] || kill "$rehearsal" 2>/dev/null; wait; }

step "gofmt" formatted
step "go vet" each go vet -tags "$tags" ./...
step "staticcheck" go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 -tags "$tags" ./...
step "web: types" npm --prefix web/ui run --silent typecheck
suite "web: units" "$tmp/units" units

[ "$(id -u)" -ne 0 ] || rehearse
gotests .
gotests tests/cedar
gotests tests/dex
if [ -n "${rehearsal:-}" ]; then suite "operations: the documents as a script" "$tmp/operations" rehearsed
else echo "not run: deploy/operations/run.sh needs root"; fi
suite "browser: real Chromium against a demo" "$tmp/browser" browser

echo "took $SECONDS s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

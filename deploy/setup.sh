#!/usr/bin/env bash
# What a fresh Debian machine with Go, gcc, Node and npm lacks: Debian packages, npm packages, Go modules. Says what it does and does only what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

PATH=$PATH:/usr/sbin:/sbin # servers are there, and an ordinary user's PATH may lack them
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
missing=()
need chromium chromium
need ssh openssh-client
need sshd openssh-server
need sudo sudo
need strace strace
need age age
need nginx nginx-light
need haproxy haproxy
need ip iproute2
need nsenter util-linux
need tinyproxy tinyproxy-bin # the program alone: the package tinyproxy starts a service
need jq jq
need curl curl
need logrotate logrotate
need systemd-sysusers systemd
need openssl openssl
need update-ca-certificates ca-certificates
need column bsdextrautils
need make make
if [ "${#missing[@]}" -gt 0 ]; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "These Debian packages are missing: ${missing[*]}. Run: sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 2
  fi
  echo "setup: installing Debian packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -o DPkg::Lock::Timeout=300 -qq update
  apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
fi
for tool in go gcc node npm; do
  command -v "$tool" >/dev/null 2>&1 || { echo "setup: $tool is missing; install it first (Go 1.26, gcc, Node 20.19 or 22.12 and later)" >&2; exit 2; }
done
node -e 'const [a,b]=process.versions.node.split(".").map(Number); process.exit(a>22||(a===22&&b>=12)||(a===20&&b>=19)?0:1)' ||
  { echo "setup: Node $(node -v) is too old for the web app's build; 20.19, or 22.12 and later" >&2; exit 2; }

for dir in web/ui tests/oidc tests/browser; do
  [ -f "$dir/package-lock.json" ] || continue
  if ! cmp -s "$dir/package-lock.json" "$dir/node_modules/.sallyport-lock"; then
    echo "setup: npm ci in $dir"
    (cd "$dir" && npm ci --silent --no-audit --no-fund)
    cp "$dir/package-lock.json" "$dir/node_modules/.sallyport-lock"
  fi
done

stamp="$(go env GOMODCACHE)/cache/download"
for dir in . tests/cedar tests/dex; do
  if [ ! -d "$stamp" ] || ! go -C "$dir" list -deps -test -tags sqlite_fts5 ./... >/dev/null 2>&1; then
    echo "setup: go mod download in $dir"
    go -C "$dir" mod download
  fi
done

#!/usr/bin/env bash
# Rehearses docs/operations.md: the commands of the page run as they are printed there, on hosts made of namespaces, with a real
# proxy, provider, browser and devices. After each step the sensors are asked, and what they say is compared with what is expected.
# `run.sh` is the whole rehearsal, `run.sh short` what CI runs. COUNTS=FILE gets "passed failed"; STOP=yes ends it at the first
# difference, and shows the logs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
form=${1:-full}

if [ "${INSIDE:-}" != yes ]; then
  [ "$(id -u)" -eq 0 ] || { echo "the rehearsal makes users, mounts and networks of its own, so it has to run as root" >&2; exit 2; }
  work=$(mktemp -d "${TMPDIR:-/tmp}/sallyport-operations-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  chmod 755 "$work"
  [ -x "$repo/bin/sallyport" ] || { echo "bin/sallyport is missing: run make build first" >&2; exit 2; }
  go -C "$repo/tests/dex" build -o "$work/dex" .
  # Processes, mounts and networks are this script's own, and all of them end with it.
  INSIDE=yes WORK=$work unshare --mount --propagation private --pid --fork --kill-child --mount-proc --net --ipc --uts "$here/run.sh" "$form" &
  trap 'kill -KILL $!' INT TERM
  wait $!
  exit
fi

for part in hosts certificates front document report sensors people; do source "$here/$part.sh"; done
network_up
trap '[ "$BASH_SUBSHELL" -gt 0 ] || { failed_step; finish; }' ERR
set -E
for file in "$here"/steps/*.sh; do
  name=$(basename "$file" .sh) && name=${name#*-}
  [ -z "${ONLY:-}" ] || [[ $name =~ $ONLY ]] || continue
  source "$file"
  begin "$name"
  "step_${name//-/_}"
done
finish

# The commands of the documents: a block that follows <!-- operations: NAME --> runs as it is printed.

# block NAME prints the commands of a block.
block() {
  awk -v mark="<!-- operations: $1 -->" '
    $0 == mark { found = 1; next }
    found && /^```/ { if (inside) exit; inside = 1; next }
    inside { print }
  ' "$repo/docs/operations.md" | grep . || { echo "docs/operations.md has no block $1" >&2; return 1; }
}

# document HOST NAME [VARIABLE=VALUE…] runs a block on a host, as root. What it prints is kept, and shown if it fails.
document() {
  local host=$1 name=$2 text given
  shift 2
  text=$(block "$name")
  printf -v given '%q ' "$@"
  used_blocks+=" $name"
  on "$host" "$([ $# -eq 0 ] || echo "export $given;") $text" >"$WORK/$host-$name.out" 2>&1 ||
    { echo "block $name on $host failed:"; cat "$WORK/$host-$name.out"; return 1; }
}
used_blocks=""

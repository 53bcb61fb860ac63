# Every tagged block of the page has been run: a block that no step uses would drift unnoticed.
step_documents() {
  local all
  all=$(sed -n 's/^<!-- operations: \(.*\) -->$/\1/p' "$repo/docs/operations.md")
  for name in $all; do [[ " $used_blocks " == *" $name "* ]] || row DIFFERS "block $name" "no step runs it" "each block runs"; done
  row ok blocks "$(wc -w <<<"$all") blocks of docs/operations.md" "each block runs"
}

# After 20 s the link is back: the same session goes on and ends as it should.
step_link_is_back() {
  wait "$outage"
  on press-1 "touch /run/link-is-back"
  expect 60 "said long" begun "ended *$"
  wait "$long" || true # its end was compared
  expect 60 "listed press-1" online=true
  expect 60 "device press-1" "online at access.acme.example"
}

# The link of press-1 goes down while a session runs there. The next two steps happen meanwhile; it is back after 20 s, however long they take.
step_link_goes_down() {
  as tess "sallyport shell press-1 -- sh -c 'echo begun; until [ -e /run/link-is-back ]; do sleep 0.2; done; echo ended'" >"$WORK/long" 2>&1 &
  long=$!
  expect 15 "said long" begun
  (link_down press-1; sleep 20; link_up press-1) &
  outage=$!
  expect 1 readyz 200
}

sensor_said() { cat "$WORK/$1"; }

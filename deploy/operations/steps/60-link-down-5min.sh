# The link of press-2 is down for five minutes: it is shown as offline, names the cause, and comes back by itself.
step_link_down_5min() {
  [ "$form" = full ] || return 0
  link_down press-2
  local down_at=$SECONDS
  expect 70 "listed press-2" online=false
  expect 5 "metric devices_connected" "connected 1"
  expect 60 "device press-2" "offline since"
  expect 60 "device_doctor press-2" "LOOK"
  expect 30 "shell tess press-2" "exit status 255" "offline|not connected|not reach"
  sleep $((300 - (SECONDS - down_at)))
  link_up press-2
  expect 120 "listed press-2" online=true
  expect 5 "device press-2" "online at access.acme.example"
  expect 20 "shell tess press-2" "^works-42"
}

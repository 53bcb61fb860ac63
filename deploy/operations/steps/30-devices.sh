# Two devices enrol and are admitted: press-1 on the network, press-2 behind a web proxy that wants a password.
step_devices() {
  webproxy_up
  hand_over press-1 acme-ca.pem
  hand_over press-2 acme-ca.pem
  for d in press-1 press-2; do
    document "$d" private-ca
    document "$d" device-programs
  done
  enrol press-1 enrol
  enrol press-2 enrol-behind-a-proxy
  expect 30 "listed press-1" "online=true tunnel=tls"
  expect 30 "listed press-2" "online=true tunnel=tls"
  expect 5 "device press-1" "online at access.acme.example"
  expect 5 "device press-2" "online at access.acme.example"
  expect 5 "device_doctor press-1" "nothing to mend"
  expect 5 "device_doctor press-2" "nothing to mend"
  expect 5 "metric devices_connected" "connected 2"
}

# enrol runs a block of commands on the device, and admits the device once it waits.
enrol() {
  local code device
  code=$(as ada "export DEVICE=$1; $(block join-code)" 2>/dev/null)
  document "$1" "$2" CODE="$code" PROXY_PASSWORD=opensesame &
  device=$!
  expect 20 "listed $1" "^$1 "
  as ada "export DEVICE=$1; $(block admit)" >"$WORK/admit-$1"
  wait "$device"
  used_blocks+=" join-code admit $2"
}

webproxy_up() {
  on webproxy "printf '%s\n' 'Port 3128' 'Listen 10.78.0.1' 'Timeout 600' 'ConnectPort 443' 'BasicAuth plant opensesame' 'LogFile \"/var/log/webproxy\"' \
    'PidFile \"/run/webproxy.pid\"' >/etc/webproxy.conf; tinyproxy -c /etc/webproxy.conf"
}

# The sensors. Each prints one answer; a sensor that cannot be asked prints why.
metrics=http://127.0.0.1:9464

sensor_healthz() { on gateway "curl -sS --max-time 6 -w ' %{http_code}' $metrics/healthz"; }
sensor_readyz() { on gateway "curl -sS --max-time 6 -w ' %{http_code}' $metrics/readyz"; }

# sensor_metric NAME: the lines of one metric.
sensor_metric() { on gateway "curl -sS --max-time 6 $metrics/metrics | grep '^sallyport_$1' || echo 'no sallyport_$1'"; }

# The gateway's doctor: the faults that it finds. The clock is left out, because all hosts share the clock of this computer.
sensor_doctor() {
  on gateway "$(block doctor) --json 2>/dev/null || true" |
    jq -r '[.[] | select(.state == "look" and .what != "clock") | "LOOK " + .what + ": " + .text] | if . == [] then "nothing to mend" else .[] end'
}

# A person's doctor, from their own computer.
sensor_way_in() { as "$1" "sallyport doctor --json 2>/dev/null || true" | jq -r '.[] | select(.state != "ok") | .what + ": " + .text' | grep . || echo "nothing to mend"; }

# The device's own view: its status, and the faults that its doctor finds.
sensor_device() { on "$1" "sallyport-agent status | grep -E '^agent|^sessions'"; }
sensor_device_doctor() {
  on "$1" "sallyport-agent doctor --json 2>/dev/null || true" | jq -r '[.[] | select(.ok | not) | "LOOK " + .what + ": " + .text] | if . == [] then "nothing to mend" else .[] end'
}

# What an administrator sees of a device.
sensor_listed() { as ada "sallyport devices show $1 --json" | jq -r '"\(.name) online=\(.online) tunnel=\(.tunnel)"'; }

# A session by the command line, through nginx.
sensor_shell() { as "$1" "timeout 20 sallyport shell $2 -- echo works-\$((6*7)) 2>&1 || echo exit status \$?"; }

# A session in a browser's terminal, through nginx.
sensor_browser() { as "$1" "timeout 60 node $here/browser.mjs terminal https://access.acme.example $2 svc 2>&1 || echo exit status \$?"; }

# The certificate that a client is shown by the gateway itself.
sensor_served() {
  on webproxy "openssl s_client -connect 10.77.0.10:443 -servername access.acme.example </dev/null 2>/dev/null | openssl x509 -noout -serial"
}

# An officer's check of the newest recording.
sensor_verify() { as "$1" "sallyport sessions verify last 2>&1 || echo exit status \$?"; }

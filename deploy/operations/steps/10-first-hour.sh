# Steps 1 to 6 of "The first hour", and the front: nginx with HTTP/2, dex behind it.
step_first_hour() {
  certificates
  document gateway programs
  reader_keys
  hand_over gateway compliance.age recovery.age unseal.age acme-ca.pem
  document gateway readers
  document gateway private-ca
  new_certificate first
  hand_over gateway fullchain.pem privkey.pem
  document gateway certificate
  document gateway policy
  document gateway configuration
  on gateway "sed -i -f deploy/operations/gateway.edits /etc/sallyport/gateway.toml
    mount -t tmpfs -o size=400m,mode=700 tmpfs /var/lib/sallyport; chown sallyport: /var/lib/sallyport"
  echo rehearsal-secret >"$WORK/oidc-secret"
  hand_over gateway oidc-secret
  document gateway secret
  document gateway second-copy
  front_up
  document gateway start
  expect 30 healthz 200
  expect 30 readyz 200
  add_user ada administrators
  add_user olga compliance
  used_blocks+=" doctor"
  expect 20 doctor "nothing to mend"
  expect 5 "metric signer_up" "signer_up 1"
  expect 5 "metric idp_up" 'acme"} 1' 'guests"} 1'
}

# reader_keys are made where the readers are.
reader_keys() {
  document people reader-key
  on people "for k in recovery unseal; do age-keygen -o \$k.txt 2>/dev/null; age-keygen -y \$k.txt >\$k.age; done; cp *.age $WORK/"
}

add_user() { # name, group
  local text
  text=$(block first-administrator)
  text=${text/ ada / $1 } text=${text/administrators/$2}
  on gateway "echo '${password[$1]}' | $text" >/dev/null
  used_blocks+=" first-administrator"
}

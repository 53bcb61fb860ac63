# A certificate is renewed badly, in the two ways that happen, and then well.
step_certificate() {
  local old new
  old=$(sensor_served)
  new_certificate
  on gateway "cp $WORK/fullchain.pem $WORK/privkey.pem /etc/sallyport/tls/; chown root: /etc/sallyport/tls/*.pem; chmod 600 /etc/sallyport/tls/privkey.pem"
  expect 5 served "^$old"
  expect 30 doctor "LOOK certificate.*permission denied"
  new_certificate
  on gateway "cp $WORK/fullchain.pem $WORK/ca.key . && /usr/local/lib/sallyport/certificate-hook fullchain.pem ca.key" >"$WORK/hook" 2>&1 || true
  expect 1 "said hook" "does not belong to the certificate" "keeps the certificate that it has"
  expect 5 served "^$old"
  hand_over gateway fullchain.pem privkey.pem
  document gateway renew
  new=$(openssl x509 -in "$WORK/fullchain.pem" -noout -serial)
  expect 30 served "^$new"
  expect 30 doctor "nothing to mend"
  expect 5 "metric cert_expiry_seconds" "seconds 7[.0-9]*e\+06"
}

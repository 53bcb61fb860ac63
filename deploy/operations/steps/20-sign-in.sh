# People sign in by the command line, with Chromium for the provider's pages: two at the built-in provider, one at dex.
step_sign_in() {
  hand_over people acme-ca.pem
  document people private-ca
  browser_trusts
  document people client
  sign_in ada olga tess
  expect 10 "way_in tess" "nothing to mend"
}

# sign_in signs people in at the same time.
sign_in() {
  local text
  text=$(block login)
  used_blocks+=" login"
  for p in "$@"; do as "$p" "timeout 90 bash -euc $(printf %q "$text")" >"$WORK/login-$p" 2>&1 & done
  wait $(jobs -p | tail -n $#) || true
  for p in "$@"; do expect 1 "whoami $p" "^name +$p"; done
}

# browser_trusts gives Chromium the CA as a company's administrators do; it does not read the system's list.
browser_trusts() {
  on people "mkdir -p /etc/chromium/policies/managed
    printf '{\"CACertificates\": [\"%s\"]}' \"\$(openssl x509 -in acme-ca.pem -outform der | base64 -w0)\" >/etc/chromium/policies/managed/ca.json"
}

sensor_whoami() { as "$1" "sallyport whoami"; }

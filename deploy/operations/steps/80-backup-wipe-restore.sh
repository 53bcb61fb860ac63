# A backup while everything runs; both data directories are lost; the backup is restored, and the same log continues.
step_backup_wipe_restore() {
  on people "age-keygen -o backup-key.txt 2>/dev/null; age-keygen -y backup-key.txt >backup.age; cp backup-key.txt backup.age $WORK/"
  hand_over gateway backup.age
  document gateway backup-directories
  on gateway "grep -q '^\[backup\]' /etc/sallyport/gateway.toml ||
    printf '\n[backup]\nrecipients = [\"/etc/sallyport/backup.age\"]\n' >>/etc/sallyport/gateway.toml
    systemctl restart sallyport-signer sallyport"
  expect 30 readyz 200
  as olga "sallyport log checkpoint >checkpoint"
  document gateway backup
  expect 1 leftovers "^none"
  on gateway "systemctl stop sallyport sallyport-signer; find /var/lib/sallyport /var/lib/sallyport-signer -mindepth 1 -delete"
  expect 1 healthz "refused|connect"
  hand_over gateway backup-key.txt
  document gateway restore
  expect 60 readyz 200
  sign_in ada olga tess
  expect 30 "consistency olga" "holds everything of your checkpoint"
  expect 60 "listed press-1" online=true
  expect 60 "listed press-2" online=true
  expect 20 "shell tess press-1" "^works-42"
  expect 20 "verify olga" "ok +A +end: closed as entry" "! BAD|exit status"
  expect 10 doctor "nothing to mend"
}

# sensor_leftovers: an unsealed snapshot must not outlive the backup that made it.
sensor_leftovers() { on gateway "find /var/lib/sallyport /var/lib/sallyport-signer -name '.backup-*' | grep . || echo none"; }

sensor_consistency() { as "$1" "sallyport log consistency checkpoint 2>&1"; }

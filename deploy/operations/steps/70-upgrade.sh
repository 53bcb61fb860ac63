# The programs are installed again and restarted, as in an upgrade; the devices come back by themselves.
step_upgrade() {
  document gateway upgrade
  expect 30 readyz 200
  expect 90 "listed press-1" online=true
  expect 90 "listed press-2" online=true
  expect 20 "shell tess press-2" "^works-42"
  document gateway logrotate >/dev/null 2>&1
}

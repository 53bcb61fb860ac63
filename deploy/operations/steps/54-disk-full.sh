# The disk of data_dir fills up: no new session starts, every sensor says so, and free space is enough to recover.
step_disk_full() {
  on gateway "fallocate -l \$((\$(stat -f -c '%a*%S' /var/lib/sallyport) - 32*1024*1024)) /var/lib/sallyport/filled"
  expect 30 readyz "503" "must stay free|no space|low_water"
  expect 5 healthz 200
  expect 5 doctor "LOOK disk"
  expect 5 "shell tess press-1" "must stay free" "exit status 255"
  expect 5 "metric record_refused_total" "total [1-9]"
  on gateway "rm /var/lib/sallyport/filled"
  expect 30 readyz 200
  expect 30 "shell tess press-1" "^works-42"
  expect 5 doctor "nothing to mend"
}

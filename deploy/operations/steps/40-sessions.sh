# The same technician works in the browser's terminal and by the command line, through nginx with HTTP/2; an officer checks the record.
step_sessions() {
  expect 20 "shell tess press-1" "^works-42"
  expect 20 "shell tess press-2" "^works-42"
  expect 1 "browser tess press-1" "^works-42"
  expect 10 "verify olga" "ok +A +end: closed as entry" "! BAD|exit status"
  expect 5 readyz 200
  expect 5 doctor "nothing to mend"
}

# The signer is killed and stays away for a while: sessions that run go on, new ones are refused with the reason.
step_signer_killed() {
  on gateway "systemctl kill --signal=KILL sallyport-signer; systemctl stop sallyport-signer"
  expect 10 readyz 503 "signer"
  expect 5 healthz 200
  expect 5 "metric signer_up" "signer_up 0"
  expect 5 doctor "LOOK.*signer"
  expect 5 "shell tess press-1" "the signer does not answer" "exit status 255"
  expect 5 "listed press-1" online=true
  on gateway "systemctl start sallyport-signer"
  expect 30 readyz 200
  expect 10 "shell tess press-1" "^works-42"
  expect 5 doctor "nothing to mend"
}

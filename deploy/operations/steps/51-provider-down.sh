# The provider is down: people who are signed in can continue, and the sensors report it.
step_provider_down() {
  provider_down
  expect 60 "metric idp_up" 'acme"} 0' 'guests"} 1'
  expect 5 doctor "LOOK identity acme"
  expect 5 readyz 200
  expect 15 "shell tess press-2" "^works-42"
  provider_up
  expect 60 "metric idp_up" 'acme"} 1' 'guests"} 1'
  expect 5 doctor "nothing to mend"
}

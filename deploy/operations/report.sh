# What each sensor said at each step, and whether that is what was expected.
rows=() rows_passed=0 rows_failed=0 began=$SECONDS

begin() { step=$1; echo "== $1 ($((SECONDS - began)) s)"; }

# expect WITHIN SENSOR PATTERN…: within so many seconds the sensor's output matches every pattern (! PATTERN: does not match).
expect() {
  local within=$1 sensor=$2 said end=$((SECONDS + $1))
  shift 2
  while :; do
    said=$(sensor_"${sensor%% *}" ${sensor#"${sensor%% *}"} 2>&1 | tr '\n' ' ') || true
    if holds "$said" "$@"; then row ok "$sensor" "$said" "$*"; return 0; fi
    [ "$SECONDS" -lt "$end" ] || break
    sleep 0.3
  done
  row DIFFERS "$sensor" "$said" "$*"
  [ -z "${STOP:-}" ] || { logs; finish; }
}

# logs shows the end of what every program of the hosts has logged.
logs() {
  for host in gateway press-1 press-2; do on "$host" "tail -n 15 /var/log/units/* 2>/dev/null" | cut -c1-400 || true; done
  for person in ada olga tess; do as "$person" "tail -n 20 browser.log 2>/dev/null" || true; done
}

holds() {
  local said=$1 pattern
  shift
  for pattern in "$@"; do
    if [[ $pattern == "! "* ]]; then ! grep -qE -- "${pattern#! }" <<<"$said" || return 1
    else grep -qE -- "$pattern" <<<"$said" || return 1; fi
  done
}

row() { # result, sensor, what it said, what was expected
  if [ "$1" = ok ]; then rows_passed=$((rows_passed + 1)); else rows_failed=$((rows_failed + 1)); fi
  rows+=("$step|$2|$(short "$3" 110)|$(short "$4" 60)|$1")
  [ "$1" = ok ] || printf '   %s: %s said\n      %s\n   expected %s\n' "$1" "$2" "$3" "$4"
}

short() { local t=${1//|//}; [ "${#t}" -le "$2" ] && echo "$t" || echo "${t:0:$2}…"; }

failed_step() {
  trap - ERR
  row DIFFERS "a command" "failed; its output is above" "the step completes"
  logs
}

# finish prints the table and ends the rehearsal: well if every sensor said what was expected.
finish() {
  echo
  printf '%s\n' "step|sensor|said|expected|result" "${rows[@]}" | column -t -s '|' -o ' | '
  echo
  echo "operations: $rows_passed as expected, $rows_failed not, in $((SECONDS - began)) s"
  [ -z "${COUNTS:-}" ] || echo "$rows_passed $rows_failed" >"$COUNTS"
  [ "$rows_failed" -eq 0 ] || exit 1
  exit 0
}

# The hosts of the rehearsal: each has a network and a file system of its own, laid over this machine's, which stays as it is.
#
#   people        10.77.0.20  browser and command line; the name leads to the proxy
#   front         10.77.0.11  nginx with HTTP/2, and dex behind it
#   gateway       10.77.0.10  gateway and signer; devices reach it directly
#   press-1       10.77.0.31
#   webproxy      10.77.0.40  tinyproxy, which wants a password
#   press-2       10.78.0.2   reaches nothing but the web proxy
declare -A host_pid

network_up() {
  ip link set lo up
  ip link add bridge0 type bridge
  ip link set bridge0 up
  host_up gateway 10.77.0.10
  host_up front 10.77.0.11
  host_up people 10.77.0.20
  host_up press-1 10.77.0.31
  host_up webproxy 10.77.0.40
  host_up press-2
  ip link add inside netns "${host_pid[webproxy]}" type veth peer name eth0 netns "${host_pid[press-2]}"
  on webproxy "ip address add 10.78.0.1/24 dev inside; ip link set inside up"
  on press-2 "ip address add 10.78.0.2/24 dev eth0; ip link set eth0 up"
  names people 10.77.0.11
  on press-2 "echo 10.78.0.1 proxy.plant.example >>/etc/hosts"
  for h in gateway front press-1 webproxy; do names "$h" 10.77.0.10; done
}

# host_up NAME [ADDRESS] starts a host, on the common network if it has an address.
host_up() {
  local name=$1 address=${2:-}
  mkdir -p "$WORK/$name"
  unshare --mount --propagation private --net --uts bash "$here/boot.sh" "$name" "$WORK/$name" "$repo" &
  host_pid[$name]=$!
  until [ -e "$WORK/$name.booted" ]; do sleep 0.02; kill -0 "${host_pid[$name]}"; done
  [ -n "$address" ] || return 0
  ip link add "to-$name" type veth peer name eth0 netns "${host_pid[$name]}"
  ip link set "to-$name" master bridge0 up
  on "$name" "ip address add $address/24 dev eth0; ip link set eth0 up"
}

# names HOST ADDRESS says where the gateway is for a host; the provider is always at the front.
names() {
  on "$1" "printf '%s\n' '127.0.0.1 localhost' '$2 access.acme.example' '10.77.0.11 login.acme.example' >/etc/hosts"
}

# on HOST COMMAND runs a shell command as root there, in the host's copy of the repository.
on() {
  local host=$1; shift
  nsenter --target "${host_pid[$host]}" --mount --net --uts -- \
    env -i CHROMIUM="${CHROMIUM:-/usr/bin/chromium}" PATH="$PATH" HOME=/root TERM=xterm LANG=C.UTF-8 NO_COLOR=1 WORK="$WORK" bash -euo pipefail -c "cd /srv/sallyport; $*"
}

# hand_over HOST FILE…: files from the table between the hosts.
hand_over() {
  local host=$1; shift
  on "$host" "cd $WORK; cp $* /srv/sallyport/"
}

link_down() { on "$1" "ip link set eth0 down"; }
link_up() { on "$1" "ip link set eth0 up"; }

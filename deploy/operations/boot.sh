# boot.sh NAME DIR REPOSITORY: lays memory over what a host writes to, puts the repository at /srv/sallyport, and stays.
set -euo pipefail
name=$1 dir=$2 repo=$3
hostname "$name"
ip link set lo up
mkdir -p "$dir.disk"
mount -t tmpfs -o mode=755 tmpfs "$dir"
for d in etc usr var root home srv mnt opt; do
  mkdir -p "$dir/$d" "$dir/.work/$d"
  mount -t overlay -o "lowerdir=/$d,upperdir=$dir/$d,workdir=$dir/.work/$d" overlay "/$d"
done
mount -t tmpfs -o mode=755 tmpfs /run
install -m 755 "$(dirname "$0")/systemctl" /usr/bin/systemctl
install -m 755 "$(dirname "$0")/xdg-open" /usr/bin/xdg-open
mkdir -p /srv/sallyport /var/lib/sallyport /var/lib/sallyport-agent "$dir/repo" "$dir/.work/repo"
mount --bind "$dir.disk" /var/lib/sallyport-agent # the agent refuses a directory that a restart would empty
mount -t overlay -o "lowerdir=$repo,upperdir=$dir/repo,workdir=$dir/.work/repo" overlay /srv/sallyport
touch "$dir.booted"
exec sleep infinity

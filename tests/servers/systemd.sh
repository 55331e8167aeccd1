#!/bin/sh
# Becomes a systemd with a root of its own: started by systemd.py in a mount namespace, with the folder of the server.
# What it sees of this machine is bound read-only before a user namespace is entered, in which nobody, not even its
# root, can make it writable again. Writable are its own tmpfs, its own control groups and what was shared with it.
set -eu

home=$1
root=$home/root
group=${home##*/}

# Its control groups: of the one hierarchy where there is one, else of those that it uses here.
all=/sys/fs/cgroup
hierarchies="unified systemd memory"
[ ! -e $all/cgroup.controllers ] || hierarchies=.
for each in $hierarchies; do
	[ -e "$all/$each/cgroup.procs" ] || continue
	mkdir "$all/$each/$group"
	echo $$ >"$all/$each/$group/cgroup.procs"
done

mount -t tmpfs -o mode=755,size=64m tmpfs "$root"
cd "$root"
mkdir -p usr proc sys dev run tmp var/tmp var/log root

show() { # path mode
	mkdir -p ".$1"
	mount --bind "$1" ".$1"
	mount -o "remount,bind,$2" ".$1"
}
while read -r mode path; do show "$path" "$mode"; done <"$home/shown"
for link in /bin /sbin /lib /lib64; do
	[ ! -L $link ] || ln -s "$(readlink $link)" ".$link"
done

show /sys ro
if [ "$hierarchies" = . ]; then
	mount --bind "$all/$group" .$all
else
	mount -t tmpfs -o mode=755,size=1m tmpfs .$all
	for each in $hierarchies; do
		[ -e "$all/$each/$group" ] || continue
		mkdir ".$all/$each"
		mount --bind "$all/$each/$group" ".$all/$each"
	done
	mount -o remount,ro .$all
fi

mount -t tmpfs -o mode=755,size=1m tmpfs dev
for each in null zero full random urandom; do
	: >dev/$each
	mount --bind /dev/$each dev/$each
done
mkdir dev/shm dev/pts
ln -s /proc/self/fd dev/fd
# The kernel lets a new namespace have its own only where one was to be seen.
mount --bind /proc proc
cp -r "$home/etc" .

mkdir old
pivot_root . old
cd /
umount -l old
rmdir old
# The namespace has this machine's users under their own numbers, once whoever began all this has said so.
exec unshare --user --pid --fork --kill-child --mount --uts --ipc --cgroup sh -c '
	tries=500
	until [ "$(id -u)" = 0 ] || [ $((tries -= 1)) = 0 ]; do sleep 0.01; done
	mount -t proc proc /proc
	# What stands there is of the whole machine.
	for each in bus fs irq sys; do
		[ -d /proc/$each ] || continue
		mount --bind /proc/$each /proc/$each
		mount -o remount,bind,ro /proc/$each
	done
	exec env -i container=controlroom PATH=/usr/sbin:/usr/bin LC_ALL=C SYSTEMD_UNIT_PATH=/etc/systemd/system \
		setpriv --pdeathsig KILL /lib/systemd/systemd --unit=begin.target --log-target=journal-or-kmsg --show-status=no'

# The Debian tree that rigs share as their lower layer: built once per recipe, never written to again.
# shellcheck shell=bash
# shellcheck disable=SC2154 # here and rigs come from rig

# What a fleet needs, and python3 for the scripts of tests. No polkit: a plain user may not linger itself.
packages=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,login,passwd,procps,python3,sudo,tmux

# Of no use in a container, or noise in the middle of a test.
masked=(
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer
    console-getty.service getty.target systemd-firstboot.service systemd-networkd.service systemd-pstore.service
    systemd-resolved.service systemd-timesyncd.service
)

tree() {
    local suite=${1:-} key
    [[ $suite == bookworm || $suite == trixie ]] || fail "'$suite' is no suite: bookworm or trixie"
    # This file is the recipe.
    key=$(sha256sum "$here/tree.sh" | cut -c1-12)
    local done=$rigs/tree/$suite-$key
    mkdir -p "$rigs/tree"
    (
        flock 9
        [[ -d $done ]] || build "$suite" "$done"
    ) 9>"$rigs/tree/$suite.lock" >&2
    echo "$done"
}

build() {
    local suite=$1 done=$2 new=$2.new
    rm -rf --one-file-system "$new"
    # 9 is the lock: nothing that mmdebstrap leaves behind may hold it.
    timeout 600 mmdebstrap --quiet --variant=minbase --include="$packages" \
        --aptopt='Acquire::Languages "none"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        "$suite" "$new" </dev/null 9>&- || fail "could not build the tree of $suite"
    furnish "$new"
    mv -T "$new" "$done"
}

furnish() {
    local etc=$1/etc unit
    # Empty, so that each rig gets an id of its own and takes its first boot for a normal one.
    : >"$etc/machine-id"
    rm -f "$1/var/lib/dbus/machine-id" "$etc/hostname" "$etc/resolv.conf"
    echo 'LANG=C.UTF-8' >"$etc/default/locale"
    for unit in "${masked[@]}"; do
        ln -sf /dev/null "$etc/systemd/system/$unit"
    done
    # Makes the journal persistent: it can be read after a reboot.
    mkdir -p "$1/var/log/journal"
    # The cgroup that commands from outside join: an ordinary service, so that logind knows what
    # they are, and so that they end when the system goes down.
    cat >"$etc/systemd/system/rig.service" <<'END'
[Unit]
Description=Commands from outside the rig

[Service]
ExecStart=/bin/sleep infinity
Delegate=yes
TimeoutStopSec=2s
END
    mkdir -p "$etc/systemd/system/multi-user.target.wants"
    ln -s ../rig.service "$etc/systemd/system/multi-user.target.wants/rig.service"
}

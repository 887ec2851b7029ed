# A rig as a container: systemd-nspawn over the host's kernel. Boots in a second.
# shellcheck shell=bash
# shellcheck disable=SC2154 # name, run and cg come from rig, vars from inside.sh

container_base() {
    tree "$1"
}

container_disk() {
    mkdir "$run"/{upper,work,root}
    ln -s "$1" "$run/lower"
    # Relative paths keep what a mount option can't hold (commas, colons) out of it.
    (cd "$run" && mount -t overlay "mosaic-rig-$name" -o lowerdir=lower,upperdir=upper,workdir=work root 2>/dev/null) ||
        cp -a --reflink=auto "$1/." "$run/root"
    echo "$name" >"$run/root/etc/hostname"
    echo "127.0.0.1 localhost $name" >"$run/root/etc/hosts"
}

# Does what firmware does: boots the machine, and again when it asks for that, which systemd-nspawn
# tells by ending with 133.
container_keep() {
    local status=133 folder seen=()
    if [[ -e $run/seen ]]; then
        while read -r folder; do seen+=(--bind-ro="${folder//:/\\:}:/srv/${folder##*/}"); done <"$run/seen"
    fi
    while [[ $status == 133 ]]; do
        status=0
        (
            # Not in a cgroup of its own, two rigs would take each other's tree of groups for theirs.
            echo "$BASHPID" >"$cg/cgroup.procs"
            export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
            exec systemd-nspawn --quiet --directory="$run/root" --machine="$name" --boot --register=no --keep-unit \
                --console=pipe --private-network --resolv-conf=off --timezone=off --link-journal=no \
                "${seen[@]}"
        ) || status=$?
    done
}

# Sets `leader` to the host's id of the rig's first process, once that is a running systemd.
find_leader() {
    local pids status
    whole pids "$cg/payload/init.scope/cgroup.procs"
    for leader in $pids; do
        whole status "/proc/$leader/status"
        [[ ! $status =~ $'\nNSpid:\t'[0-9$'\t']*$'\t1\n' ]] || return 0
    done
    return 1
}

# container_enter [OPTION OF SETPRIV...] -- COMMAND...
container_enter() {
    local seat=$cg/payload/system.slice/rig.service
    find_leader || fail "rig '$name' is not running"
    # logind refuses a caller without a cgroup, and one from outside seems to have none.
    { echo "$BASHPID" >"$seat/cgroup.procs"; } 2>/dev/null || fail "rig '$name' has not booted yet"
    # What systemd gives to services, not what the caller happens to have.
    umask 022
    ulimit -Sn 1024
    # nsenter stays outside as the parent: what happens to it shall happen to the command.
    exec nsenter --target "$leader" --mount --root --uts --ipc --net --pid --cgroup \
        /usr/bin/setpriv --pdeathsig KILL "$@"
}

container_as() {
    local user=$1 gid home shell
    shift
    find_user "$user" || fail "no user '$user' in rig '$name'"
    container_enter --reuid="$user" --regid="$gid" --init-groups -- \
        /usr/bin/env -i -C "$home" "${vars[@]}" HOME="$home" USER="$user" LOGNAME="$user" SHELL="$shell" "$@"
}

# Sets gid, home and shell of user $1; a user database of another kind is asked inside.
find_user() {
    local entry user
    while IFS=: read -r user _ _ gid _ home shell; do
        [[ $user != "$1" ]] || return 0
    done 2>/dev/null <"$run/root/etc/passwd"
    # The input is the command's.
    entry=$(inside_root getent passwd "$1" </dev/null) || return 1
    IFS=: read -r _ _ _ gid _ home shell <<<"$entry"
}

container_boot_id() {
    find_leader && [[ -d $cg/payload/system.slice/rig.service ]] &&
        cat "/proc/$leader/root/proc/sys/kernel/random/boot_id" 2>/dev/null
}

container_ask_reboot() {
    # What systemctl reboot comes to, without a command inside that the shutdown would end.
    find_leader
    kill -s RTMIN+5 "$leader"
}

container_record() {
    fail "a container has no disk of its own; boot with --kernel own"
}

container_path() {
    echo "$run/root"
}

container_journal() {
    journalctl --directory="$run/root/var/log/journal" --quiet --no-pager --priority=warning --lines=20 2>&1 || true
}

container_undisk() {
    rm -f "/run/systemd/nspawn/locks/inode-$(stat -c %d:%i "$run/root" 2>/dev/null)"
    [[ ! -d /run/systemd/nspawn/propagate/$name ]] || rmdir "/run/systemd/nspawn/propagate/$name"
    if mountpoint -q "$run/root"; then
        within 10 umount "$run/root" 2>/dev/null || fail "$run/root is in use"
    fi
}

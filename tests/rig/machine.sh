# The life of one rig: its disk, its cgroup and the processes in it.
# shellcheck shell=bash
# shellcheck disable=SC2154 # name, run, cg, rigs and here come from rig

cgroup2() {
    awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts
}

# When process $1 started, in ticks since the host's boot: with the id it names a process for good.
started() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The name in parentheses may hold spaces. After it come the state (Z: dead, but not yet reaped)
    # and, 19 fields on, the start time.
    awk '$1 == "Z" { exit 1 } { print $20 }' <<<"${stat##*) }"
}

boot() {
    local suite=bookworm lower seen=()
    while [[ ${1:-} == --tree || ${1:-} == --see ]]; do
        if [[ $1 == --tree ]]; then suite=${2:-}; else seen+=("$(realpath -- "${2:-}")"); fi
        shift 2
    done
    choose "$@"
    lower=$(tree "$suite")
    gc || echo "rig: some old rigs could not be taken down" >&2
    claim "$suite"
    # Kept for its later boots.
    ((${#seen[@]} == 0)) || printf '%s\n' "${seen[@]}" >"$run/seen"
    # From here on the caller gets a whole rig or nothing.
    trap 'status=$?; [[ $status == 0 ]] || down; exit $status' EXIT
    disk "$lower"
    machine_start
    echo "$name"
}

# The folder comes into being whole; the group claims the name for all folders of this machine.
claim() {
    # Whoever called this script owns the rig, unless it says who does.
    local suite=$1 owner=${RIG_OWNER:-$PPID} new=$rigs/run.new
    mkdir -p "$rigs/run"
    (
        flock 9
        rm -rf "$new"
        mkdir "$new"
        echo "$suite" >"$new/suite"
        echo "$owner $(started "$owner")" >"$new/owner"
        mv -T "$new" "$run" 2>/dev/null || fail "there is a rig '$name' already"
        mkdir "$cg" 2>/dev/null || { rm -r "$run" && fail "another folder has a rig '$name'"; }
    ) 9>"$rigs/run.lock"
}

disk() {
    mkdir "$run"/{upper,work,root}
    # Relative paths keep what a mount option can't hold (commas, colons) out of it.
    ln -s "$1" "$run/lower"
    (cd "$run" && mount -t overlay "mosaic-rig-$name" -o lowerdir=lower,upperdir=upper,workdir=work root 2>/dev/null) ||
        cp -a --reflink=auto "$1/." "$run/root"
    echo "$name" >"$run/root/etc/hostname"
    echo "127.0.0.1 localhost $name" >"$run/root/etc/hosts"
}

machine_start() {
    ! populated || fail "rig '$name' is running"
    mkdir -p "$cg/keeper"
    setsid bash "$here/rig" keep "$name" </dev/null >>"$run/console" 2>&1 &
    disown
    within 5 populated || fail "rig '$name' did not start"
    up "" || fail "rig '$name' did not come up; its console and units:$(trouble)"
}

# Runs beside the machine, in the same cgroup, and does what firmware does: boot it, and boot it
# again when it asks for that, which systemd-nspawn tells by ending with 133.
machine_keep() {
    local status=133 folder seen=()
    if [[ -e $run/seen ]]; then
        while read -r folder; do seen+=(--bind-ro="${folder//:/\\:}:/srv/${folder##*/}"); done <"$run/seen"
    fi
    echo "$BASHPID" >"$cg/keeper/cgroup.procs"
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

populated() {
    grep -qx 'populated 1' "$cg/cgroup.events" 2>/dev/null
}

unpopulated() {
    ! populated
}

# The host's id of the rig's first process, once that is a running systemd.
leader() {
    local pid
    while read -r pid; do
        if grep -qsP '^NSpid:.*\t1$' "/proc/$pid/status"; then
            echo "$pid"
            return
        fi
    done 2>/dev/null <"$cg/payload/init.scope/cgroup.procs"
    return 1
}

boot_id() {
    local pid
    pid=$(leader) && cat "/proc/$pid/root/proc/sys/kernel/random/boot_id" 2>/dev/null
}

# up OLD: waits until a boot other than OLD has finished; gives up early when all power is gone.
up() {
    local state=off
    within 60 booted "$1" && within 60 settled && populated || return 1
    [[ $state != degraded ]] || echo "rig: '$name' is up, but some units failed:$(trouble)" >&2
}

booted() {
    unpopulated || [[ -d $cg/payload/system.slice/rig.service && $(boot_id) != "$1" ]]
}

settled() {
    unpopulated || state=$(timeout 60 "$here/rig" root "$name" systemctl is-system-running --wait 2>/dev/null) ||
        [[ $state == degraded ]]
}

trouble() {
    echo
    tail -n 20 "$run/console"
    journalctl --directory="$run/root/var/log/journal" --quiet --no-pager --priority=warning --lines=20 2>&1 || true
    timeout 5 "$here/rig" root "$name" systemctl list-units --failed --plain --no-legend 2>&1 || true
}

machine_reboot() {
    local old
    old=$(boot_id) || fail "rig '$name' is not running"
    # What systemctl reboot comes to, without a command inside that the shutdown would end.
    kill -s RTMIN+5 "$(leader)"
    up "$old" || fail "rig '$name' did not come back; its console and units:$(trouble)"
}

machine_kill() {
    [[ -d $cg ]] || return 0
    echo 1 >"$cg/cgroup.kill"
    within 10 unpopulated || fail "processes of rig '$name' can't be ended"
    ungroup "$cg"
}

# Empty groups stay behind in every hierarchy that systemd-nspawn knows of.
ungroup() {
    local mount
    while read -r mount; do
        [[ ! -d $mount/mosaic-rig-$name ]] || find "$mount/mosaic-rig-$name" -depth -type d -exec rmdir {} +
    done < <(awk '$3 == "cgroup2" || $3 == "cgroup" && $4 ~ /name=systemd/ { print $2 }' /proc/mounts)
}

machine_path() {
    echo "$run/root"
}

# Its disk goes away with it, so there is nothing that a clean shutdown would save.
down() {
    [[ -d $run ]] || return 0
    machine_kill
    rm -f "/run/systemd/nspawn/locks/inode-$(stat -c %d:%i "$run/root" 2>/dev/null)"
    [[ ! -d /run/systemd/nspawn/propagate/$name ]] || rmdir "/run/systemd/nspawn/propagate/$name"
    if mountpoint -q "$run/root"; then
        within 10 umount "$run/root" 2>/dev/null || fail "$run/root is in use"
    fi
    rm -rf --one-file-system "$run"
}

list() {
    local dir
    for dir in "$rigs"/run/*/; do
        [[ -d $dir ]] || continue
        choose "$(basename "$dir")"
        echo "$name $(cat "$run/suite") $(populated && echo up || echo off) $(cat "$run/owner")"
    done
}

# A test that was killed leaves its rigs to the next one that boots.
gc() (
    mkdir -p "$rigs/run"
    flock 9
    for dir in "$rigs"/run/*/; do
        read -r pid start 2>/dev/null <"$dir/owner" || continue
        [[ $(started "$pid") == "$start" ]] || (choose "$(basename "$dir")" && down)
    done
) 9>"$rigs/run.lock"

# The life of one rig: its claim, its cgroup and the processes in it. What differs between a container
# and an emulated machine is in container.sh and emulator.sh, under the same names.
# shellcheck shell=bash
# shellcheck disable=SC2154 # name, run, cg, rigs and here come from rig

# whole VARIABLE FILE: all that stands in a file of the kernel's, nothing where it can't be read. Read line by line, bash
# goes back to each line's end and the kernel writes the text anew there: where it has become shorter, inside of a line.
whole() {
    printf -v "$1" ''
    { IFS= read -r -d '' "$1" <"$2"; } 2>/dev/null || :
}

# Sets `cgroup2` to where that file system is.
find_cgroup2() {
    local mounts type
    whole mounts /proc/mounts
    while read -r _ cgroup2 type _; do
        [[ $type != cgroup2 ]] || return 0
    done <<<"$mounts"
    return 1
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
    kind=container
    while [[ ${1:-} == --* ]]; do
        case $1 in
            --tree) suite=${2:-} ;;
            --see) seen+=("$(realpath -- "${2:-}")") ;;
            --kernel) kind=$(kind_of "${2:-}") ;;
            *) fail "boot has no option '$1'" ;;
        esac
        shift 2
    done
    choose "$@"
    lower=$("${kind}_base" "$suite")
    gc || echo "rig: some old rigs could not be taken down" >&2
    claim "$suite"
    # Kept for its later boots.
    ((${#seen[@]} == 0)) || printf '%s\n' "${seen[@]}" >"$run/seen"
    # From here on the caller gets a whole rig or nothing.
    trap 'status=$?; [[ $status == 0 ]] || down; exit $status' EXIT
    "${kind}_disk" "$lower"
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
        echo "$kind" >"$new/kind"
        echo "$owner $(started "$owner")" >"$new/owner"
        mv -T "$new" "$run" 2>/dev/null || fail "there is a rig '$name' already"
        mkdir "$cg" 2>/dev/null || { rm -r "$run" && fail "another folder has a rig '$name'"; }
    ) 9>"$rigs/run.lock"
}

machine_start() {
    ! populated || fail "rig '$name' is running"
    mkdir -p "$cg/keeper"
    setsid bash "$here/rig" keep "$name" </dev/null >>"$run/console" 2>&1 &
    disown
    within 5 populated || fail "rig '$name' did not start"
    up "" || fail "rig '$name' did not come up; its console and units:$(trouble)"
}

# Runs beside the machine, in the same cgroup, and boots it again when it asks for that.
machine_keep() {
    echo "$BASHPID" >"$cg/keeper/cgroup.procs"
    "${kind}_keep"
}

populated() {
    grep -qx 'populated 1' "$cg/cgroup.events" 2>/dev/null
}

unpopulated() {
    ! populated
}

# up OLD: waits until a boot other than OLD has finished; gives up early when all power is gone.
up() {
    local state=off
    within 300 booted "$1" && within 60 settled && populated || return 1
    [[ $state != degraded ]] || echo "rig: '$name' is up, but some units failed:$(trouble)" >&2
}

booted() {
    local now
    unpopulated || { now=$("${kind}_boot_id") && [[ $now != "$1" ]]; }
}

settled() {
    unpopulated || state=$(timeout 60 "$here/rig" root "$name" systemctl is-system-running --wait 2>/dev/null) ||
        [[ $state == degraded ]]
}

trouble() {
    echo
    tail -n 20 "$run/console"
    "${kind}_journal"
    timeout 5 "$here/rig" root "$name" systemctl list-units --failed --plain --no-legend 2>&1 || true
}

machine_reboot() {
    local old
    old=$("${kind}_boot_id") || fail "rig '$name' is not running"
    "${kind}_ask_reboot"
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

machine_record() {
    "${kind}_record"
}

machine_path() {
    "${kind}_path"
}

# Its disk goes away with it, so there is nothing that a clean shutdown would save.
down() {
    [[ -d $run ]] || return 0
    machine_kill
    "${kind}_undisk"
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

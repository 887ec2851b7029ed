# How commands run inside a rig, whatever kind it is: as root, as a user, in a login.
# shellcheck shell=bash
# shellcheck disable=SC2154 # name, kind and rigs come from rig

# With these a command has nothing of its caller's environment. Each kind's `enter` and `as` replace this process by a
# command inside; standard streams, arguments and exit code pass through as they are.
vars=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM="${TERM:-dumb}")

inside_root() {
    "${kind}_enter" -- /usr/bin/env -i -C /root "${vars[@]}" HOME=/root USER=root LOGNAME=root SHELL=/bin/bash "$@"
}

# As sudo does it, but without its own log and rules: ids, groups, home; no session, no XDG_RUNTIME_DIR.
inside_as() {
    "${kind}_as" "$@"
}

# systemd expands $ in a command, unless it is doubled.
inside_login() {
    local user=$1
    shift
    inside_root systemd-run --quiet --pipe --wait --collect --uid="$user" --property=PAMName=login \
        --property=WorkingDirectory="~" -- "${@//\$/\$\$}"
}

inside_user() {
    local user=$1 uid
    shift
    # The kernel counts a user's inotify instances, 128 of them, over all rigs and this machine: users
    # of one uid in several rigs take them from each other, and then a user manager does not start.
    read -r uid _ < <(printf '%s' "$name/$user" | cksum)
    inside_root useradd --create-home --shell /bin/bash --uid "$((10000 + uid % 50000))" "$@" "$user"
}

inside_install() {
    local binary
    mkdir -p "$rigs/bin"
    for binary in fleet mosaic; do
        (inside_copy "$(stripped "$1/$binary")" "/usr/bin/$binary")
    done
}

# A copy of program $1 without its symbols, which are most of a debug build; kept until $1 is newer.
stripped() {
    local copy
    copy=$rigs/bin/$(basename "$(dirname "$1")")-$(basename "$1")
    if [[ ! $copy -nt $1 ]]; then
        strip -o "$copy.$$" "$1" 2>/dev/null || cp "$1" "$copy.$$"
        mv "$copy.$$" "$copy"
    fi
    echo "$copy"
}

# Written from inside, where the rig's own links mean what they say, and moved into place, since
# a program that runs can't be written to.
inside_copy() {
    local source=$1 target=$2 mode
    mode=$(stat -Lc %a "$source")
    # shellcheck disable=SC2016 # expanded inside
    inside_root sh -euc 'mkdir -p "$(dirname "$1")"; cat >"$1.new"; chmod "$2" "$1.new"; mv "$1.new" "$1"' \
        sh "$target" "$mode" <"$source"
}

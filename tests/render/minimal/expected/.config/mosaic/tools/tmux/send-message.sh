#!/usr/bin/env bash
# Sends one message to one tmux pane, and says whether it left the composer. Needs bash, tmux and
# base64 and nothing else: it is shipped over ssh to hosts that have nothing of the fleet's.
# Rendered by fleet, and replaced by the next `fleet apply`.

usage() {
    printf '%s\n' \
        'usage: send-message.sh [-L SOCKET] -t TARGET (-m TEXT | -f FILE | -b BASE64 | stdin) [-r N] [-v] [-h]' \
        '' \
        '  -L SOCKET  name of the tmux server [default: $MOSAIC_TMUX_SOCKET, else ''mosaic-factory'']' \
        '  -t TARGET  a session, always exactly (NAME or =NAME), SESSION:WINDOW.PANE, or a pane (%3)' \
        '  -m TEXT    the message; or -f FILE holds it, or -b is it in base64, or standard input is read' \
        '  -r N       how many more Enters after the first, while it is still a draft [default: 2]' \
        '  -v         say each step' \
        '' \
        'exit: 0 delivered or queued, 1 target not found, 2 still a draft, or not seen to be taken, 3 usage'
}

complain() { printf 'send-message.sh: %s\n' "$*" >&2; }
step() { if [[ $verbose ]]; then complain "$@"; fi; }
wrong() { complain "$@"; usage >&2; exit 3; }

# The server of that name and no other.
server() { tmux -L "$socket" "$@"; }

screen() { server capture-pane -p -t "$pane" 2>/dev/null; }

# Waits without a program for it: on that descriptor nothing ever arrives.
pause() { read -r -t "$1" -u "$never" _ || :; }

# Reads standard input to its end, its last line ends too.
take() { if IFS= read -r -d '' body; then wrong 'the message holds a NUL byte'; fi; }

trimmed() {
    local text=$1
    text=${text%"${text##*[![:space:]]}"}
    printf '%s' "${text#"${text%%[![:space:]]*}"}"
}

# Whether the message is not UTF-8: a byte that never is, one of a longer or a later character than there are, or
# one too few or too many after the one that says how many follow.
is_no_text() {
    local LC_ALL=C follows=$'[\200-\277]' ends=$'([^\200-\277]|$)' wrong
    wrong=$'[\300\301\365-\377]|\340[\200-\237]|\355[\240-\277]|\360[\200-\217]|\364[\220-\277]'
    wrong+=$'|(^|[\001-\177])'$follows
    wrong+=$'|[\302-\337]('"$ends|$follows$follows)"
    wrong+=$'|[\340-\357]('"$ends|$follows$ends|$follows$follows$follows)"
    wrong+=$'|[\360-\364]('"$ends|$follows$ends|$follows$follows$ends|$follows$follows$follows$follows)"
    [[ $body =~ $wrong ]]
}

# What cannot be sent, where that is so. Bytes are looked at: in characters, a long text takes bash minutes.
refusal() {
    local LC_ALL=C control=$'[\001-\010\013-\037\177]|\302[\200-\237]'
    if [[ $body =~ $control ]]; then
        # A terminal would obey them, and one of them could forge the end of a paste.
        printf 'the message holds control characters other than newline and tab'
    elif is_no_text; then
        printf 'the message is not UTF-8'
    elif [[ ${body:1048576:1} ]]; then
        printf 'the message is longer than 1 MiB'
    elif [[ $body != *[![:space:]]* ]]; then
        printf 'the message is empty'
    fi
}

# The pane that exactly that session began with: the agent's, whatever a person has opened beside it and left in
# front. tmux numbers panes in the order of their making.
own_pane() {
    local id name least=
    while IFS='|' read -r id name; do
        if [[ $name == "$1" && (! $least || ${id#%} -lt ${least#%}) ]]; then least=$id; fi
    done < <(server list-panes -s -t "=$1:" -F '#{pane_id}|#{session_name}' 2>/dev/null)
    printf '%s' "$least"
}

# Waits until no other sender is at work on the pane, so that no two texts meet in one composer. The
# server itself sets the mark, once; that of a sender that is gone is taken away.
take_turn() {
    local holder waited=0
    until server set-option -p -o -t "$pane" @mosaic-sender "$$" 2>/dev/null; do
        holder=$(server display-message -p -t "$pane" '#{@mosaic-sender}' 2>/dev/null)
        if [[ $holder =~ ^[0-9]+$ && ! -e /proc/$holder ]]; then
            server if-shell -F -t "$pane" "#{==:#{@mosaic-sender},$holder}" "set-option -p -u -t $pane @mosaic-sender"
        fi
        if ((++waited > 300)); then return 1; fi
        pause .1
    done
    trap 'server set-option -p -u -t "$pane" @mosaic-sender 2>/dev/null' EXIT
}

# What stands behind the mark of the composer. `> ` counts in the last line alone, since what was
# said before stands behind it too; the other marks are those of boxes, with lines below them. A
# line that the terminal wrapped is one line.
composer() {
    local line text="" last=""
    while IFS= read -r line; do
        line=$(trimmed "$line")
        if [[ $line ]]; then last=$line; fi
        case $line in
            '❯' | '›') text= ;;
            '❯ '* | '› '*) text=$(trimmed "${line#* }") ;;
        esac
    done < <(server capture-pane -p -J -t "$pane" 2>/dev/null)
    if [[ $last == '> '* ]]; then text=$(trimmed "${last#> }"); fi
    printf '%s' "$text"
}

# Whether what stands there is a hint of the program's own, which is dim and behind the cursor.
is_hint() {
    local line last=""
    if [[ $(before_cursor "$1") ]]; then return 1; fi
    while IFS= read -r line; do
        case $line in *'❯'* | *'›'* | *'>'*) last=$line ;; esac
    done < <(server capture-pane -e -p -J -t "$pane" 2>/dev/null)
    [[ $last == *$'\e[2m'* || $last == *$'\e['*';2m'* ]]
}

# What stands before the cursor in its line of a screen, without a mark alone.
before_cursor() {
    local x y at=0 line before=
    read -r x y < <(server display-message -p -t "$pane" '#{cursor_x} #{cursor_y}' 2>/dev/null)
    while IFS= read -r line; do
        if [[ $at == "$y" ]]; then before=$(trimmed "${line:0:x}"); fi
        at=$((at + 1))
    done <<<"$1"
    case $before in '>' | '❯' | '›') before= ;; esac
    printf '%s' "$before"
}

# Whether a screen still shows our own text in the composer.
is_draft() {
    local text
    text=$(composer)
    if [[ $text && $text != "$standing" ]]; then
        case $text in "$opening"* | *'[Pasted'* | *'[paste #'*) return 0 ;; esac
    fi
    [[ $closing && $(before_cursor "$1") == *"$closing" ]]
}

# Looks, quickly at first, until the screen is another than $1.
changed() {
    local wait
    for wait in .02 .03 .05 .1 .2 .3 .4; do
        now=$(screen)
        if [[ $now != "$1" ]]; then return 0; fi
        pause "$wait"
    done
    return 1
}

# Looks, quickly at first, until our text has left the composer.
submitted() {
    local wait
    for wait in .02 .03 .05 .1 .1 .2 .3 .4 .4 .4; do
        now=$(screen)
        if [[ $now != "$typed" && $now == *[![:space:]]* ]] && ! is_draft "$now"; then return 0; fi
        pause "$wait"
    done
    return 1
}

main() {
    local socket=${MOSAIC_TMUX_SOCKET:-'mosaic-factory'} target="" body="" source=stdin file="" encoded="" enters=2 verbose=""
    local option never at pane dead mode name now typed standing opening closing end text buffer attempt
    unset TMUX TMUX_PANE
    export LC_ALL=C.UTF-8
    while getopts ':L:t:m:f:b:r:vh' option; do
        case $option in
            L) socket=$OPTARG ;;
            t) target=$OPTARG ;;
            m) source+=-m body=$OPTARG ;;
            f) source+=-f file=$OPTARG ;;
            b) source+=-b encoded=$OPTARG ;;
            r) enters=$OPTARG ;;
            v) verbose=yes ;;
            h) usage; exit 0 ;;
            :) wrong "-$OPTARG wants a value" ;;
            *) wrong "there is no -$OPTARG" ;;
        esac
    done
    shift $((OPTIND - 1))
    if [[ $# != 0 ]]; then wrong "what is meant by '$1'?"; fi
    if [[ ! $target ]]; then wrong 'no target: -t'; fi
    if [[ ! $socket || $socket == */* ]]; then wrong "'$socket' is no socket name"; fi
    if [[ ! $enters =~ ^[0-9]{1,2}$ ]]; then wrong "-r wants a number up to 99, not '$enters'"; fi
    case $source in
        stdin) take ;;
        stdin-m) ;;
        stdin-f)
            if [[ ! -f $file || ! -r $file ]]; then wrong "'$file' is no file that can be read"; fi
            take <"$file"
            ;;
        stdin-b)
            if ! base64 -d <<<"$encoded" >/dev/null 2>&1; then wrong 'what -b holds is not base64'; fi
            take < <(base64 -d <<<"$encoded")
            ;;
        *) wrong 'only one of -m, -f and -b' ;;
    esac
    text=$(refusal)
    if [[ $text ]]; then wrong "$text"; fi
    enters=$((10#$enters))
    exec {never}<> <(:)

    # tmux takes a name's beginning for it; a session is meant exactly.
    case $target in
        :* | =:*) wrong "'$target' names no session" ;;
        %* | *:*) at=$target ;;
        *)
            at=$(own_pane "${target#=}")
            target="=${target#=}:"
            ;;
    esac
    # It also shows another pane in place of one that is missing, but does not list it.
    if [[ $at ]] && server list-panes -t "$at" >/dev/null 2>&1; then
        IFS='|' read -r pane dead mode name < <(
            server display-message -p -t "$at" '#{pane_id}|#{pane_dead}|#{pane_in_mode}|#{session_name}'
        )
    fi
    text=${at%%:*}
    case $at in [!%$@:]*:*) if [[ $name != "${text#=}" ]]; then pane=; fi ;; esac
    if [[ ! $pane ]]; then complain "there is no $target on socket $socket"; exit 1; fi
    if [[ $dead == 1 ]]; then complain "what ran in $target on socket $socket has ended"; exit 1; fi
    # There, keys would move a person's view and reach nobody.
    if [[ ${mode:-0} != 0 ]]; then server copy-mode -q -t "$pane"; fi

    if ! take_turn; then
        complain "another sender is at work on $target since 30 s; nothing was typed"
        exit 2
    fi
    now=$(screen)
    standing=$(composer)
    if [[ $standing ]] && ! is_hint "$now"; then
        complain "somebody's draft stands in $target, so nothing was typed: $standing"
        exit 2
    fi
    opening=$(trimmed "${body:0:400}")
    opening=${opening%%$'\n'*}
    opening=${opening:0:20}
    end=${body: -400}
    closing=$(trimmed "${end:-$body}")
    closing=${closing##*$'\n'}
    if [[ $closing == ?????????????????????* ]]; then closing=${closing: -20}; fi

    step "pasting into $pane"
    # Whoever shipped this script knows by it that a connection lost from here on may have delivered.
    if [[ $typing_mark ]]; then printf '%s\n' "$typing_mark" >&2; fi
    buffer=mosaic-$$-$RANDOM
    if ! printf '%s' "$body" | server load-buffer -b "$buffer" - || ! server paste-buffer -p -d -b "$buffer" -t "$pane"; then
        # The message must not stay in the server, where any paste of a person's would find it.
        server delete-buffer -b "$buffer" 2>/dev/null
        complain "tmux did not take the message for $target"
        exit 1
    fi
    changed "$now" || step 'the paste does not show yet'
    # An Enter that follows at once becomes a part of the paste in some programs.
    pause .2
    typed=$(screen)
    for ((attempt = 0; attempt <= enters; attempt++)); do
        step "Enter, $((attempt + 1)) of at most $((enters + 1))"
        if ! server send-keys -t "$pane" Enter; then complain "$target ended meanwhile"; exit 1; fi
        if submitted; then
            step 'it left the composer'
            exit 0
        fi
        # Again only into what is provably our own draft.
        if ! is_draft "$now"; then
            complain "could not verify delivery (no pane change after send) for $target"
            exit 2
        fi
    done
    complain "message left as unsubmitted draft in $target"
    exit 2
}

main "$@"

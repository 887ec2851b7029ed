#!/bin/sh
# Sends one message to an agent's session here or on another host, and says from whom to whom.
# Its exit codes are those of send-message.sh, which it finds beside itself; fleet, which does the
# rest, is found by the path that was rendered, else on PATH.

usage() {
    cat <<'END'
usage: agent-send.sh [-L SOCKET] -s DST_SESSION [-H user@host] [-n DST_HOST]
                     (-m TEXT | -f FILE | stdin) [-S SOURCE_LABEL] [-r N] [-v] [-h]

  -L SOCKET        name of the tmux server there [default: the fleet's]
  -s DST_SESSION   the agent's session, exactly
  -H user@host     reach it over ssh; that host needs bash, tmux and base64 alone
  -n DST_HOST      the host as the message names it [default: its own host name]
  -m TEXT          the message; or -f FILE holds it, or standard input is read
  -S SOURCE_LABEL  who says it [default: HOST:SESSION of the tmux session we are in, else HOST:USER]
  -r N             how many more Enters after the first, while it is still a draft [default: 2]
  -v               say each step

exit: 0 delivered or queued, 1 target not found, 2 still a draft, or not seen to be taken, 3 usage
END
}

wrong() {
    echo "agent-send.sh: $*" >&2
    usage >&2
    exit 3
}

unset socket session over named message file label enters steps
while getopts ':L:s:H:n:m:f:S:r:vh' option; do
    case $option in
        L) socket=$OPTARG ;;
        s) session=$OPTARG ;;
        H) over=$OPTARG ;;
        n) named=$OPTARG ;;
        m) message=$OPTARG ;;
        f) file=$OPTARG ;;
        S) label=$OPTARG ;;
        r) enters=$OPTARG ;;
        v) steps=yes ;;
        h) usage; exit 0 ;;
        :) wrong "-$OPTARG wants a value" ;;
        *) wrong "there is no -$OPTARG" ;;
    esac
done
shift $((OPTIND - 1))
[ $# = 0 ] || wrong "what is meant by '$1'?"
[ -n "${session:-}" ] || wrong 'no session: -s'
session=${session#=}
[ -n "${socket-given}" ] || wrong "'' is no socket name"
[ -n "${file-given}" ] || wrong "'' is no file that can be read"
[ -z "${message+given}" ] || [ -z "${file+given}" ] || wrong 'only one of -m and -f'

program='@package@/bin/fleet'
fleet_socket='mosaic-factory'
if [ ! -x "$program" ]; then
    baked=$program
    program=$(command -v fleet) || {
        echo "agent-send.sh: fleet is neither at $baked nor on PATH" >&2
        exit 127
    }
fi
exec "$program" agent-send --sender "$(dirname -- "$0")/send-message.sh" \
    --socket="${socket:-${MOSAIC_TMUX_SOCKET:-$fleet_socket}}" --session="$session" \
    ${over+--over="$over"} ${named+--named="$named"} ${label+--source="$label"} \
    ${enters+--enters="$enters"} ${steps+--steps} ${message+--message="$message"} ${file+--file="$file"}

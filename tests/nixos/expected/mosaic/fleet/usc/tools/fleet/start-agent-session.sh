#!/bin/sh
# start-agent-session.sh [--replace] [AGENT]: starts an agent's session, or says that it runs.
# AGENT defaults to $MOSAIC_AGENT_NAME. Exit 64 without one, 69 without tmux, 127 without fleet.
# Rendered by fleet, which does the work; this path is what units and scripts can rely on.

[ -n "${MOSAIC_HOME:-}" ] || MOSAIC_HOME='/home/usc/.config/mosaic'
export MOSAIC_HOME

program='@package@/bin/fleet'
if [ ! -x "$program" ]; then
    baked=$program
    program=$(command -v fleet) || {
        echo "start-agent-session.sh: fleet is neither at $baked nor on PATH" >&2
        echo "install mosaic-fleet; if it is elsewhere, run its \`fleet apply\` once, which writes the place down here" >&2
        exit 127
    }
fi
exec "$program" session start "$@"

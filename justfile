# The scripts do the work and need no just: these are their short names.

_list:
    @just --list

# boot a Debian system and show the main job in it
demo:
    ./demo

# set up and run all tests
test *flags:
    ./check {{ flags }}

# the tests that need no booted system
quick:
    ./check --quick

# the tests that are too long for every change, too
long:
    ./check --long

# boot Debian systems by hand: just rig boot NAME, just rig as NAME USER COMMAND...
[positional-arguments]
rig *arguments:
    @tests/rig/rig "$@"

# a Debian package and a tarball
package *flags:
    .package/build {{ flags }}

# measure everything and write docs/performance.md again; a bound that is missed ends nothing
bench:
    rm -rf "${CARGO_TARGET_DIR:-target}/figures" "${CARGO_TARGET_DIR:-target}/criterion/slow"
    for bench in ps start apply send upkeep render; do cargo bench --bench $bench || echo "$bench: see above"; done
    cargo bench --bench report

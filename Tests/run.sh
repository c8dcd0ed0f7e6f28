#!/bin/sh
# Runs the tests that "make tests" has built. Those that boot containers run in a process of their own, at the same time as the
# others, because a container mostly waits. At the end it prints the failures again, and one line with the number of tests.
set -eu
cd "$(dirname "$0")/.."
tests=.build/debug/upgradelinkdPackageTests.xctest

# At most six tests at a time, because they have real time limits and share the machine.
: "${SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH:=6}"
export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH

work=$(mktemp -d)
processes=
# shellcheck disable=SC2317,SC2329
clean_up() {
    # shellcheck disable=SC2086
    [ -z "$processes" ] || kill $processes 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# start NAME OPTION...: the output is shown, and kept.
start() {
    name=$1
    shift
    mkfifo "$work/$name.pipe"
    tee "$work/$name" <"$work/$name.pipe" &
    "$tests" --testing-library swift-testing "$@" >"$work/$name.pipe" 2>&1 &
    processes="$processes $!"
}
begin=$(cut -d . -f 1 /proc/uptime)
start systems --filter '^SystemTests\.'
start units --skip '^SystemTests\.'

failures=0
for process in $processes; do wait "$process" || failures=1; done
processes=
wait

# The symbols at the start of a line depend on the terminal.
passed=0
for name in systems units; do
    [ "$failures" = 0 ] || grep -aE "recorded an issue|Fatal error" "$work/$name" | sed "s/^/$name: /" || true
    if grep -aq "Test run with [1-9][0-9]* tests\? .*passed after" "$work/$name"; then
        count=$(sed -n 's/.*Test run with \([0-9]*\) tests\? .*/\1/p' "$work/$name" | tail -n 1)
        passed=$((passed + count))
    else
        failures=1
        grep -a "Test run with" "$work/$name" | sed "s/^/$name: /" || echo "$name: the tests ended before their summary"
    fi
done
seconds=$(($(cut -d . -f 1 /proc/uptime) - begin))
[ "$failures" = 0 ] || {
    echo "Test run failed after $seconds seconds: see above"
    exit 1
}
echo "Test run with $passed tests passed after $seconds seconds"

# shellcheck shell=bash
# What the chart's tests share: where the tools are, and how a result is told.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# shellcheck disable=SC2034 # for the scripts that read this
chart=charts/meddela
work=${CHART_WORK:-$PWD/.chart}
mkdir -p "$work/logs"
failures=0

# need FAMILY...: builds the programs once, and puts them first on the path.
need() {
    local bin
    bin=$(test/chart/tools/build "$@")
    PATH=$bin:$PATH
}

# check WHAT COMMAND...: runs a command, and tells whether it worked, and how long
# it took. What it printed is shown only if it did not.
check() {
    local what=$1 log began rc=0
    shift
    log=$work/logs/$(tr -c 'a-zA-Z0-9\n' - <<<"$what" | cut -c1-60).log
    began=$(date +%s%N)
    ("$@") >"$log" 2>&1 & # in the background, so that errexit counts within it
    wait $! || rc=$?
    told "$what" "$rc" "$((($(date +%s%N) - began) / 100000000))"
    [ "$rc" = 0 ] || tail -n 40 "$log"
    return 0
}

# told WHAT RC TENTHS: one line of the table.
told() {
    local word=passed
    if [ "$2" != 0 ]; then
        word=FAILED
        failures=$((failures + 1))
    fi
    printf '  %-64s %s %5s s\n' "$1" "$word" "$(($3 / 10)).$(($3 % 10))"
}

# finish: ends with an error if anything failed.
finish() {
    [ "$failures" = 0 ] || {
        echo "$failures FAILED; logs are in $work/logs"
        exit 1
    }
}

#!/bin/sh
# Stop the IOC and wait for its exit. The IOC closes its files and its connections to the PandA.
#
# A stop.sh in the config folder replaces this script.
set -eu

config=${EPICS_ROOT:-/epics}/ioc/config
file=${PANDA_IOC_ALIVE_FILE:-/tmp/panda-ioc.alive}
limit=${PANDA_IOC_STOP_SECONDS:-10}

if [ -f "$config/stop.sh" ]; then
    exec bash "$config/stop.sh"
fi
if ! read -r pid 2>/dev/null <"$file" || ! kill -TERM "$pid" 2>/dev/null; then
    echo "the IOC is not running" >&2
    exit 0
fi
tenths=$((limit * 10))
while kill -0 "$pid" 2>/dev/null; do
    if [ "$tenths" -le 0 ]; then
        echo "the IOC did not stop within $limit s" >&2
        exit 1
    fi
    tenths=$((tenths - 1))
    sleep 0.1
done

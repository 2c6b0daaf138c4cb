#!/bin/sh
# Succeed while the IOC is alive: it touches a file each second, from the loop that does all its work.
#
# A liveness.sh in the config folder is run instead.
set -eu

config=${EPICS_ROOT:-/epics}/ioc/config
file=${PANDA_IOC_ALIVE_FILE:-/tmp/panda-ioc.alive}
limit=${PANDA_IOC_ALIVE_SECONDS:-15}

if [ -f "$config/liveness.sh" ]; then
    exec bash "$config/liveness.sh"
fi
if ! touched=$(stat -c %Y "$file" 2>/dev/null); then
    echo "the IOC does not run: there is no $file" >&2
    exit 1
fi
age=$(($(date +%s) - touched))
if [ "$age" -gt "$limit" ]; then
    echo "the IOC hangs: $file was touched $age s ago" >&2
    exit 1
fi

#!/bin/sh
# Startup probe: succeed once the IOC runs, even if it still waits for its PandA.
#
# A startup.sh in the config folder replaces this script.
set -eu

config=${EPICS_ROOT:-/epics}/ioc/config

if [ -f "$config/startup.sh" ]; then
    exec bash "$config/startup.sh"
fi
exec sh "$(dirname "$0")/liveness.sh"

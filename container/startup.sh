#!/bin/sh
# Succeed once the IOC runs, for a startup probe; it may still wait for its PandA, which is no reason to kill it.
#
# A startup.sh in the config folder is run instead.
set -eu

config=${EPICS_ROOT:-/epics}/ioc/config

if [ -f "$config/startup.sh" ]; then
    exec bash "$config/startup.sh"
fi
exec sh "$(dirname "$0")/liveness.sh"

#!/bin/sh
# Start the IOC of this container in place of this script, so that the IOC receives the signals.
#
# The configuration is config/panda-ioc.yaml, or config/ioc.yaml, the name in earlier versions (ibek reads files of this
# name in epics-containers repositories). Without either file, these variables are the configuration:
#   PANDA_IOC_HOST      name or address of the PandA
#   PANDA_IOC_PREFIX    start of all PV names; default: IOC_PREFIX, which the chart sets in lower case
# All other options of `panda-ioc run` have variables too. Variables override the file.
# A start.sh in the config folder replaces this script.
set -eu
# A signal before the IOC has started is a clean stop.
trap 'exit 0' TERM INT

root=${EPICS_ROOT:-/epics}
config=$root/ioc/config

if [ -f "$config/start.sh" ]; then
    exec bash "$config/start.sh"
fi

PANDA_IOC_ALIVE_FILE=${PANDA_IOC_ALIVE_FILE:-/tmp/panda-ioc.alive}
export PANDA_IOC_ALIVE_FILE
rm -f "$PANDA_IOC_ALIVE_FILE"

# Block signals until the IOC handles them: the first process of a container ignores signals without a handler.
set -- env --block-signal=TERM --block-signal=INT
"$@" true 2>/dev/null || set --

for file in "$config/panda-ioc.yaml" "$config/ioc.yaml"; do
    if [ -f "$file" ]; then
        exec "$@" panda-ioc run --config "$file"
    fi
done
prefix=${PANDA_IOC_PREFIX:-${IOC_PREFIX:-}}
: "${PANDA_IOC_HOST:?set it to the host of the PandA, or write $config/panda-ioc.yaml}"
: "${prefix:?set IOC_PREFIX to the prefix of all PVs, or write $config/panda-ioc.yaml}"
PANDA_IOC_SCREENS_DIR=${PANDA_IOC_SCREENS_DIR:-$root/opi}
export PANDA_IOC_SCREENS_DIR
exec "$@" panda-ioc run "$PANDA_IOC_HOST" "$prefix" --clear-bobfiles

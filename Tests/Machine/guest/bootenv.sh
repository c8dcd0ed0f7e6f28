# Writes the environment of the bootloader: bootenv.sh SLOT GOOD LEFT. One sector, so that a power cut leaves the old one or the new.
set -eu
printf 'PRIMARY=%s GOOD=%s LEFT=%s\n' "$1" "$2" "$3" | dd of=/dev/vdd bs=512 conv=sync,fsync 2>/dev/null

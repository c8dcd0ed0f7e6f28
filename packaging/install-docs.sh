#!/bin/sh
# Installs the documents for operators and integrators, as the packages have them: in one directory, with links that work there.
# Usage: install-docs.sh DIRECTORY SHAREDIR, with the directory of data (/usr/share) as the installed system has it
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
directory=$1
share=$2
# Larger pictures are for readers of the repository.
picture_limit=100k

install -d "$directory"
# debhelper takes a file named CHANGELOG.md for the changelog of the package. What another package installs is named without a link.
for file in "$top"/README.md "$top"/CHANGELOG.md "$top"/docs/*.md; do
    name=${file##*/}
    if [ "$name" = CHANGELOG.md ]; then name=NEWS.md; fi
    sed -e 's|](\(\.\./\)*docs/|](|g' -e 's|](\.\./\([A-Z]*\.md\)|](\1|g' \
        -e "s|](\(\.\./\)*config/\(upgradelinkd\.[a-z.]*\))|]($share/upgradelinkd/\2)|g" \
        -e "s|](\(\.\./\)*packaging/dbus/\([A-Za-z0-9.]*\.xml\))|]($share/dbus-1/interfaces/\2)|g" -e 's|](CHANGELOG\.md|](NEWS.md|g' \
        -e "s|\[[^]]*](\(\.\./\)*config/upgradelink-sim\.toml)|\`$share/doc/upgradelink-sim/examples/upgradelink-sim.toml\`|g" "$file" \
        >"$directory/$name"
done
find "$top/docs" -maxdepth 1 -name '*.svg' -size "-$picture_limit" -exec cp '{}' "$directory/" ';'
if [ -d "$top/docs/examples" ]; then cp -r "$top/docs/examples" "$directory/"; fi

# What is not installed, such as the source, is named without a link.
cd "$directory"
for file in *.md; do
    grep -o '](\([^)#]*\)' "$file" | cut -c 3- | sort -u | while read -r target; do
        case $target in *://* | '' | /*) continue ;; esac
        [ -e "$target" ] || sed -i "s|]($target[^)]*)|]|g" "$file"
    done
done
find . -type d -exec chmod 755 '{}' + -o -type f -exec chmod 644 '{}' +

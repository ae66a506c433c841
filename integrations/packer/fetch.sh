#!/bin/sh
# Runs beside Packer: puts img-tools where the template uploads it from.
#
#   SOURCE  a file or an https URL: the single file, the .deb or the .rpm of a release
#   SHA256  its checksum, as in SHA256SUMS of the release; without one no URL is trusted
#   TARGET  the file to make
set -eu

fail() {
    echo "img-tools: $*" >&2
    exit 1
}

draft=$(mktemp "$TARGET.XXXXXX") # builds run side by side, each makes it whole
trap 'rm -f "$draft"' EXIT

case $SOURCE in
'') fail "which one? -var img_tools=FILE, or a URL" ;;
https://*)
    [ -n "$SHA256" ] || fail "a URL needs its checksum: -var img_tools_sha256=..."
    curl --fail --silent --show-error --location --proto =https --retry 3 \
        --output "$draft" "$SOURCE" || fail "cannot be fetched: $SOURCE"
    ;;
*://*) fail "https alone: $SOURCE" ;;
*) cp -- "$SOURCE" "$draft" ;;
esac
if [ -n "$SHA256" ]; then
    echo "$SHA256  $draft" | sha256sum --check --status || fail "wrong checksum: $SOURCE"
fi
mv "$draft" "$TARGET"

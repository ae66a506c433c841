#!/bin/sh
# Runs on the build machine at the very end, when the report is downloaded: stops the build, before
# anything is snapshotted, unless img-tools.sh ended well.
code=$(cat /run/img-tools/exit-code) || code=3
case $code in
0) echo "img-tools: clean and checked" ;;
1) echo "img-tools: FAIL: do not publish; see the report" >&2 ;;
2) echo "img-tools: bad options or policy file: nothing was cleaned, nothing checked" >&2 ;;
3) echo "img-tools: could not decide; see the report" >&2 ;;
*) echo "img-tools: stopped, code $code" >&2 ;;
esac
exit "$code"

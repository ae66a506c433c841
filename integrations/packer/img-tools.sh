#!/bin/sh
# Runs on the build machine as root, after every other provisioner: installs /run/img-tools.upload,
# cleans, checks and, if all is well, takes img-tools out again.
#
#   IMG_CLEAN_OPTIONS  more options of img-clean, such as "--skip do-agent"
#
# All it needs lies in /run: that is memory, hence in no image, and /tmp gets emptied meanwhile.
# It ends with 0 whatever the verdict, so that Packer goes on and downloads the report; the code
# that counts is in /run/img-tools/exit-code. Until then that holds 3: nothing was decided.
set -eu
rm -rf /run/img-tools # of a build that is repeated
mkdir -m 700 /run/img-tools
cd /run/img-tools
echo 3 >exit-code
mv ../img-tools.upload program

case $(od -A n -t x1 -N 4 program | tr -d ' ') in
213c6172) dpkg --force-confdef --force-confold --install program ;; # a policy of yours stays
edabeedb) rpm --upgrade --replacepkgs program ;;
7f454c46)
    install -m 755 program /usr/local/bin/img-check
    ln -sf img-check /usr/local/bin/img-clean
    PATH=/usr/local/bin:$PATH
    ;;
*)
    echo "img-tools: program is neither the single file nor a .deb or .rpm" >&2
    exit 2
    ;;
esac
rm program

code=0
# shellcheck disable=SC2086 # several options
img-clean --yes --check --self-remove -o report.json ${IMG_CLEAN_OPTIONS-} || code=$?
echo "$code" >exit-code

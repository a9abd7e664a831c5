#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the packages that a job needs on Debian and Ubuntu, if they are missing; on other systems prints what
# is needed and goes on when the tools are there.
#   scripts/install-deps.sh build|demo|check|fuzz|arm64 [--print]
# docs/dependencies.md says what each package is for.
set -eu

job=${1:-build}
mode=${2:-}
build="gcc libc6-dev make cmake ninja-build pkg-config libcjson-dev libyaml-dev zlib1g-dev libjpeg-dev libpng-dev"
# Taken where the system has them; the build goes on without.
optional="libdnnl-dev"
foreign= # another architecture whose libraries are needed
clang=no # its runtimes have packages of their own
libraries="libcjson yaml-0.1 zlib libjpeg libpng"
check="g++ clang libomp-dev libcmocka-dev python3 python3-venv"
case $job in
build) packages=$build tools="cc cmake ninja pkg-config" modules="$libraries" ;;
demo) packages=$build tools="cc cmake ninja pkg-config" modules="$libraries" \
    optional="$optional dataset-fashion-mnist" ;;
check) packages="$build $check" clang=yes optional="$optional dataset-fashion-mnist" \
    tools="gcc g++ clang clang++ cmake ctest ninja pkg-config python3" modules="$libraries cmocka" ;;
fuzz) packages="$build clang llvm" clang=yes tools="clang cmake ninja pkg-config" modules="$libraries" ;;
arm64) packages="$build gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user python3 libcmocka-dev:arm64 libgomp1:arm64"
    for package in libcjson-dev libyaml-dev zlib1g-dev libjpeg-dev libpng-dev; do
        packages="$packages $package:arm64"
    done
    foreign=arm64 optional='' \
    tools="aarch64-linux-gnu-gcc qemu-aarch64 cmake ctest ninja pkg-config python3" modules= ;;
*)
    echo "usage: $0 build|demo|check|fuzz|arm64 [--print]" >&2
    exit 2
    ;;
esac

# Debian and Ubuntu 24.04 keep clang's sanitizer and fuzzer runtimes in a package named after the version.
clang_runtime() {
    version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9][0-9]*\)$/\1/p' | head -n 1)
    [ -n "$version" ] && apt-cache show "libclang-rt-$version-dev" >/dev/null 2>&1 &&
        echo "libclang-rt-$version-dev"
    return 0
}

installed() { # a package of this architecture, or with :NAME of another
    case $1 in
    *:*) architecture=${1#*:} ;;
    *) architecture=$(dpkg --print-architecture) ;;
    esac
    dpkg-query -W -f '${Architecture} ${Status}\n' "${1%:*}" 2>/dev/null |
        grep -Eq "^($architecture|all) install ok installed\$"
}

# Tools that are there whoever installed them; prints what is not.
missing_tools() {
    for tool in $tools; do
        command -v "$tool" >/dev/null 2>&1 || echo "$tool"
    done
    if command -v pkg-config >/dev/null 2>&1; then
        for module in $modules; do
            pkg-config --exists "$module" || echo "$module (development files)"
        done
    fi
}

finish_without_apt() { # $1: why nothing was installed
    lacking=$(missing_tools)
    if [ -z "$lacking" ]; then
        echo "install-deps: $1; everything needed is here"
        exit 0
    fi
    echo "install-deps: $1; missing:" >&2
    echo "$lacking" | sed 's/^/    /' >&2
    echo "install-deps: Debian and Ubuntu have them as: $packages" >&2
    exit 1
}

if [ "$mode" = --print ]; then
    echo "$packages"
    echo "optional: $optional" >&2
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
    finish_without_apt "not a Debian or Ubuntu system"
fi

needed=
for package in $packages; do
    # pkgconf took over the name pkg-config; either will do.
    installed "$package" || { [ "$package" = pkg-config ] && installed pkgconf; } || needed="$needed $package"
done
if [ "$clang" = yes ] && command -v clang >/dev/null 2>&1; then
    runtime=$(clang_runtime)
    [ -z "$runtime" ] || installed "$runtime" || needed="$needed $runtime"
fi
extra=
for package in $optional; do
    installed "$package" || ! apt-cache show "$package" >/dev/null 2>&1 || extra="$extra $package"
done
if [ -z "$needed$extra" ]; then
    echo "install-deps: all packages are installed"
    exit 0
fi
if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1 && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    as_root=sudo
elif [ -z "$needed" ]; then
    echo "install-deps: all packages that are needed are installed; useful, too:$extra"
    exit 0
else
    finish_without_apt "neither root nor sudo, cannot install:$needed"
fi
echo "install-deps: installing$needed$extra"
export DEBIAN_FRONTEND=noninteractive
[ -z "$foreign" ] || $as_root dpkg --add-architecture "$foreign"
$as_root apt-get -q update </dev/null
if ! echo "$needed" | grep -q libclang-rt && [ "$clang" = yes ]; then
    needed="$needed $(clang_runtime)"
fi
# shellcheck disable=SC2086
[ -z "$needed" ] ||
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $needed </dev/null
for package in $optional; do # known only now, where the lists of packages were empty
    installed "$package" || ! apt-cache show "$package" >/dev/null 2>&1 ||
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$package" </dev/null ||
        echo "install-deps: $package cannot be installed; going on without"
done
echo "install-deps: done"

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs a build (argument) into a temporary place and uses it: run.sh BUILD_FOLDER
set -eu

build=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PKG_CONFIG_PATH PKG_CONFIG_LIBDIR LD_LIBRARY_PATH || true

fail() {
    echo "install: $1"
    exit 1
}

# Staged below DESTDIR for /opt/vecq, then moved elsewhere: nothing may depend on the first place.
DESTDIR="$work/stage" "$CMAKE" --install "$build" --prefix /opt/vecq >"$work/install.log"
[ -d "$work/stage/opt/vecq/include/vecq" ] || fail "nothing under DESTDIR"
[ "$(ls "$work/stage")" = opt ] || fail "DESTDIR has more than the prefix"
mv "$work/stage/opt/vecq" "$work/moved"
prefix=$work/moved
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name vecq.pc)")
libdir=$(dirname "$PKG_CONFIG_PATH")
export PKG_CONFIG_PATH

[ "$(pkg-config --modversion vecq)" = "$VERSION" ] || fail "vecq.pc says version $(pkg-config --modversion vecq)"
[ "$(readlink "$libdir/libvecq.so")" = "libvecq.so.$SOVERSION" ] || fail "libvecq.so is no link to the soname"
objdump -p "$libdir/libvecq.so" | grep -q "SONAME *libvecq.so.$SOVERSION\$" || fail "wrong soname"
objdump -p "$libdir/libvecq.so" | grep -E 'RPATH|RUNPATH' && fail "the library has a run path"
cmp "$here/../../include/vecq/vecq.h" "$prefix/include/vecq/vecq.h" || fail "headers differ"
for page in "$here"/../../docs/man/*.1; do
    [ ! -f "$page" ] || cmp "$page" "$prefix/share/man/man1/$(basename "$page")" || fail "man page is missing"
done

flags="-Wall -Wextra -Wpedantic -Werror"
run() { # NAME COMMAND...: build a program, run it, see what it was linked to
    name=$1
    shift
    "$@" || fail "$name: cannot be built"
    case $name in
    *shared*)
        LD_LIBRARY_PATH=$libdir "$work/program" || fail "$name: does not run"
        LD_LIBRARY_PATH=$libdir ldd "$work/program" | grep -q "$libdir/libvecq.so.$SOVERSION" || fail "$name: other library"
        ;;
    *)
        "$work/program" || fail "$name: does not run"
        objdump -p "$work/program" 2>/dev/null | grep -q "NEEDED *libvecq" && fail "$name: needs the shared library"
        ;;
    esac
    echo "install: $name works"
}
# shellcheck disable=SC2046,SC2086
{
    run "C, shared" "$CC" -std=c17 $flags "$here/use.c" -o "$work/program" $(pkg-config --cflags --libs vecq)
    run "C++, shared" "$CXX" -std=c++11 $flags -x c++ "$here/use.c" -o "$work/program" $(pkg-config --cflags --libs vecq)
    # The archive alone: as somebody would have it who installs no shared library.
    mkdir "$work/only-static"
    cp "$libdir/libvecq.a" "$work/only-static"
    static=$(pkg-config --static --libs vecq | sed "s|-L$libdir|-L$work/only-static|; s|-L[^ ]*/\.\./\.\./lib[^ ]*|-L$work/only-static|")
    run "C, static" "$CC" -std=c17 $flags "$here/use.c" -o "$work/program" $(pkg-config --cflags vecq) $static
    run "C++, static" "$CXX" -std=c++11 $flags -x c++ "$here/use.c" -o "$work/program" $(pkg-config --cflags vecq) -x none $static
    case $("$CC" --version),$static in
    *clang*) ;; # libomp has no archive
    *-ldnnl*) echo "install: nothing is all static with oneDNN, which Debian has no archive of" ;;
    *) run "C, all static" "$CC" -static -std=c17 $flags "$here/use.c" -o "$work/program" $(pkg-config --static --cflags --libs vecq) ;;
    esac
}

mkdir "$work/user"
cp "$here/CMakeLists.txt.user" "$work/user/CMakeLists.txt"
cp "$here/use.c" "$work/user"
if ! { "$CMAKE" -S "$work/user" -B "$work/user/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$CC" &&
    "$CMAKE" --build "$work/user/build"; } >"$work/cmake.log" 2>&1; then
    tail -n 30 "$work/cmake.log"
    fail "the CMake package does not work"
fi
if ! "$work/user/build/shared" || ! "$work/user/build/static"; then
    fail "a program built by CMake does not run"
fi
echo "install: CMake package works"

if [ -x "$prefix/bin/vecq" ]; then
    "$prefix/bin/vecq" --version || fail "the command does not run"
fi

# SPDX-License-Identifier: Apache-2.0
# Toolchain: AArch64 from another Debian or Ubuntu machine (preset arm64). Libraries are those of the foreign
# architecture (`dpkg --add-architecture arm64`); programs of the build, tests among them, run under QEMU.
# VECQ_ARM64_CPU: the processor that QEMU plays.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
find_program(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++) # for the headers only, where there is one
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig)
set(VECQ_ARM64_CPU max CACHE STRING "Processor of QEMU: max, cortex-a53 (no dot products), ...")
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64;-cpu;${VECQ_ARM64_CPU})

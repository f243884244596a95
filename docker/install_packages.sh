#!/usr/bin/env bash
# Installs the Debian 12 packages of the groups named as arguments:
#
#   build    compiles the server and the tool
#   runtime  runs the server and the tool, and nothing else
#   demo     fetches and converts the demo's data, and compiles what asks for
#            rankings in it
#   bench    compiles the benchmarks, beside what build compiles, and draws
#            what they measured
#   trainer  trains models and runs the trainer's tests (PyTorch: 800 MB)
#   test     compiles the tests, beside what build compiles, and runs them
#   clang    compiles all of it with clang, as the fuzz targets must be
#   arm64    compiles programs for ARM64 and runs them in an emulator
#   fresh    makes the bare root of ./run fresh
#
# The one place where packages are named: the Dockerfile and ./run both call it.
# Does nothing, quickly, when all of them are installed. --list prints them
# instead.
set -euo pipefail

packages_of() {
  case "$1" in
    build)
      echo g++ cmake ninja-build ccache pkg-config \
        libgrpc++-dev protobuf-compiler protobuf-compiler-grpc \
        libprotobuf-dev libabsl-dev librocksdb-dev libssl-dev \
        libdnnl-dev libhwy-dev prometheus-cpp-dev libspdlog-dev \
        nlohmann-json3-dev libcli11-dev libcsv-dev libisal-dev libxxhash-dev \
        libjemalloc-dev libmicrohttpd-dev zlib1g-dev libbz2-dev liblzma-dev
      # What the CMake files of the above look for without depending on it:
      # dnnl wants OpenCL.
      echo ocl-icd-opencl-dev opencl-c-headers
      ;;
    runtime)
      echo libgrpc++1.51 libgrpc29 libprotobuf32 libabsl20220623 librocksdb7.8 \
        libdnnl2 libhwy1 libprometheus-cpp-core1.0 \
        libmicrohttpd12 libgomp1 libspdlog1.10 libcsv3 libssl3 libisal2 \
        libxxhash0 libjemalloc2 zlib1g libbz2-1.0 liblzma5
      ;;
    demo)
      echo python3 python3-venv python3-pip python3-numpy python3-pandas curl \
        ca-certificates libnghttp2-dev
      ;;
    bench)
      echo libbenchmark-dev libnghttp2-dev python3 python3-matplotlib \
        python3-grpcio
      ;;
    trainer)
      packages_of demo
      echo python3-torch python3-matplotlib python3-tqdm \
        python3-protobuf python3-pytest python3-pytest-xdist protobuf-compiler
      ;;
    clang)
      echo clang libclang-rt-dev libomp-dev
      ;;
    arm64)
      echo g++-aarch64-linux-gnu qemu-user
      ;;
    test)
      packages_of bench
      echo libgtest-dev libgmock-dev git prometheus curl python3 python3-venv \
        python3-pip python3-grpcio python3-protobuf python3-yaml openssl \
        ca-certificates haproxy
      ;;
    fresh)
      echo debootstrap git
      ;;
    *)
      echo "$0: no group \"$1\"; there are build, runtime, demo, bench," \
        "trainer, clang, arm64, test, fresh" >&2
      exit 2
      ;;
  esac
}

missing_of() {
  local installed package
  installed=" $(dpkg-query -W -f='${db:Status-Abbrev}${binary:Package}\n' \
    2> /dev/null | sed -n 's/^ii \([^:]*\).*/\1/p' | tr '\n' ' ') "
  for package in "$@"; do
    [[ $installed == *" $package "* ]] || echo "$package"
  done
}

list_only=false
if [[ ${1:-} == --list ]]; then
  list_only=true
  shift
fi
if [[ $# == 0 ]]; then
  sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"
  exit 2
fi

wanted=()
for group in "$@"; do
  names="$(packages_of "$group")"
  # shellcheck disable=SC2206  # a list of words
  wanted+=($names)
done
if $list_only; then
  printf '%s\n' "${wanted[@]}" | sort -u
  exit 0
fi

mapfile -t missing < <(missing_of "${wanted[@]}" | sort -u)
if [[ ${#missing[@]} == 0 ]]; then
  exit 0
fi

as_root=()
if [[ $(id -u) != 0 ]]; then
  if ! command -v sudo > /dev/null; then
    echo "missing packages, and neither root nor sudo to install them:" >&2
    echo "  apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q \
    -o Acquire::Retries=3 "$@"
}
if ! { apt update &&
  apt install -y --no-install-recommends "${missing[@]}"; }; then
  echo "could not install: ${missing[*]}" >&2
  echo "Debian 12 packages are needed; is there a network?" >&2
  exit 1
fi

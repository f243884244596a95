# shellcheck shell=bash
# What programs are linked with statically, for this processor or another: the
# presets static and arm64. Nothing of it is installed on this machine. Sourced
# by ./run, in the repository's root.

# sysroot ARCHITECTURE COMPILER: makes build/sysroot-ARCHITECTURE, once, of
# Debian's packages and of Highway, which Debian has as a shared library only.
sysroot() {
  local made="build/sysroot-$1"
  [[ ! -e $made ]] || return 0
  step "Fetching static libraries ($1)" "sysroot-$1" make_sysroot "$made" "$@"
}

make_sysroot() {
  local made="$PWD/$1" architecture="$2" compiler="$3" root="$PWD" package
  local new="$made.new"
  rm -rf "$new"
  # An apt of its own, which knows of no installed package.
  mkdir -p "$new"/apt/{lists/partial,archives/partial}
  : > "$new/apt/status"
  debian_sources | sed 'p; s/^deb /deb-src /' > "$new/apt/sources.list"
  own_apt() {
    apt-get -q -o Acquire::Retries=3 -o Acquire::Languages=none \
      -o APT::Architecture="$architecture" \
      -o APT::Architectures::="$architecture" -o APT::Sandbox::User=root \
      -o Dir::State::Lists="$new/apt/lists" \
      -o Dir::State::status="$new/apt/status" \
      -o Dir::Cache="$new/apt" -o Dir::Etc::sourceparts=- \
      -o Dir::Etc::sourcelist="$new/apt/sources.list" "$@"
  }
  own_apt update
  cd "$new/apt"
  own_apt download googletest libabsl-dev libgmock-dev libgtest-dev libhwy-dev \
    libprotobuf-dev libssl-dev nlohmann-json3-dev
  own_apt source --download-only highway
  for package in *.deb; do dpkg -x "$package" "$new"; done
  cd "$new"
  cp -r usr/include/*-linux-gnu/. usr/include
  tar -xzf apt/highway_*.orig.tar.gz --wildcards --strip-components=1 \
    '*/hwy/targets.cc' '*/hwy/per_target.cc'
  "$compiler" -O2 -I. -isystem usr/include -c hwy/targets.cc hwy/per_target.cc
  cd usr/lib/*-linux-gnu
  ar rcs libhwy.a "$new"/*.o
  # What CMake is told of shared libraries becomes true of static ones; it looks
  # for all of Highway's, of which one is used.
  ar rcs libhwy_contrib.a
  ar rcs libhwy_test.a
  sed -i -E 's/\.so(\.[0-9]+)*"/.a"/' cmake/{absl,hwy}/*.cmake
  rm ./*.so*
  rm -r "$new"/{apt,hwy,*.o}
  cd "$root"
  mv "$new" "$made"
}

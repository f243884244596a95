# shellcheck shell=bash
# ./run fresh: a command of ./run in a bare Debian 12, made for it in a folder
# and removed again. Of this machine it sees the clone, the network and how
# packages are fetched (mirrors, proxies, certificates). Sourced by ./run, in
# the repository's root.

fresh_release=bookworm
fresh_root=     # the folder, while there is one
fresh_keep=false
fresh_pid=      # what runs in it

# What is run in the clone, inside.
fresh_script() {
  case "$1" in
    demo) echo './run demo' ;;
    test) echo './run test' ;;
    eval) echo './run eval grocery' ;;
    bench-smoke) echo './run bench rpc' ;;
    serve) cat << 'END' ;;
./run serve &
until build/release/cli/qlarank serve-check > /tmp/serve-check 2>&1; do
  kill -0 $! || exit 1
  sleep 1
done
cat /tmp/serve-check
kill -TERM $!
wait $!
END
    *) return 1 ;;
  esac
}

# Where this machine's apt gets Debian 12 from.
fresh_mirror() {
  local uri
  # shellcheck disable=SC2016  # apt's own variables
  uri="$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
    "Codename: $fresh_release" 2> /dev/null | head -n 1)"
  echo "${uri:-http://deb.debian.org/debian/}"
}

fresh_debootstrap() {
  local folder="$1" proxy=''
  eval "$(apt-config shell proxy Acquire::http::Proxy)"
  [[ -z $proxy ]] || export http_proxy="$proxy"
  # What it mounts is seen by it alone and ends with it, however that is: a /proc
  # that stayed in the folder would be removed with it.
  unshare --mount --propagation private --pid --fork --kill-child \
    debootstrap --variant=minbase "$fresh_release" "$folder" "$(fresh_mirror)"
  rm -rf "$folder"/var/cache/apt/archives/*.deb
  # No package starts a service here.
  printf '#!/bin/sh\nexit 101\n' > "$folder/usr/sbin/policy-rc.d"
  chmod +x "$folder/usr/sbin/policy-rc.d"
  # As in Debian's images of containers: no fsync for each file unpacked.
  echo force-unsafe-io > "$folder/etc/dpkg/dpkg.cfg.d/90unsafe-io"
}

# fresh_bare_root FOLDER RENEW: unpacks the bare root, which is kept from one
# time to the next; what the project installs is not.
fresh_bare_root() {
  local folder="$1" renew="$2" made
  local kept=".cache/fresh/$fresh_release-$(dpkg --print-architecture).tar"
  if [[ $renew == true || ! -e $kept ]]; then
    mkdir -p .cache/fresh
    made="$(mktemp -d .cache/fresh/new.XXXXXX)"
    fresh_debootstrap "$PWD/$made/root"
    tar --numeric-owner -C "$made/root" -cf "$made/root.tar" .
    mv "$made/root.tar" "$kept"
    rm -rf --one-file-system "$made"
  fi
  tar --numeric-owner -C "$folder" -xpf "$kept"
}

# Where this machine's apt gets Debian 12 and its updates from, as lines of a
# sources.list.
debian_sources() {
  # shellcheck disable=SC2016  # apt's own variables
  apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages' 'Origin: Debian' 2> /dev/null |
    grep -E " $fresh_release(-updates|-security)? " | sort -u ||
    echo "deb $(fresh_mirror) $fresh_release main"
}

# How this machine fetches packages: sources of Debian 12, apt's proxies and
# logins, certificates, pip's settings, name servers.
fresh_registry_settings() {
  local root="$1" file
  debian_sources > "$root/etc/apt/sources.list"
  apt-config dump Acquire | grep -E '::(Proxy|Check-|Timeout|Retries|https?::)' |
    grep -v ' "";' > "$root/etc/apt/apt.conf.d/90registry" || true
  for file in /etc/apt/auth.conf /etc/apt/auth.conf.d \
    /usr/local/share/ca-certificates /etc/pip.conf \
    /etc/ssl/certs/ca-certificates.crt /etc/resolv.conf /etc/hosts; do
    [[ ! -e $file ]] || cp -rL --parents "$file" "$root/"
  done
  for file in ~/.pip/pip.conf ~/.config/pip/pip.conf; do
    [[ ! -e $file ]] || cat "$file" >> "$root/etc/pip.conf"
  done
}

# The variables of that kind, as NAME=VALUE lines.
fresh_environment() {
  local name
  for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY \
    PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_PROXY PIP_CERT \
    PIP_DEFAULT_TIMEOUT SSL_CERT_FILE; do
    [[ -z ${!name:-} ]] || printf '%s=%s\n' "$name" "${!name}"
  done
}

# Where this machine's ccache keeps what was compiled.
fresh_compiler_cache() {
  local folder
  folder="$(ccache --get-config cache_dir 2> /dev/null ||
    echo "${CCACHE_DIR:-$HOME/.cache/ccache}")"
  mkdir -p "$folder"
  echo "$folder"
}

fresh_clone() {
  local root="$1"
  git clone --quiet --no-hardlinks --no-checkout . "$root/qlarank"
  git -C "$root/qlarank" checkout --quiet --detach "$(git rev-parse HEAD)"
  # Its history is not needed; what a user clones is theirs to read.
  git -C "$root/qlarank" remote remove origin
}

# fresh_inside ROOT CACHE SCRIPT: runs it in the clone. The mounts are seen by
# its processes alone, and end with them, as they end with this one.
fresh_inside() {
  local root="$1" cache="$2" script="$3" variables
  mapfile -t variables < <(fresh_environment)
  if [[ -n $cache ]]; then
    # What was compiled, not how this machine configures it.
    variables+=(CCACHE_DIR=/ccache CCACHE_CONFIGPATH=/dev/null
      CCACHE_MAXSIZE="$(ccache --get-config max_size 2> /dev/null || echo 5G)")
  fi
  # shellcheck disable=SC2016  # the inner shell's variables
  exec unshare --mount --propagation private --pid --fork --kill-child \
    bash -euc '
      root="$1" cache="$2"
      shift 2
      mount -t proc proc "$root/proc"
      mount -t sysfs -o ro sysfs "$root/sys"
      mkdir -p "$root/dev/pts" "$root/dev/shm"
      mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
      mount -t tmpfs tmpfs "$root/dev/shm"
      if [[ -n $cache ]]; then
        mkdir "$root/ccache"
        mount --bind "$cache" "$root/ccache"
      fi
      exec chroot "$root" /usr/bin/env -i "$@"' \
    bash "$root" "$cache" HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    "${variables[@]}" /bin/bash -c "cd /qlarank
$script"
}

fresh_end() {
  # With it ends all that it started: it is the first of its processes.
  [[ -z $fresh_pid ]] || kill -KILL "$fresh_pid" 2> /dev/null || true
  [[ -n $fresh_root ]] || return 0
  if [[ $fresh_keep == true ]]; then
    echo "    kept: $fresh_root"
  else
    rm -rf --one-file-system "$fresh_root"
  fi
  fresh_root=
}

fresh_table() {
  local wall processor what sum=0
  echo
  printf '    %8s  %9s  %s\n' time processor 'what took it'
  while IFS=$'\t' read -r wall processor what; do
    printf '    %8s  %9s  %s\n' "$(clock "$wall")" "$(clock "$processor")" "$what"
    [[ $what == ' '* ]] || sum=$((sum + wall))
  done < <(
    cat "$steps_file"
    # The command's own steps.
    fresh_steps | sed 's/\t\([^\t]*\)$/\t  \1/'
  )
  printf '    %8s  %9s  %s\n' "$(clock "$sum")" '' 'in all'
}

# The steps of the one command that was run inside.
fresh_steps() { cat "$fresh_root/qlarank/$log_folder"/steps-*.tsv; }

fresh_processor_seconds() {
  fresh_steps | awk -F '\t' '{ sum += $2 } END { print sum + 0 }'
}

# fresh COMMAND CACHE RENEW KEEP; CACHE: a folder of ccache's, or nothing.
fresh() {
  local command="$1" cache="$2" renew="$3" code=0 began script
  script="$(fresh_script "$command")"
  fresh_keep="$4"
  if [[ -n $(git status --porcelain) ]]; then
    say "What is not committed does not come along: this is $(git describe --always)"
  fi
  fresh_root="$(mktemp -d /var/tmp/qlarank-fresh.XXXXXX)"
  trap fresh_end EXIT
  trap 'exit 130' INT TERM HUP
  step "Making a bare Debian 12" fresh-root \
    fresh_bare_root "$fresh_root" "$renew"
  step "Telling it how packages are fetched" fresh-settings \
    fresh_registry_settings "$fresh_root"
  step "Copying a clone into it" fresh-clone fresh_clone "$fresh_root"
  say "Running ./run $command there"
  began=$SECONDS
  fresh_inside "$fresh_root" "$cache" "$script" < /dev/null \
    > >(tee "$log_folder/fresh-$command.log") 2>&1 &
  fresh_pid=$!
  wait "$fresh_pid" || code=$?
  fresh_pid=
  printf '%d\t%d\t%s\n' $((SECONDS - began)) \
    "$(fresh_processor_seconds)" "./run $command" >> "$steps_file"
  fresh_table
  fresh_end
  if [[ $code == 0 ]]; then
    say "./run $command works on a bare Debian 12"
  else
    say "./run $command FAILED on a bare Debian 12 (exit code $code)"
  fi
  return "$code"
}

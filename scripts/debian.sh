# Sourced by ./run and ./test: Debian packages, installed once.

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

# Installs those of the named packages that are missing; says so only then.
need_packages() {
    local missing=() package
    for package in "$@"; do
        [[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" == installed ]] || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    if ! command -v apt-get >/dev/null; then
        say "this is no Debian: make sure you have what these packages hold: ${missing[*]}"
        return 0
    fi
    local root=()
    ((EUID == 0)) || root=(sudo)
    say "installing Debian packages: ${missing[*]}"
    "${root[@]}" apt-get update -qq
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# What building and running needs: a C compiler for SQLite, jemalloc and ring; flite and espeak-ng speak.
need_build_packages() {
    need_packages gcc g++ make cmake pkg-config libc6-dev flite1-dev espeak-ng ca-certificates
    command -v cargo >/dev/null || { say "cargo is missing: install Rust 1.95 or newer (https://rustup.rs)"; exit 1; }
}

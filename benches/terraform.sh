#!/usr/bin/env bash
# Terraform and larksub on the same subscriptions: how long a plan takes, in how much memory, and what a drop costs.
#
#     benches/terraform.sh [SIZE…]        # default: 1000 10000
#
# Terraform holds each subscription as a `terraform_data` resource, which is built in: nothing is downloaded, and no
# provider's own time counts. Each is a block of its own, since one block with `for_each` over a map of thousands takes
# Terraform far longer. Its state is written here in its own format: applying 10,000 takes it an hour.
# Needs bash 5 and terraform; GNU time for the memory.
set -euo pipefail
export LC_ALL=C CHECKPOINT_DISABLE=1
unset TF_CLI_CONFIG_FILE LARKSUB_STATE

if ! command -v terraform >/dev/null; then
    echo 'SKIPPED: there is no terraform here; nothing was measured' >&2
    exit 0
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo build --quiet --release --locked
larksub=${CARGO_TARGET_DIR:-$PWD/target}/release/larksub
sizes=("$@")
[ $# -gt 0 ] || sizes=(1000 10000)

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
mkdir terraform larksub

# Which of them are listed: all, without each tenth, or without the first few.
entries='function wanted(i) { return without == "tenth" ? i % 10 != 0 : i >= without }
function code(i) { return sprintf("%08X-8745-2245-9675-%012d", i, i) }
function name(i) { return "Approval form " i }
function owner(i) { return "team-" i % 40 }'

manifest() { # how many, without which
    awk -v n="$1" -v without="$2" "$entries"'
    BEGIN {
        print "[apps.hr]\napp_id = \"cli_9dbb2dd6f5e0d104\"\nbrand = \"feishu\"\n"
        for (i = 0; i < n; i++) if (wanted(i))
            printf "[[apps.hr.subscriptions]]\napproval_code = \"%s\"\nname = \"%s\"\nowner = \"%s\"\n\n", code(i), name(i), owner(i)
    }' >larksub/larksub.toml
}

config() { # how many, without which
    awk -v n="$1" -v without="$2" "$entries"'
    BEGIN {
        for (i = 0; i < n; i++) if (wanted(i))
            printf "resource \"terraform_data\" \"s%d\" {\n  input = { code = \"%s\", name = \"%s\", owner = \"%s\" }\n}\n\n", i, code(i), name(i), owner(i)
    }' >terraform/main.tf
}

state() { # how many
    awk -v n="$1" "$entries"'
    BEGIN {
        print "{\"version\": 4, \"terraform_version\": \"1.0.0\", \"serial\": 1, \"lineage\": \"cc528660-fe79-4e01-5861-93da9a5594c6\","
        print "\"outputs\": {}, \"resources\": ["
        type = "\"type\": [\"object\", {\"code\": \"string\", \"name\": \"string\", \"owner\": \"string\"}]"
        for (i = 0; i < n; i++) {
            printf "{\"mode\": \"managed\", \"type\": \"terraform_data\", \"name\": \"s%d\", \"provider\": ", i
            printf "\"provider[\\\"terraform.io/builtin/terraform\\\"]\", \"instances\": [{\"schema_version\": 0, "
            value = sprintf("{\"value\": {\"code\": \"%s\", \"name\": \"%s\", \"owner\": \"%s\"}, %s}", code(i), name(i), owner(i), type)
            printf "\"attributes\": {\"id\": \"%08x-0000-4000-8000-000000000000\", \"input\": %s, \"output\": %s, ", i, value, value
            printf "\"triggers_replace\": null}, \"sensitive_attributes\": []}]}%s\n", i + 1 < n ? "," : ""
        }
        print "], \"check_results\": null}"
    }' >terraform/terraform.tfstate
    rm -f terraform/terraform.tfstate.backup
}

took() { # a command; its wall time in milliseconds
    local start=$EPOCHREALTIME
    "$@" >/dev/null 2>&1
    local end=$EPOCHREALTIME
    echo $(((${end/./} - ${start/./}) / 1000))
}

median_of_three() { # a command
    for _ in 1 2 3; do took "$@"; done | sort -n | sed -n 2p
}

peak() { # a command; the most memory it held, in MiB
    if [ -x /usr/bin/time ]; then
        /usr/bin/time -f %M -o peak.txt "$@" >/dev/null 2>&1
        echo $((($(cat peak.txt) + 1023) / 1024))
    else
        echo '?'
    fi
}

expect() { # what the output of a command has to contain, the command
    local words=$1
    shift
    "$@" 2>&1 | grep -F "$words" >/dev/null || {
        echo "error: \`$*\` does not say: $words" >&2
        exit 1
    }
}

# The cost of a drop: what an apply of 25 takes longer than one of 5, so that starting and reading count for nothing.
apply_drops() { # how many subscriptions, how many drops
    state "$1"
    config "$1" "$2"
    terraform -chdir=terraform plan -no-color -out drops.tfplan >/dev/null
    took terraform -chdir=terraform apply -no-color drops.tfplan
}

state 1
config 1 1
terraform -chdir=terraform init -no-color >/dev/null 2>&1
terraform version | head -n 1
echo
echo '| tracked | `terraform plan` | peak MiB | `larksub plan` | peak MiB | times as long | times the memory | Terraform, for each drop |'
echo '| --- | --- | --- | --- | --- | --- | --- | --- |'
for size in "${sizes[@]}"; do
    state "$size"
    config "$size" tenth
    plan=(terraform -chdir=terraform plan -no-color)
    expect "$((size / 10)) to destroy" "${plan[@]}"
    theirs=$(median_of_three "${plan[@]}")
    theirs_peak=$(peak "${plan[@]}")

    rm -f larksub/larksub.state.jsonl
    manifest "$size" 0
    "$larksub" -C larksub init >/dev/null 2>&1
    "$larksub" -C larksub import --declared >/dev/null
    manifest "$size" tenth
    plan=("$larksub" -C larksub plan)
    expect "tracked subscriptions will be dropped" "${plan[@]}"
    ours=$(median_of_three "${plan[@]}")
    ours_peak=$(peak "${plan[@]}")

    few=$(apply_drops "$size" 5)
    many=$(apply_drops "$size" 25)
    times=$((theirs / (ours > 0 ? ours : 1)))
    times_peak='?'
    [ "$ours_peak" = '?' ] || times_peak=$((theirs_peak / ours_peak))
    echo "| $size | $theirs ms | $theirs_peak | $ours ms | $ours_peak | $times | $times_peak | $(((many - few) / 20)) ms |"
done

#!/bin/bash
# The completion script offers every subcommand that --help lists, at every level; and its words are all commands.
# Usage: completion_test.sh SLUICECTL SLUICECTL.BASH
set -u
tool=$1
# shellcheck source=/dev/null
source "$2"
failed=0
complete_words() {  # the words that the script offers after "$@"
  COMP_WORDS=(sluicectl "$@" "")
  COMP_CWORD=$(( $# + 1 ))
  COMPREPLY=()
  _sluicectl
  printf '%s\n' "${COMPREPLY[@]}"
}
check() {  # the commands under "$@", from --help
  local command offered listed
  listed=$("$tool" "$@" --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p')
  [ -n "$listed" ] || return 0
  offered=$(complete_words "$@")
  for command in $listed; do
    if ! grep -qxF -- "$command" <<< "$offered"; then
      echo "not completed: sluicectl $* $command"
      failed=1
    fi
    check "$@" "$command"
  done
}
check
[ "$(complete_words modify member web 10.0.0.1:80 state | sort | tr '\n' ' ')" = "disabled enabled offline state " ] || {
  echo "states of a member are not completed"; failed=1; }
[ -n "$(check_nothing() { complete_words no such; }; check_nothing | tr -d '\n')" ] && { echo "offers words after nonsense"; failed=1; }
exit $failed

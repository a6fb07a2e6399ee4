# complete.bash FILE LINE WORD...: what a tab behind LINE offers, one a line, with the completion
# in FILE. The words are LINE's as bash splits it, with "=" and ":" by themselves.
. /usr/share/bash-completion/bash_completion || exit 77
. "$1"

# There is none outside of a completion that bash has begun itself.
compopt() { :; }

COMP_LINE=$2 COMP_POINT=${#2} COMP_TYPE=9 COMP_KEY=9
shift 2
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_childflow childflow "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"

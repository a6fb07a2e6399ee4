# complete.zsh DIRECTORY LINE: what a tab behind LINE offers, one a line, in a shell on a
# terminal that finds completions in DIRECTORY. ZDOTDIR is a directory of the caller's.
zmodload zsh/zpty || exit 77

cat >$ZDOTDIR/.zshrc <<END
fpath=(${(q)1} \$fpath)
END
cat >>$ZDOTDIR/.zshrc <<'END'
PROMPT=READY
# More than fits the screen would be asked about first.
unsetopt auto_list
autoload -Uz compinit
compinit -u -d $ZDOTDIR/dump

# All matches are added by compadd; with -A, -D or -O it only answers.
compadd() {
	local -a __fitting
	if (( ! ${@[1,(i)(-|--)][(I)-[ADO]]} )); then
		builtin compadd -O __fitting "$@"
		(( $#__fitting )) && print -lr -- $__fitting >>$ZDOTDIR/offered
	fi
	builtin compadd "$@"
}
tab() {
	zle complete-word
	exit
}
zle -N tab
bindkey '^I' tab
END

zpty shell zsh -i
zpty -r shell shown '*READY*'
zpty -w -n shell "$2"$'\t'
# To the end of the shell.
while zpty -r shell shown; do :; done
zpty -d shell
[[ ! -e $ZDOTDIR/offered ]] || cat $ZDOTDIR/offered

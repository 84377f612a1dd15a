# Read by root's login shell.
PS1='$PWD # '
alias ll='ls -l'

# Read by the login shell of "user".
PS1='$PWD $ '

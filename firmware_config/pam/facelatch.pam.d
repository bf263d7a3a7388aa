# For one service alone, such as /etc/pam.d/sudo, instead of the two profiles of pam-auth-update. The first line goes
# before that service's "@include common-auth", the second after it. A face that is recognised ends the stack of auth.
auth    sufficient    pam_exec.so quiet seteuid /usr/bin/facelatch pam
# @include common-auth
auth    optional      pam_exec.so quiet seteuid /usr/bin/facelatch pam --reset

" Job files of Upright and Upstart. Made from the tables by crates/upright/tests/pages.
if exists('b:current_syntax')
  finish
endif
syn include @uprightShell syntax/sh.vim
syn region uprightScript matchgroup=uprightStanza keepend contains=@uprightShell
\ start='^\s*\(\(pre-start\|post-start\|pre-stop\|post-stop\)\s\+\)\?script\s*$' end='^\s*end\s\+script\s*$'
syn match uprightStanza '^\s*\(allow\|apparmor\|author\|cgroup\|chdir\|check\|chroot\|console\|debug\|description\|emits\|env\|essential\|exec\|expect\|export\|import\|input\|instance\|kill\|limit\|log\|manual\|nice\|normal\|oom\|post-start\|post-stop\|pre-start\|pre-stop\|reload\|respawn\|script\|setgid\|setuid\|socket\|start\|stop\|task\|tmpfiles\|umask\|usage\|version\)\>\(\s\+\(always\|backoff\|exec\|exit\|jitter\|limit\|load\|mode\|on\|on-full\|owner\|pace\|reset\|retries\|retry\|rotate\|score\|script\|signal\|stderr\|switch\|timeout\|up\)\>\)\?'
syn match uprightComment '#.*$'
syn region uprightString start='"' skip='\\.' end='"'
syn match uprightVariable '\$\(\w\+\|{[^}]*}\)'
hi def link uprightStanza Statement
hi def link uprightComment Comment
hi def link uprightString String
hi def link uprightVariable Identifier
let b:current_syntax = 'upright-job'

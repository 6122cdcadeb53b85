# Made from the tables by crates/upright/tests/pages.
function __upright_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l program upright
    string match -q '*/upright' -- $words[1]; and set program $words[1]
    for answer in ($program complete -- $words 2>/dev/null)
        switch $answer
            case ':files*'
                __fish_complete_path $words[-1]
            case ':directories*'
                __fish_complete_directories $words[-1]
            case '*'
                echo $answer
        end
    end
end
complete -c upright -f -a '(__upright_complete)'
complete -c initctl -f -a '(__upright_complete)'
complete -c start -f -a '(__upright_complete)'
complete -c stop -f -a '(__upright_complete)'
complete -c restart -f -a '(__upright_complete)'
complete -c reload -f -a '(__upright_complete)'
complete -c status -f -a '(__upright_complete)'
complete -c emit -f -a '(__upright_complete)'
complete -c list -f -a '(__upright_complete)'
complete -c telinit -f -a '(__upright_complete)'
complete -c runlevel -f -a '(__upright_complete)'
complete -c shutdown -f -a '(__upright_complete)'
complete -c halt -f -a '(__upright_complete)'
complete -c poweroff -f -a '(__upright_complete)'
complete -c reboot -f -a '(__upright_complete)'
complete -c init-checkconf -f -a '(__upright_complete)'
complete -c initctl2dot -f -a '(__upright_complete)'

# Made from the tables by crates/upright/tests/pages.
_upright() {
    local program=upright line=${COMP_LINE:0:COMP_POINT} words word cut answer file
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=('')
    [[ ${words[0]} == */upright ]] && program=${words[0]}
    word=${words[-1]}
    # What stands before the last of these is another word to readline.
    cut=${word%"${word##*[:=]}"}
    COMPREPLY=()
    while IFS= read -r answer; do
        answer=${answer%%$'\t'*}
        case $answer in
        :files | :directories)
            compopt -o filenames 2> /dev/null
            [[ $answer == :files ]] && answer=-f || answer=-d
            while IFS= read -r file; do
                COMPREPLY+=("${file#"$cut"}")
            done < <(compgen "$answer" -- "$word")
            ;;
        *)
            printf -v answer %q "${answer#"$cut"}"
            COMPREPLY+=("$answer")
            ;;
        esac
    done < <("$program" complete -- "${words[@]}" 2> /dev/null)
}
complete -F _upright upright initctl start stop restart reload status emit list telinit runlevel shutdown halt poweroff reboot init-checkconf initctl2dot

//! What shells read to complete command lines. What there is to say is asked of `upright complete`.

use super::{at, MADE};
use upright::cli::shape;

/// Returns the names of the programs whose command lines are completed: those that are installed.
fn programs() -> Vec<String> {
    let script = std::fs::read_to_string(at("scripts/install.sh")).unwrap();
    let names = script.lines().find_map(|line| line.strip_prefix("names=\"")?.strip_suffix('"'));
    let names = names.expect("the script names them").split(' ');
    let all = shape::all();
    let known = |name: &&str| all.iter().any(|shape| shape.name == **name);
    std::iter::once("upright")
        .chain(names)
        .inspect(|name| assert!(known(name), "{name}"))
        .map(str::to_owned)
        .collect()
}

pub fn bash() -> String {
    format!(
        "# {MADE}\n\
         _upright() {{\n\
         \x20   local program=upright line=${{COMP_LINE:0:COMP_POINT}} words word cut answer file\n\
         \x20   read -ra words <<< \"$line\"\n\
         \x20   [[ $line == *[[:space:]] ]] && words+=('')\n\
         \x20   [[ ${{words[0]}} == */upright ]] && program=${{words[0]}}\n\
         \x20   word=${{words[-1]}}\n\
         \x20   # What stands before the last of these is another word to readline.\n\
         \x20   cut=${{word%\"${{word##*[:=]}}\"}}\n\
         \x20   COMPREPLY=()\n\
         \x20   while IFS= read -r answer; do\n\
         \x20       answer=${{answer%%$'\\t'*}}\n\
         \x20       case $answer in\n\
         \x20       :files | :directories)\n\
         \x20           compopt -o filenames 2> /dev/null\n\
         \x20           [[ $answer == :files ]] && answer=-f || answer=-d\n\
         \x20           while IFS= read -r file; do\n\
         \x20               COMPREPLY+=(\"${{file#\"$cut\"}}\")\n\
         \x20           done < <(compgen \"$answer\" -- \"$word\")\n\
         \x20           ;;\n\
         \x20       *)\n\
         \x20           printf -v answer %q \"${{answer#\"$cut\"}}\"\n\
         \x20           COMPREPLY+=(\"$answer\")\n\
         \x20           ;;\n\
         \x20       esac\n\
         \x20   done < <(\"$program\" complete -- \"${{words[@]}}\" 2> /dev/null)\n\
         }}\n\
         complete -F _upright {}\n",
        programs().join(" ")
    )
}

pub fn zsh() -> String {
    format!(
        "#compdef {}\n# {MADE}\n\
         local answer word about kind program=upright\n\
         local -a answers offers\n\
         [[ ${{words[1]}} == */upright ]] && program=${{words[1]}}\n\
         answers=(\"${{(@f)$($program complete -- \"${{(@)words[1,CURRENT-1]}}\" \"$PREFIX\" 2> /dev/null)}}\")\n\
         for answer in $answers; do\n\
         \x20   word=${{answer%%$'\\t'*}}\n\
         \x20   about=${{answer#*$'\\t'}}\n\
         \x20   case $word in\n\
         \x20   :files) _files && return ;;\n\
         \x20   :directories) _files -/ && return ;;\n\
         \x20   *) offers+=(\"${{word//:/\\\\:}}:$about\") ;;\n\
         \x20   esac\n\
         done\n\
         (( $#offers )) && _describe -V upright offers\n",
        programs().join(" ")
    )
}

pub fn fish() -> String {
    let all = programs();
    let rows = all.iter().map(|name| format!("complete -c {name} -f -a '(__upright_complete)'\n"));
    format!(
        "# {MADE}\n\
         function __upright_complete\n\
         \x20   set -l words (commandline -opc) (commandline -ct)\n\
         \x20   set -l program upright\n\
         \x20   string match -q '*/upright' -- $words[1]; and set program $words[1]\n\
         \x20   for answer in ($program complete -- $words 2>/dev/null)\n\
         \x20       switch $answer\n\
         \x20           case ':files*'\n\
         \x20               __fish_complete_path $words[-1]\n\
         \x20           case ':directories*'\n\
         \x20               __fish_complete_directories $words[-1]\n\
         \x20           case '*'\n\
         \x20               echo $answer\n\
         \x20       end\n\
         \x20   end\n\
         end\n{}",
        rows.collect::<String>()
    )
}

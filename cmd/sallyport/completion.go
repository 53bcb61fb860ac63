package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" optional:"" enum:"bash" default:"bash" help:"bash."`
}

func (*completionCmd) Help() string {
	return `Put this into ~/.bashrc:  source <(sallyport completion)`
}

// Run prints a script that completes commands and flags. Names of devices are not completed: that would ask the gateway at
// every key.
func (c *completionCmd) Run(a *app) error {
	var cases strings.Builder
	words(a.model.Node, "", &cases)
	_, err := fmt.Fprintf(a.stdout, `_sallyport() {
	local path="" w
	for w in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case "$w" in --) return ;; -*) ;; *) path="$path $w" ;; esac
	done
	local words=""
	case "${path# }" in
%s	esac
	COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _sallyport sallyport
`, cases.String())
	return err
}

// words writes one case for each command: its commands and flags.
func words(n *kong.Node, path string, out *strings.Builder) {
	var all []string
	for _, child := range n.Children {
		if !child.Hidden {
			all = append(all, child.Name)
		}
	}
	for _, group := range n.AllFlags(true) {
		for _, f := range group {
			all = append(all, "--"+f.Name)
		}
	}
	pattern := `"` + path + `"`
	if len(n.Children) == 0 && path != "" {
		pattern += `|"` + path + `"\ *`
	}
	fmt.Fprintf(out, "\t%s) words=%q ;;\n", pattern, strings.Join(all, " "))
	for _, child := range n.Children {
		if !child.Hidden {
			words(child, strings.TrimSpace(path+" "+child.Name), out)
		}
	}
}

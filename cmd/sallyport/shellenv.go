package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/web/apitype"
)

// ourEnvironment asks for the terminal type and the language that we have ourselves. What a session does not take is
// replaced, and the person is told in one status line, also where stderr is not a terminal: the program runs
// differently.
func ourEnvironment(a *app, ask *apitype.SessionNew) {
	term, env, replaced := wire.FitTerminal(os.Getenv, ask.PTY)
	ask.Term = term
	for _, v := range env {
		if v.Name == "LANG" {
			ask.Lang = v.Value
			continue
		}
		if ask.Locale == nil {
			ask.Locale = map[string]string{}
		}
		ask.Locale[v.Name] = v.Value
	}
	if len(replaced) == 0 {
		return
	}
	names, now := make([]string, len(replaced)), make([]string, len(replaced))
	for i, v := range replaced {
		names[i], now[i] = v.Name, v.String()
	}
	fmt.Fprintf(a.stderr, "sallyport: a session cannot take the value of %s in your environment; it gets %s.\n",
		strings.Join(names, ", "), strings.Join(now, " "))
}

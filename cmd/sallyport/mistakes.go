package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/sallyport/sallyport/internal/client"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

// tokenVariable holds an API token for programs.
const tokenVariable = "SALLYPORT_TOKEN"

// tokenOfEnvironment gives the API token of the environment, without the line break that a file may have left; empty if
// there is none. It refuses any other text, because the gateway's error would name the request's header instead.
func tokenOfEnvironment() (string, error) {
	token := strings.TrimSpace(os.Getenv(tokenVariable))
	unseen := func(r rune) bool { return r <= ' ' || r > '~' }
	if token != "" && (!strings.HasPrefix(token, "spt_") || strings.ContainsFunc(token, unseen)) {
		return "", usageError(tokenVariable+" does not hold an API token: "+
			"a token begins with spt_ and has no spaces or line breaks",
			"`sallyport token create` makes a token. Unset "+tokenVariable+" to use your sign-in.")
	}
	return token, nil
}

// renamed gives the names of options by the names of the API's fields and parameters, where the two differ.
var renamed = map[string]string{"purpose": "reason", "ttl_seconds": "ttl", "from": "since", "name": "device",
	"id": "session"}

// inOptions replaces the fields of the request in the gateway's error by the options of the command line. It returns
// other errors unchanged.
func inOptions(err error, k *kong.Context) error {
	var r *client.Refusal
	if k == nil || !errors.As(err, &r) || len(r.Problem.Errors) == 0 {
		return err
	}
	var words []string
	for _, d := range r.Problem.Errors {
		words = append(words, option(k.Selected(), d)+" "+d.Message)
	}
	return errkind.New(errkind.KindOf(err), strings.Join(words, "; ")).
		WithHint("Run `sallyport " + commandPath(k) + " --help` for the options.").Because(err)
}

// option gives the flag or the argument for a field of the request, or the gateway's name of the field if it has none.
func option(command *kong.Node, d apitype.Detail) string {
	_, field, _ := strings.Cut(d.Where, ".")
	names := []string{strings.ReplaceAll(field, "_", "-"), renamed[field]}
	for _, name := range names {
		for _, f := range command.Flags {
			if name != "" && f.Name == name {
				return "--" + name
			}
		}
		for _, p := range command.Positional {
			if p.Name == name {
				return p.Summary()
			}
		}
	}
	return fmt.Sprintf("%q", d.Where)
}

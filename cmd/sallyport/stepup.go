package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/sallyport/sallyport/internal/client"
)

// stepUp reports whether the person would be allowed after a new sign-in, and whether stdin is a terminal, so that somebody
// can sign in.
func stepUp(a *app, err error) bool {
	refusal, ok := errors.AsType[*client.Refusal](err)
	if !ok || !refusal.Problem.StepUp {
		return false
	}
	in, ok := a.stdin.(*os.File)
	return ok && term.IsTerminal(int(in.Fd()))
}

// signedInAgain signs the person in anew, with a second factor, and gives a client with that sign-in.
func signedInAgain(a *app) (*client.Client, error) {
	fmt.Fprintln(a.stderr, "The policy requires a recent second factor. Sign in again, and the command continues. Without a browser here, forward the port of the address to your machine.")
	if err := (&loginCmd{Again: true}).Run(a); err != nil {
		return nil, err
	}
	return a.client()
}

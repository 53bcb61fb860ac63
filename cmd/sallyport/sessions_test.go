package main

import (
	"testing"

	"github.com/sallyport/sallyport/web/apitype"
)

func TestASessionSaysHowItWasRequested(t *testing.T) {
	for want, s := range map[string]apitype.Session{
		"127.0.0.1, command line, API token": {Address: "127.0.0.1", Front: "cli", Via: "token"},
		"192.0.2.8, browser":                 {Address: "192.0.2.8", Front: "browser", Via: "web"},
		"":                                   {Via: "web"},
	} {
		if got := fromText(s); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

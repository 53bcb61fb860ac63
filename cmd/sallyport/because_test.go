package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestAReasonThatTheGatewayCouldNotKeepIsRefusedHere(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("SALLYPORT_GATEWAY", "http://127.0.0.1:1")
	t.Setenv("SALLYPORT_TOKEN", "spt_x")
	for _, command := range []string{"shell press-1", "sessions end last", "sessions unseal last --identity /dev/null", "devices revoke press-1", "policy apply /dev/null", "policy rollback 1"} {
		var out, errs bytes.Buffer
		args := append(strings.Fields(command), "--reason", strings.Repeat("ü", maxBecause+1))
		if got := run(args, strings.NewReader(""), &out, &errs); got != 2 || !strings.Contains(errs.String(), "--reason: the text is 501 characters long and can have 500") {
			t.Errorf("%s: got exit %d and %s, want 2 and how long it can be", command, got, errs.String())
		}
	}
	var out, errs bytes.Buffer
	if got := run([]string{"shell", "press-1", "--reason", strings.Repeat("ü", maxBecause)}, strings.NewReader(""),
		&out, &errs); got != 255 || !strings.Contains(errs.String(), "connection refused") {
		t.Errorf("one that fits: got exit %d and %s, want that the gateway is asked", got, errs.String())
	}
}

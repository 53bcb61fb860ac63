package proc

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// Between two keys the shell switches the echo on again, so a key that came then would be shown, and its verdict clear.
func TestEachKeyOfAnAsteriskPromptWaitsUntilItIsAskedFor(t *testing.T) {
	defer func(was time.Duration) { holdTyped = was }(holdTyped)
	holdTyped = time.Minute
	x := sitAtBash(t)
	loop := `while IFS= read -r -s -n 1 c && [ -n "$c" ]; do sleep 0.1; printf '*'; done; echo`
	x.expects(written(t, "install", "#!/bin/bash\n"+loop+"\n")+"\r", 'c')
	x.asked()
	for _, c := range secret {
		x.expects(string(c), 'h')
		x.mute(false)
	}
	x.expects("\r", 'h')
	x.atPrompt()
	x.mu.Lock()
	defer x.mu.Unlock()
	if shown := x.shown.String(); !strings.Contains(shown, strings.Repeat("*", len(secret))+"\r\n") {
		t.Errorf("it showed %q", shown)
	}
}

// The rest of a paste must not come to a prompt that does not hide yet, also where another program passes it on.
// patient lets a paste wait for as long as a busy machine takes.
func patient(t *testing.T) {
	was := holdPaste
	holdPaste = time.Minute
	t.Cleanup(func() { holdPaste = was })
}

func TestAPasteWaitsUntilAnInnerTerminalIsReadFrom(t *testing.T) {
	patient(t)
	x := sitAtBash(t)
	x.opened(copiedAs(t, "script", "passage") + " -q -c '" + shell + "' /dev/null")
	x.pastes()
	x.expects("sleep 0.5\r", 'c') // too slow: what comes next is typed ahead, and only while this program runs
	x.expects("echo done\r", 'c')
	x.sees("\rdone\r")
	x.pastes()
}

func TestAPasteIntoOtherProgramsWaits(t *testing.T) {
	patient(t)
	each(t, slices.Concat(relays, multiplexers), func(x *typist) {
		x.sees("ready> ")
		x.pastes()
	})
}

// pastes types a command, the secret that it asks for, and another command at once.
func (x *typist) pastes() {
	x.t.Helper()
	x.inner(edited)
	command, after := "sleep 0.1; read -s x\r", "echo len=${#x}.\r"
	var got strings.Builder
	err := x.term.Type([]byte(command+secret+"\r"+after), func(n int, hidden bool) {
		got.WriteString(strings.Repeat(map[bool]string{true: "h", false: "c"}[hidden], n))
	})
	if err != nil {
		x.t.Fatal(err)
	}
	want := strings.Repeat("c", len(command)) + strings.Repeat("h", len(secret)+1) + strings.Repeat("c", len(after))
	if got.String() != want {
		x.t.Errorf("got %s\nwant %s", got.String(), want)
	}
	x.sees("len=7.")
	x.mu.Lock()
	defer x.mu.Unlock()
	if shown := x.shown.String(); strings.Contains(shown, secret) {
		x.t.Errorf("the secret was shown: %q", shown)
	}
}

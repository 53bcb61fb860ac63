package sessionline

import (
	"testing"

	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/format"
)

// TestTheTextOfAStartIsReadBack: those who read records take from it what a channel was to start.
func TestTheTextOfAStartIsReadBack(t *testing.T) {
	screen := &PTY{Term: "xterm", Cols: 80, Rows: 24}
	lang := []wire.Variable{{Name: "LANG", Value: "C.UTF-8"}}
	for want, s := range map[format.Start]Start{
		{Ch: 7, Login: "svc", Terminal: true, Shell: true}:        {PTY: screen, Env: lang},
		{Ch: 7, Login: "svc", Shell: true}:                        {},
		{Ch: 7, Login: "svc", Command: "echo 'a; b'"}:             {Argv: []string{"echo", "a; b"}, Env: lang},
		{Ch: 7, Login: "svc", Terminal: true, Command: "a shell"}: {Argv: []string{"a", "shell"}, PTY: screen},
	} {
		n := format.Note{Kind: format.NoteStart, Text: s.text(7, "svc")}
		if got, ok := n.Start(); !ok || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", n.Text, got, ok, want)
		}
	}
}

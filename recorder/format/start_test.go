package format

import "testing"

func TestAStartIsReadByItsForm(t *testing.T) {
	one, two := uint32(1), uint32(2)
	for text, want := range map[string]Start{
		"channel 1 as svc; terminal xterm-256color, 80 columns, 24 rows; LANG=C.UTF-8 LC_TIME=de_DE.UTF-8; a shell": {
			Ch: 1, Login: "svc", Terminal: true, Shell: true},
		"channel 1 as svc; no terminal; no environment; command: systemctl status press": {
			Ch: 1, Login: "svc", Command: "systemctl status press"},
		"channel 1 as svc; no terminal; no environment; command: a shell": {Ch: 1, Login: "svc", Command: "a shell"},
		"channel 1 as svc; no terminal; no environment; command: echo 'x; a shell'": {
			Ch: 1, Login: "svc", Command: "echo 'x; a shell'"},
	} {
		for _, n := range []Note{{Kind: NoteStart, Text: text}, {Kind: NoteStart, Text: text, Ch: &one}} {
			if got, ok := n.Start(); !ok || got != want {
				t.Errorf("%q: got %+v, %v, want %+v", text, got, ok, want)
			}
		}
		for what, n := range map[string]Note{"of another kind": {Kind: "device", Text: text, Ch: &one},
			"about another channel": {Kind: NoteStart, Text: text, Ch: &two}} {
			if got, ok := n.Start(); ok {
				t.Errorf("a note %s was read as %+v", what, got)
			}
		}
	}
}

func TestATextOfAnotherFormIsNoStart(t *testing.T) {
	for _, text := range []string{"", "a shell", "channel 1 as svc; a shell",
		"channel x as svc; no terminal; no environment; a shell",
		"channel -1 as svc; no terminal; no environment; a shell",
		"channel 4294967296 as svc; no terminal; no environment; a shell",
		"1 as svc; no terminal; no environment; a shell", "channel 1; no terminal; no environment; a shell",
		"channel 1 as svc; no terminal; no environment; a shell of another kind"} {
		n := Note{Kind: NoteStart, Text: text}
		if got, ok := n.Start(); ok {
			t.Errorf("%q: got %+v, want that it is none", text, got)
		}
	}
}

package proc

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

const secret = "hunter2"

func sitAtBash(t *testing.T) *typist {
	t.Helper()
	x := sitDown(t, "bash", "--norc", "--noprofile", "-i")
	x.atPrompt()
	return x
}

// atPrompt waits until bash reads a command with readline.
func (x *typist) atPrompt() {
	x.t.Helper()
	x.sees("ready> ")
	x.edits()
}

// edits waits until readline has set the terminal up, which bash does after its prompt.
func (x *typist) edits() {
	x.t.Helper()
	x.until("readline reads", func() bool {
		m := x.term.mode()
		return m.Lflag&unix.ICANON == 0 && m.Cc[unix.VLNEXT] == 0 && m.Lflag&unix.ECHOK != 0 && reads(x.term.foreground(), 4)
	})
}

// asked waits until a program has switched the echo off and reads.
func (x *typist) asked() {
	x.t.Helper()
	x.until("a program asks", func() bool {
		m := x.term.mode()
		readline := m.Lflag&unix.ICANON == 0 && m.Cc[unix.VLNEXT] == 0 && m.Lflag&unix.ECHOK != 0
		return m.Lflag&unix.ECHO == 0 && !readline && reads(x.term.foreground(), 4)
	})
}

// written makes a program of a text.
func written(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// copiedAs gives a program another name.
func copiedAs(t *testing.T, program, name string) string {
	t.Helper()
	file, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return written(t, name, string(raw))
}

// answers runs a command, types a secret at its prompt, and then types in the open.
func (x *typist) answers(command, end string) {
	x.t.Helper()
	x.expects(command+"\r", 'c')
	x.asked()
	x.expects(secret+end, 'h')
	x.atPrompt()
	x.expects("echo in the open\r", 'c')
	x.atPrompt()
}

// The terminal is not in line mode then, and neither is it with readline, whose keys must stay readable.
func TestKeysThatAShellReadsWithoutEchoAreHidden(t *testing.T) {
	for command, end := range map[string]string{
		"read -s -n 8 x":                              "\r",
		"read -s -N 8 x":                              "3",
		"read -s -d : x":                              ":",
		"read -s -t 60 -n 8 x":                        "\r",
		"read -e -s x":                                "\r",
		"stty raw -echo; read x; stty sane":           "\n",
		"stty -icanon -echo; dd bs=1 count=8":         "3",
		"stty raw -echo; head -c 8; stty sane":        "3",
		"stty raw -echo; sh -c 'read x'; stty sane":   "\n",
		"stty -ixon; read -s -n 8 x":                  "\r",
		"stty lnext undef; read -s -n 8 x; stty sane": "\r",
	} {
		t.Run(command, func(t *testing.T) {
			x := sitAtBash(t)
			x.answers(command, end)
			x.answers(written(t, "install", "#!/bin/bash\n"+command+"\nstty sane\n"), end)
		})
	}
}

// A script's name is that of its process, and the program that asks is a child of it, or beside another in a pipeline.
func TestAProgramThatDrawsItsPromptIsFoundInAScriptAndAPipe(t *testing.T) {
	box := copiedAs(t, "sleep", "whiptail")
	raw := "stty raw -echo; echo now; "
	for command, verdict := range map[string]byte{
		raw + "sleep 600 | " + box + " 600":                                      'h',
		written(t, "install", "#!/bin/bash\n"+raw+box+" 600; :\n"):               'h',
		written(t, "install", "#!/bin/bash\n"+raw+"sleep 600 | "+box+" 600\n"):   'h',
		written(t, "install", "#!/bin/bash\n"+raw+"sh -c '"+box+" 600; :'; :\n"): 'h',
		written(t, "install", "#!/bin/bash\n"+raw+"sleep 600; :\n"):              'c',
	} {
		x := sitAtBash(t)
		x.expects(command+"\r", 'c')
		x.sees("now\n")
		x.runs(map[byte]string{'h': "whiptail", 'c': "sleep"}[verdict])
		x.until("bash waits for it", func() bool { return x.term.hidden() == (verdict == 'h') })
		x.expects(secret, verdict)
	}
}
